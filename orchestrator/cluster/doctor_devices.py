"""What `doctor` says of a machine's cores and GPUs, as far as trials are pinned to them."""

import shutil
import subprocess

from orchestrator.cluster.doctor_check import Check, Level
from trainables.machine.cores import cores_in_words, numa_nodes
from trainables.machine.gpus import gpu_memory_mib

_MPS = "nvidia-cuda-mps-control"
_TIMEOUT_SECONDS = 10


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
    """Returns how much memory the GPUs have, and what trials that share one gain by MPS; None where there are none."""
    memory = gpu_memory_mib()
    sizes = ", ".join(f"{memory[name] / 1024:.0f} GiB" for name in sorted(memory) if name.isdigit())
    if not sizes:
        return _driver_check()
    return Check(name="gpus", level=Level.OK, finding=f"{sizes}; {_mps_in_words()}")


def _driver_check() -> Check | None:
    """Returns what nvidia-smi complains of, where it is there and fails."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        asked = subprocess.run([command], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        complaint = str(exc)
    else:
        if asked.returncode == 0:
            return None
        complaint = " ".join((asked.stdout + asked.stderr).split()) or f"exit code {asked.returncode}"
    fix = "mend NVIDIA's driver; until then trials see no GPU"
    return Check(name="gpus", level=Level.WARNING, finding=f"nvidia-smi fails ({complaint}); {fix}")


def _mps_in_words() -> str:
    """Returns whether NVIDIA's Multi-Process Service runs, and what it is good for."""
    command = shutil.which(_MPS)
    if command is None:
        return f"trials that share a GPU take turns: {_MPS}, which NVIDIA's driver brings, is not on the PATH"
    try:
        asked = subprocess.run(
            [command],
            input="get_server_list\n",
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
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
