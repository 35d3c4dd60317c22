"""The server on Ray Serve: replicas of the application, a proxy that listens, a Ray of this machine alone."""

import io
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

import ray
from ray import serve

from orchestrator.cluster.connection import private_ray
from orchestrator.cluster.ray_internals import clusters_off
from orchestrator.errors import StudyFailedError
from orchestrator.serving.application import application_of
from orchestrator.serving.guard import Application
from orchestrator.serving.serve_internals import close_replica
from orchestrator.serving.settings import ServingSettings

_LOCAL, _LOOPBACK, _NAME = "local", "127.0.0.1", "convfleet"
#: Bodies pass through it.
_OBJECT_STORE_BYTES = 256 * 1024 * 1024
#: A request that takes longer, such as one whose body never ends, is given up.
_TIMEOUT_SECONDS = 60.0
#: How long replicas may take to answer what they have in hand when the server ends.
_GRACE_SECONDS = 20.0
_LOOK_SECONDS = 0.5
#: How much more Ray Serve lets through than the application takes, which then refuses it in words.
_ROOM = 64
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # Replicas are called as Ray's actors, not over a port of their own.
    "RAY_SERVE_PROXY_USE_GRPC": "0",
    # Ray Serve starts a proxy anew after three checks that it did not answer; by itself it checks every 10 s.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
}


class ServingReplica:
    """One replica, as Ray Serve starts it in a process of its own.

    Args:
        settings: The registry, the token's hash and the limits.
    """

    def __init__(self, settings: ServingSettings) -> None:
        close_replica()
        self._settings = settings

    def __serve_build_asgi_app__(self) -> Application:
        """Returns the application; Ray Serve asks for it in the replica's process."""
        return application_of(self._settings)


@contextmanager
def serving(settings: ServingSettings, *, host: str, port: int, replicas: int) -> Iterator[None]:
    """Serves a registry while the block runs.

    Args:
        settings: The registry, the token's hash and the limits.
        host: Where the server listens.
        port: Likewise.
        replicas: How many processes answer.

    Raises:
        StudyFailedError: If Ray or Ray Serve does not start.
    """
    os.environ.update(_ENVIRONMENT)
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        stack.enter_context(clusters_off())
        stack.callback(_stop)
        try:
            _start_ray()
            _start_serving(settings, host=host, port=port, replicas=replicas)
        except (RuntimeError, OSError, ConnectionError, TimeoutError, ray.exceptions.RayError) as exc:
            first = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
            raise StudyFailedError(f"Ray Serve did not start ({first}); see `convfleet doctor`") from exc
        yield


def wait(is_over: Callable[[], bool]) -> None:
    """Waits until a caller says that it is over; replicas that die are started again by Ray Serve meanwhile."""
    while not is_over():
        time.sleep(_LOOK_SECONDS)


def _stop() -> None:
    # Ray prints that the server's own processes have ended.
    with redirect_stdout(io.StringIO()):
        if ray.is_initialized():
            serve.shutdown()
        ray.shutdown()


def _start_ray() -> None:
    with private_ray():
        ray.init(
            address=_LOCAL,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _node_ip_address=_LOOPBACK,
        )


def _start_serving(settings: ServingSettings, *, host: str, port: int, replicas: int) -> None:
    quiet = {"enable_access_log": False, "log_level": "WARNING"}
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": host, "port": port, "request_timeout_s": _TIMEOUT_SECONDS},
        logging_config=quiet,
    )
    deployment = serve.deployment(
        serve.ingress()(ServingReplica),
        name=_NAME,
        num_replicas=replicas,
        # Threads of runtimes are the replica's own business.
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=settings.most_requests + _ROOM,
        graceful_shutdown_timeout_s=_GRACE_SECONDS,
        logging_config=quiet,
    )
    serve.run(deployment.bind(settings), name=_NAME, route_prefix="/")
