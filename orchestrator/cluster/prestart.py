"""Worker processes that a local Ray starts ahead of the trials, while the driver still reads data.

Ray gives an actor a process that waits in the actor's own environment, unless that process ran a task before. So the
node's daemon is asked for waiting processes by the call that Ray has for it, which Python can only make over gRPC. What
is used of Ray for that is private, and where it fails, workers start with their trials. A test sees it at work.
"""

import logging

import ray
from ray.runtime_env import RuntimeEnv

from orchestrator.study.sections import Resources
from trainables.worker.adapter import VariantTrainable

logger = logging.getLogger(__name__)

#: What each process of a local Ray imports as it starts, before it is given anything to do.
_PRELOADED = "trainables.worker.preloaded"
_ANSWER_SECONDS = 10
#: How long Ray keeps more processes than it has CPUs, where no trial comes for them.
_KEPT_SECONDS = 600


def preloaded_modules(resources: Resources) -> list[str]:
    """Returns what worker processes of a local Ray import before their first trial.

    Nothing where trials use GPUs: which of them a process may see is told to it with its trial, and was never tried
    with a TensorFlow that was there before.
    """
    return [_PRELOADED] if resources.gpus_per_trial == 0 else []


def start_early(count: int) -> None:
    """Asks this machine's Ray for processes that wait for trials; returns before they are there."""
    try:
        _ask_for(count)
    except Exception as exc:  # noqa: BLE001 - only the time of the first trials depends on it
        logger.info('workers start with their trials reason="%s"', exc)


def _ask_for(count: int) -> None:
    # Here, as any of them may be gone from the next Ray.
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.ray_constants import GLOBAL_GRPC_OPTIONS
    from ray._private.utils import get_runtime_env_info
    from ray.core.generated.common_pb2 import Language
    from ray.core.generated.node_manager_pb2 import PrestartWorkersRequest
    from ray.core.generated.node_manager_pb2_grpc import NodeManagerServiceStub
    from ray.tune.execution.class_cache import _ActorClassCache

    (node,) = (node for node in ray.nodes() if node["Alive"])
    environment = _ActorClassCache().get(VariantTrainable)._default_options["runtime_env"]
    request = PrestartWorkersRequest(
        language=Language.PYTHON,
        job_id=bytes.fromhex(ray.get_runtime_context().get_job_id()),
        runtime_env_info=get_runtime_env_info(RuntimeEnv(**environment), is_job_runtime_env=False),
        num_workers=count,
        keep_alive_duration_secs=_KEPT_SECONDS,
    )
    # With Ray's options, among them that no proxy stands between.
    address = f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"
    with init_grpc_channel(address, GLOBAL_GRPC_OPTIONS) as channel:
        NodeManagerServiceStub(channel).PrestartWorkers(request, timeout=_ANSWER_SECONDS)
