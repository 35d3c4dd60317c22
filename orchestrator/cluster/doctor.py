"""The checks of `convfleet doctor`: whether this machine is ready, each with its finding and, if it fails, the fix."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestrator.cluster.token import token_file, token_problem
from trainables.machine.cores import cores_in_words, numa_nodes
from trainables.machine.gpus import gpu_memory_mib
from trainables.machine.processes import usable_cpus
from trainables.specs.worker import PRIVATE
from trainables.versions import versions

_KERAS_TIMEOUT_SECONDS = 120
_TOOL_TIMEOUT_SECONDS = 10
_GB = 1024**3
_WORKER_GB = 0.6
_MIN_DISK_GB = 2.0
_MPS = "nvidia-cuda-mps-control"

_TENSORFLOW = """
import tensorflow as tf
value = float(tf.reduce_sum(tf.nn.conv2d(tf.ones([1, 4, 4, 1]), tf.ones([3, 3, 1, 1]), 1, "VALID")))
print("gpus:" + ",".join(gpu.name for gpu in tf.config.list_physical_devices("GPU")) if value == 36.0 else "wrong")
"""
_RAY = """
import ray, logging
ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
         _node_ip_address="127.0.0.1", object_store_memory=128 * 1024 * 1024)
print("cluster:", ray.cluster_resources().get("CPU"), ray.cluster_resources().get("GPU", 0.0))
"""


class Level(StrEnum):
    """Whether a check found the machine ready."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding about this machine.

    Attributes:
        name: What was checked.
        level: Whether the machine is ready.
        finding: What was found and, if it is not ready, the fix.
    """

    name: str
    level: Level
    finding: str


def examine() -> Iterator[Check]:
    """Yields one check after another; tries TensorFlow and Ray in processes of their own."""
    checks: list[Callable[[], Check | None]] = [
        _packages,
        _cpus,
        check_cores,
        check_gpus,
        _disk,
        _cache,
        _shared_memory,
        _tensorflow,
        _ray,
        check_token,
    ]
    for check in checks:
        if (found := check()) is not None:
            yield found


def _packages() -> Check:
    found = versions()
    missing = [name for name, number in found.items() if number == "not installed"]
    if missing:
        fix = "install them with: python -m pip install ."
        return Check(name="packages", level=Level.ERROR, finding=f"{', '.join(missing)} not installed; {fix}")
    return Check(
        name="packages", level=Level.OK, finding=", ".join(f"{name} {number}" for name, number in found.items())
    )


def _cpus() -> Check:
    cpus, free = usable_cpus(), _available_bytes() / _GB
    finding = f"{cpus} CPUs, {free:.1f} GB of memory free; a worker process takes about {_WORKER_GB:g} GB"
    if free < cpus * _WORKER_GB:
        fix = "too little for a worker on every CPU; set resources.max_concurrent"
        return Check(name="machine", level=Level.WARNING, finding=f"{finding}: {fix}")
    return Check(name="machine", level=Level.OK, finding=finding)


def _available_bytes() -> int:
    """Returns the memory that new processes can have: what is free, and what the system uses as a cache of files."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / _GB
    level = Level.OK if free >= _MIN_DISK_GB else Level.WARNING
    fix = "" if level is Level.OK else "; make room, or keep runs elsewhere with --runs"
    return Check(name="disk", level=level, finding=f"{free:.1f} GB free where runs are kept{fix}")


def _cache() -> Check:
    # Late: it loads the image library.
    from trainables.data.cache.prepare import cache_folder
    from trainables.specs.data import DataSpec

    folder = cache_folder(DataSpec(source="digits"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Check(name="data cache", level=Level.OK, finding=f"{folder} is writable")
    except OSError as exc:
        fix = "set CONVFLEET_CACHE to a folder that is"
        return Check(name="data cache", level=Level.ERROR, finding=f"{folder} is not writable ({exc.strerror}); {fix}")


def _shared_memory() -> Check:
    path = Path("/dev/shm")
    if not path.is_dir():
        return Check(name="shm", level=Level.OK, finding="no /dev/shm on this system; Ray uses files")
    free = shutil.disk_usage(path).free / _GB
    if free < 0.25:
        fix = "Ray needs 0.2 GB; in a container start it with --shm-size=1g"
        return Check(name="shm", level=Level.WARNING, finding=f"{free:.2f} GB free in /dev/shm; {fix}")
    return Check(name="shm", level=Level.OK, finding=f"{free:.1f} GB free in /dev/shm")


def _tensorflow() -> Check:
    output, error = _python(_TENSORFLOW)
    if "gpus:" not in output:
        fix = "install the pinned version again: python -m pip install --force-reinstall ."
        return Check(name="tensorflow", level=Level.ERROR, finding=f"does not compute ({error}); {fix}")
    gpus = output.split("gpus:")[1].strip()
    if gpus:
        return Check(name="tensorflow", level=Level.OK, finding=f"computes; GPUs: {gpus}")
    if shutil.which("nvidia-smi"):
        fix = "install the CUDA libraries with: python -m pip install '.[gpu]'"
        return Check(name="tensorflow", level=Level.WARNING, finding=f"computes, but sees none of the GPUs here; {fix}")
    return Check(name="tensorflow", level=Level.OK, finding="computes on CPU; no GPU here")


def _ray() -> Check:
    output, error = _python(_RAY)
    if "cluster:" not in output:
        fix = "check that processes may listen on 127.0.0.1, and that the temporary folder is writable"
        return Check(name="ray", level=Level.ERROR, finding=f"does not start ({error}); {fix}")
    cpus, gpus = output.split("cluster:")[1].split()[:2]
    finding = f"starts; shares out {float(cpus):g} CPUs and {float(gpus):g} GPUs"
    return Check(name="ray", level=Level.OK, finding=finding)


def check_token() -> Check | None:
    """Returns whether others may read Ray's token, with which they could run anything here; None where none is."""
    if not token_file().is_file():
        return None
    problem = token_problem()
    level, finding = (Level.WARNING, problem) if problem else (Level.OK, f"{token_file()}: only its owner may read it")
    return Check(name="token", level=level, finding=finding)


def _python(code: str) -> tuple[str, str]:
    """Returns what a piece of Python printed, and the last line of its errors."""
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Not all of a GPU's memory, which may be a running study's.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    try:
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_KERAS_TIMEOUT_SECONDS,
            env=environment,
            umask=PRIVATE,  # a token that Ray makes is its owner's alone
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {_KERAS_TIMEOUT_SECONDS} seconds"
    lines = result.stderr.strip().splitlines()
    return result.stdout, lines[-1] if lines else f"exit code {result.returncode}"


def check_cores() -> Check:
    """Returns which cores workers may be pinned to, by NUMA node."""
    nodes = numa_nodes()
    words = "; ".join(cores_in_words(node) for node in nodes)
    count = f"{len(nodes)} NUMA node{'s' if len(nodes) > 1 else ''}"
    advice = "with resources.pin_cpus: true each worker keeps to its own"
    if len(nodes) > 1:
        advice += ", on one node where they fit"
    return Check(name="cores", level=Level.OK, finding=f"{count}, cores {words}; {advice}")


def check_gpus() -> Check | None:
    """Returns how much memory the GPUs have, and what trials that share one gain by MPS; None without a GPU."""
    memory = gpu_memory_mib()
    sizes = ", ".join(f"{memory[name] / 1024:.0f} GiB" for name in sorted(memory) if name.isdigit())
    if not sizes:
        return _driver_check()
    return Check(name="gpus", level=Level.OK, finding=f"{sizes}; {_mps_in_words()}")


def _driver_check() -> Check | None:
    """Returns why nvidia-smi fails; None if it works or is not installed."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        asked = subprocess.run([command], capture_output=True, text=True, timeout=_TOOL_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        problem = str(exc)
    else:
        if asked.returncode == 0:
            return None
        problem = " ".join((asked.stdout + asked.stderr).split()) or f"exit code {asked.returncode}"
    fix = "mend NVIDIA's driver; until then trials see no GPU"
    return Check(name="gpus", level=Level.WARNING, finding=f"nvidia-smi fails ({problem}); {fix}")


def _mps_in_words() -> str:
    """Returns whether NVIDIA's Multi-Process Service runs, and what trials that share a GPU gain by it."""
    command = shutil.which(_MPS)
    if command is None:
        return f"trials that share a GPU take turns: {_MPS}, which NVIDIA's driver brings, is not on the PATH"
    try:
        asked = subprocess.run(
            [command],
            input="get_server_list\n",
            capture_output=True,
            text=True,
            timeout=_TOOL_TIMEOUT_SECONDS,
            check=False,
        )
        is_running = asked.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        is_running = False
    if is_running:
        return "MPS is running: trials that share a GPU (gpus_per_trial below 1) compute side by side"
    return (
        "MPS is not running: trials that share a GPU (gpus_per_trial below 1) take turns; for them to compute side by "
        f"side, start it before the study with: {_MPS} -d (and end it with: echo quit | {_MPS})"
    )
