"""A server on a Ray of this machine alone, which begins and ends with it."""

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
from orchestrator.serving.on_ray.deployment import ENVIRONMENT, FAILURES, Deployed, deploy
from orchestrator.serving.settings import ServingSettings

_LOCAL, _LOOPBACK = "local", "127.0.0.1"
#: Bodies pass through it.
_OBJECT_STORE_BYTES = 256 * 1024 * 1024
_LOOK_SECONDS = 0.5


@contextmanager
def serving(settings: ServingSettings, *, host: str, port: int, replicas: int) -> Iterator[Callable[[], None]]:
    """Serves a registry while the block runs, and yields what waits a moment.

    Args:
        settings: The registry, the token's hash and the limits.
        host: Where the server listens.
        port: Likewise.
        replicas: How many processes answer; those that die are started again by Ray Serve.

    Raises:
        StudyFailedError: If Ray or Ray Serve does not start.
    """
    os.environ.update(ENVIRONMENT)
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        stack.enter_context(clusters_off())
        stack.callback(_stop)
        try:
            _start_ray()
            deploy(settings, Deployed(host=host, port=port, replicas=replicas))
        except FAILURES as exc:
            first = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
            raise StudyFailedError(f"Ray Serve did not start ({first}); see `convfleet doctor`") from exc
        yield lambda: time.sleep(_LOOK_SECONDS)


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
