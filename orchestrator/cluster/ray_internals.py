"""Every touch of the private parts of Ray's core, seen in Ray 2.60.

At an upgrade, tests/orchestrator/cluster/test_prestart.py, tests/orchestrator/driver/test_session_workers.py,
tests/e2e/test_loopback.py and tests/e2e/test_shared_ray.py show what changed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray._private import parameter, ray_constants, services, utils
from ray._private.state import GlobalState, state
from ray._private.utils import get_num_cpus
from ray._raylet import (  # type: ignore[attr-defined, unused-ignore]
    DASHBOARD_AGENT_LISTEN_PORT_NAME,
    METRICS_AGENT_PORT_NAME,
    METRICS_EXPORT_PORT_NAME,
    RUNTIME_ENV_AGENT_PORT_NAME,
    get_port_filename,
    persist_port,
)
from ray.runtime_env import RuntimeEnv

from orchestrator.cluster import idle_agent
from trainables.machine.imports import quick_imports

#: How long the node's daemon may take to answer.
ANSWER_SECONDS = 10
#: How often it is looked whether the node is there.
_LOOK_SECONDS = 0.02
#: The arguments of the node's daemon that name its agent, and the one that sets environments up.
_AGENT, _ENVIRONMENT_AGENT = "dashboard_agent_command", "runtime_env_agent_command"
#: How long Ray keeps more processes than it has CPUs, where no trial comes for them.
_KEPT_SECONDS = 600


def counted_cpus() -> int:
    """Returns the CPUs that Ray counts on this machine, also those that this process may not run on."""
    return int(get_num_cpus())


@contextmanager
def clusters_off() -> Iterator[None]:
    """Keeps Ray from being a cluster meanwhile: only then its node's address is loopback's, and not the network's."""
    before = ray_constants.ENABLE_RAY_CLUSTER, os.environ.get(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR)
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"  # for the processes that Ray starts
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before[0]
        if before[1] is None:
            del os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR]
        else:
            os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = before[1]


@contextmanager
def spare_processes_off() -> Iterator[None]:
    """Makes a Ray of this machine alone start meanwhile without five processes that nothing here asks.

    The server of its web page, which starts and is waited for also without the page; the one that asks clouds for
    nodes; the one that sends what workers print to the driver; the node's agent, which has nothing to do without the
    page; the one that sets environments up, which is there once somebody asks it (see `idle_agent`). Each imports Ray,
    which takes half a second of CPU and more.
    """
    before = services.start_api_server, parameter.RayParams, utils.get_dashboard_dependency_error
    start = services.start_ray_process

    def start_process(command: list[str], kind: str, *arguments: Any, **named: Any) -> Any:
        return start(_with_idle_agents(command, kind=kind), kind, *arguments, **named)

    services.start_api_server, services.start_ray_process = lambda *_args, **_kwargs: ("", None), start_process
    parameter.RayParams = partial(parameter.RayParams, no_monitor=True, include_log_monitor=False)
    # Ray would import an HTTP server, to see whether the agent can have one.
    utils.get_dashboard_dependency_error = lambda: ImportError("not wanted")
    try:
        yield
    finally:
        services.start_api_server, parameter.RayParams, utils.get_dashboard_dependency_error = before
        services.start_ray_process = start


def _with_idle_agents(command: list[str], *, kind: str) -> list[str]:
    """Returns a command of Ray; that of the node's daemon has other agents, the node's own known to have no ports.

    Args:
        command: A program and its arguments.
        kind: Which process of Ray it is.
    """
    if kind != ray_constants.PROCESS_TYPE_RAYLET:
        return command
    told = dict(part.removeprefix("--").split("=", 1) for part in command if part.startswith("--") and "=" in part)
    for port in (METRICS_AGENT_PORT_NAME, METRICS_EXPORT_PORT_NAME, DASHBOARD_AGENT_LISTEN_PORT_NAME):
        # As the agent does where Ray is installed without the page: the daemon waits for these.
        persist_port(told["session_dir"], told["node_id"], port, -1)
    file = Path(told["session_dir"]) / get_port_filename(told["node_id"], RUNTIME_ENV_AGENT_PORT_NAME)
    agent = [sys.executable, "-I", "-S", idle_agent.__file__]
    until_asked = [*agent, told["node_ip_address"], str(file)]
    commands = {
        _AGENT: subprocess.list2cmdline(agent),
        _ENVIRONMENT_AGENT: f"{subprocess.list2cmdline(until_asked)} {told[_ENVIRONMENT_AGENT]}",
    }
    kept = [part for part in command if part.removeprefix("--").partition("=")[0] not in commands]
    return [*kept, *(f"--{name}={text}" for name, text in commands.items())]


@contextmanager
def node_awaited_closely() -> Iterator[None]:
    """Makes Ray notice meanwhile at once that its node is there: it would look but once a second."""
    get_node = services.get_node

    def get_node_soon(address: str, node_id: str) -> Any:
        # What goes wrong here goes wrong there as well, where Ray tries again or says it.
        with suppress(Exception):
            seen = GlobalState()
            seen._initialize_global_state(services._get_gcs_client_options(address))
            until = time.monotonic() + ANSWER_SECONDS
            while time.monotonic() < until and not any(node["NodeID"] == node_id for node in seen.node_table()):
                time.sleep(_LOOK_SECONDS)
        return get_node(address, node_id)

    services.get_node = get_node_soon
    try:
        yield
    finally:
        services.get_node = get_node


def head_address(address: str) -> str | None:
    """Returns `host:port` of a cluster's head; None where `auto` finds none on this machine.

    Args:
        address: `host:port`, or `auto`.
    """
    found: str | None = services.canonicalize_bootstrap_address(address)
    if found is not None:
        return found
    return next(iter(sorted(services.find_gcs_addresses())), None)


def draining_nodes() -> dict[str, int]:
    """Returns until when each node that drains is there, in milliseconds since 1970, by its hex id; 0: nobody said.

    `ray.nodes()` says nothing of it: see findings/ray-drained-node-leaves-at-once.sh.
    """
    return dict(state.get_draining_nodes())


def import_ray_tune() -> None:
    """Imports Ray Tune, from any thread: its modules import each other, so all threads have to begin with the same."""
    with quick_imports():
        import trainables.worker.adapter  # noqa: F401


@contextmanager
def credentials_out_of_logs(names: Iterable[str]) -> Iterator[None]:
    """Keeps Ray Tune meanwhile from handing variables to trials as a runtime environment, whose values Ray logs.

    Args:
        names: Of the variables; processes get them as an argument.
    """
    import_ray_tune()
    from ray.tune.execution import class_cache

    before = set(class_cache.ENV_VARS_TO_PROPAGATE)
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(names)
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE.update(before)


@contextmanager
def no_trial_environments() -> Iterator[None]:
    """Keeps Ray Tune meanwhile from handing variables to trials: workers of a Ray of this machine have the driver's.

    All but `PL_DISABLE_FORK`, a switch of PyTorch Lightning's that Ray Tune sets. The process that sets environments up
    takes half a second of CPU to start, and 60 MB.
    """
    import_ray_tune()
    from ray.tune.execution import class_cache

    before = dict(class_cache.DEFAULT_ENV_VARS)
    with credentials_out_of_logs(set(class_cache.ENV_VARS_TO_PROPAGATE)):
        class_cache.DEFAULT_ENV_VARS.clear()
        try:
            yield
        finally:
            class_cache.DEFAULT_ENV_VARS.update(before)


def prestart_workers(count: int) -> None:
    """Asks this machine's node daemon for waiting processes in the environment of its trials, which is none.

    Python can make the call that Ray has for it over gRPC only.

    Args:
        count: How many processes.
    """
    # Late, as any of them may be gone from the next Ray.
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.ray_constants import GLOBAL_GRPC_OPTIONS
    from ray._private.utils import get_runtime_env_info
    from ray.core.generated.common_pb2 import Language
    from ray.core.generated.node_manager_pb2 import PrestartWorkersRequest
    from ray.core.generated.node_manager_pb2_grpc import NodeManagerServiceStub

    (node,) = (node for node in ray.nodes() if node["Alive"])
    request = PrestartWorkersRequest(
        language=Language.PYTHON,
        job_id=bytes.fromhex(ray.get_runtime_context().get_job_id()),
        runtime_env_info=get_runtime_env_info(RuntimeEnv(), is_job_runtime_env=False),
        num_workers=count,
        keep_alive_duration_secs=_KEPT_SECONDS,
    )
    # With Ray's options, among them that no proxy stands between.
    address = f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"
    with init_grpc_channel(address, GLOBAL_GRPC_OPTIONS) as channel:
        NodeManagerServiceStub(channel).PrestartWorkers(request, timeout=ANSWER_SECONDS)
