"""Starting and leaving Ray: a local one on loopback, or a running cluster."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import ray

from orchestrator.cluster.prestart import start_early
from orchestrator.cluster.ray_internals import (
    clusters_off,
    counted_cpus,
    credentials_out_of_logs,
    no_trial_environments,
    node_awaited_closely,
    spare_processes_off,
)
from orchestrator.cluster.resources import NodeResources, concurrent_trials
from orchestrator.cluster.token import protect_token, refused_in_words
from orchestrator.errors import InputError, ResourceError, StudyFailedError
from orchestrator.forking.ahead import preloaded_modules, worker_threads
from orchestrator.forking.ray_workers import read_settings_again
from orchestrator.forking.session import THREADS, fork_server, forking_ray
from orchestrator.study.sections import Resources
from trainables.machine.processes import usable_cpus
from trainables.sharing.storage_environment import NAMES
from trainables.specs.worker import PRIVATE

LOCAL = "local"
_LOOPBACK = "127.0.0.1"
_RAY_CLIENT = "ray://"
#: What Ray says where its folder leaves too few letters for the names of its sockets.
_LONG_SOCKET = "AF_UNIX path length"
#: The object store carries results of a few kilobytes; image data is memory-mapped from files.
_OBJECT_STORE_BYTES = 128 * 1024 * 1024

_ENVIRONMENT = {
    # A trial without GPUs sees none; Ray would leave all of them visible.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # GPU 0 is nvidia-smi's, not the fastest one: a worker asks nvidia-smi how much memory its GPU has.
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    # Relative paths in users' code mean the same in every process.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # The journal is the only memory: neither result files nor frequent snapshots.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_ONLY_STORE_CHECKPOINT_SCORE_ATTRIBUTE": "1",
    # A failure is a result without the objective.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
}


@contextmanager
def ray_session(
    resources: Resources, *, address: str | None = None, trials_left: Callable[[], int] = lambda: 0
) -> Iterator[list[NodeResources]]:
    """Connects to Ray and yields what its nodes have; disconnects at the end.

    Args:
        resources: The study's section.
        address: `host:port` or `auto` for a running cluster; None starts a Ray of this machine alone.
        trials_left: Returns for how many trials a Ray of this machine alone starts workers ahead; called once that Ray
            has started.

    Raises:
        StudyFailedError: If the cluster cannot be reached.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # The journal says in words what goes wrong in a trial, in place of Ray's tracebacks.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if ray.is_initialized():
            # The caller's own connection: used, and left as it was.
            stack.enter_context(credentials_out_of_logs(NAMES))
            yield node_resources()
            return
        # Left after Ray itself. `_node_ip_address` alone does not keep a Ray of our own on loopback.
        if address is None:
            stack.enter_context(clusters_off())
        stack.callback(ray.shutdown)
        _connect(resources, address=address, stack=stack)
        nodes = node_resources()
        if address is None and (count := min(trials_left(), _num_workers(resources, nodes=nodes))) > 0:
            # While Ray Tune is still imported, which the next line waits for.
            start_early(count)
        stack.enter_context(no_trial_environments() if address is None else credentials_out_of_logs(NAMES))
        yield nodes


def refuse_ray_client(address: str | None) -> None:
    """Raises InputError for the address of a Ray Client's server, through which Ray Tune's trials cannot be recorded.

    Args:
        address: What the user gave; None: a Ray of this machine alone.
    """
    if is_ray_client(address):
        given = _given_address(address)
        where = "RAY_ADDRESS" if address == "auto" else "--address"
        raise InputError(
            f"{where}: a driver outside the cluster (Ray Client) is not supported, got {given!r}; run the command on a "
            "node of the cluster with --address auto, or submit it as a job: ray job submit -- convfleet run STUDY "
            "--runs FOLDER --address auto"
        )


def is_ray_client(address: str | None) -> bool:
    """Returns whether an address is that of a Ray Client's server.

    Args:
        address: What the user gave; None: a Ray of this machine alone.
    """
    return _given_address(address).startswith(_RAY_CLIENT)


def _given_address(address: str | None) -> str:
    return os.environ.get("RAY_ADDRESS", "") if address == "auto" else address or ""


def _num_workers(resources: Resources, *, nodes: list[NodeResources]) -> int:
    """Returns how many trials run at once; 0 where that is not known yet, or none can run."""
    try:
        return 0 if resources.gpus_per_trial == "auto" else concurrent_trials(resources, nodes=nodes)
    except ResourceError:
        # Said once the data is read, like all else that is wrong with a study.
        return 0


def node_resources() -> list[NodeResources]:
    """Returns what each live node has."""
    return [NodeResources.from_ray(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def _connect(resources: Resources, *, address: str | None, stack: ExitStack) -> None:
    if address is not None:
        join_cluster(address)
        return
    try:
        _start_local(resources, stack=stack)
    except Exception as exc:
        # Ray raises a dozen kinds here, from ConnectionError to plain Exception.
        first, fix = _first_line(exc), "see `convfleet doctor`"
        if _LONG_SOCKET in first:
            fix = "set RAY_TMPDIR to a folder with a shorter path, such as /tmp"
        raise StudyFailedError(f"Ray did not start on this machine ({first}); {fix}") from exc


def join_cluster(address: str) -> None:
    """Makes this process a driver of a running cluster.

    Args:
        address: `host:port` of its head, or `auto`.

    Raises:
        StudyFailedError: If the cluster cannot be reached.
    """
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except Exception as exc:
        # Likewise.
        raise StudyFailedError(
            f"--address {address}: no Ray cluster answered ({_first_line(exc)}); "
            f"{refused_in_words(str(exc), address=address)}"
        ) from exc


def _first_line(exc: Exception) -> str:
    return next(iter(str(exc).strip().splitlines()), type(exc).__name__)


def _start_local(resources: Resources, *, stack: ExitStack) -> None:
    modules = preloaded_modules(resources)
    path = stack.enter_context(fork_server(modules, threads=worker_threads(resources)))
    with (
        private_ray(),
        _threads_of_a_trial(resources),
        forking_ray(path),
        spare_processes_off(),
        node_awaited_closely(),
    ):
        _init_local(resources, modules=modules)


@contextmanager
def private_ray() -> Iterator[None]:
    """Makes a Ray that is started meanwhile one that only this user can talk to."""
    if "RAY_AUTH_MODE" not in os.environ:
        # Other users of this machine reach loopback, too: only who has the token may talk to this Ray.
        os.environ["RAY_AUTH_MODE"] = "token"
        read_settings_again()
    umask = os.umask(PRIVATE)
    try:
        yield
    finally:
        os.umask(umask)
    protect_token()


@contextmanager
def _threads_of_a_trial(resources: Resources) -> Iterator[None]:
    """Makes workers import NumPy for as many threads as a trial has CPUs.

    Ray sets that variable with a worker's first trial; NumPy, imported ahead of it, would read nothing and take all
    cores.
    """
    if THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = worker_threads(resources)
    try:
        yield
    finally:
        del os.environ[THREADS]


def _init_local(resources: Resources, *, modules: list[str]) -> None:
    ray.init(
        address=LOCAL,
        num_cpus=_usable_cpus() if resources.cpus == "auto" else resources.cpus,
        num_gpus=None if resources.gpus == "auto" else resources.gpus,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        _node_ip_address=_LOOPBACK,
        _system_config={
            # findings/ray-tune-never-uses-prestarted-workers.sh
            "prestart_worker_first_driver": False,
            "preload_python_modules": modules,
        },
    )


def _usable_cpus() -> int:
    """Returns the CPUs that Ray counts, but no more than this process may run on, which Ray does not ask."""
    return max(1, min(counted_cpus(), usable_cpus()))
