"""What Ray Serve runs: replicas of the application, and one process that listens."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from orchestrator.serving.application import application_of
from orchestrator.serving.guard import Application
from orchestrator.serving.on_ray.serve_internals import close_replica, listens_at
from orchestrator.serving.settings import ServingSettings
from trainables.errors import RemoteError
from trainables.sharing.marks import sees_mark
from trainables.sharing.storage_environment import NOTHING, StorageEnvironment

#: Of the one application and its one deployment.
NAME = "convfleet"
#: What the processes of Ray Serve find in their environment.
ENVIRONMENT: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # Replicas are called as Ray's actors, not over a port of their own.
    "RAY_SERVE_PROXY_USE_GRPC": "0",
    # Ray Serve starts a proxy anew after three checks that it did not answer; by itself it checks every 10 s.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
}
#: A request that takes longer, such as one whose body never ends, is given up.
_TIMEOUT_SECONDS = 60.0
#: How long replicas may take to answer what they have in hand when the server ends.
_GRACE_SECONDS = 20.0
#: How much more Ray Serve lets through than the application takes, which then refuses it in words.
_ROOM = 64
#: How long replicas may take to answer for the first time.
_START_SECONDS, _POLL_SECONDS = 300.0, 0.2
#: What Ray and Ray Serve raise where the server does not start.
FAILURES = (RuntimeError, OSError, ConnectionError, TimeoutError, RayError, RayServeException)
#: How long a replica looks for the server's mark: network file systems show a new file late.
_LOOK_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """How a server is spread.

    Attributes:
        host: Where it listens.
        port: Likewise.
        replicas: How many processes answer.
        cpus: What Ray counts of a node for each of them.
        environment: Variables for Ray Serve's own processes; empty where they have them from the driver.
        storage: The driver's variables for storages.
        mark: A file in the registry that a replica must find, lest it answers from another one; empty: none.
    """

    host: str
    port: int
    replicas: int
    cpus: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    storage: StorageEnvironment = NOTHING
    mark: str = ""


class ServingReplica:
    """One replica, as Ray Serve starts it in a process of its own.

    Args:
        settings: The registry, the token's hash and the limits.
        storage: The driver's variables for storages.
        mark: As of `Deployed`.

    Raises:
        RemoteError: If this node finds another registry.
    """

    def __init__(self, settings: ServingSettings, storage: StorageEnvironment, mark: str) -> None:
        close_replica()
        storage.enter()
        if mark and not sees_mark(mark, wait_seconds=_LOOK_SECONDS):
            raise RemoteError(f"{settings.registry}: this node does not find the registry that the server was given")
        self._settings = settings

    def __serve_build_asgi_app__(self) -> Application:
        """Returns the application; Ray Serve asks for it in the replica's process."""
        return application_of(self._settings)


def deploy(settings: ServingSettings, deployed: Deployed) -> None:
    """Starts Ray Serve with the application, and returns once it answers.

    Args:
        settings: The registry, the token's hash and the limits.
        deployed: How it is spread.

    Raises:
        RuntimeError: If it does not start; others of `FAILURES` likewise.
    """
    quiet = {"enable_access_log": False, "log_level": "WARNING"}
    variables = dict(deployed.environment)
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": deployed.host, "port": deployed.port, "request_timeout_s": _TIMEOUT_SECONDS},
        logging_config=quiet,
        controller_options={"runtime_env": {"env_vars": variables}} if variables else None,
    )
    if (found := listens_at()) != (deployed.host, deployed.port):
        raise RuntimeError(f"another Ray Serve is there, which listens at {found[0]}:{found[1]}")
    more = {"runtime_env": {"env_vars": variables}} if variables else {}
    deployment = serve.deployment(
        serve.ingress()(ServingReplica),
        name=NAME,
        num_replicas=deployed.replicas,
        # Threads of runtimes are the replica's own business.
        ray_actor_options={"num_cpus": deployed.cpus, **more},
        max_ongoing_requests=settings.most_requests + _ROOM,
        graceful_shutdown_timeout_s=_GRACE_SECONDS,
        logging_config=quiet,
    )
    target = deployment.bind(settings, deployed.storage, deployed.mark)
    serve.run_many([serve.RunTarget(target, name=NAME, route_prefix="/")], wait_for_applications_running=False)
    _wait_until_running()


def _wait_until_running() -> None:
    """Waits for the first answers; Ray Serve itself would wait for ever, and say nothing."""
    end = time.monotonic() + _START_SECONDS
    while (found := serve.status().applications.get(NAME)) is None or found.status != "RUNNING":
        if found is None:
            raise RuntimeError("another command has ended it meanwhile")
        said = [found.message, *(deployment.message for deployment in found.deployments.values())]
        last = next((line for text in said for line in reversed(text.strip().splitlines())), "it does not say why")
        if found.status == "DEPLOY_FAILED":
            raise RuntimeError(last)
        if time.monotonic() > end:
            raise TimeoutError(f"replicas do not answer after {_START_SECONDS:g} s: {last}")
        time.sleep(_POLL_SECONDS)
