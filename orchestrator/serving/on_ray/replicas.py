"""How many replicas of the server answer, asked again and again on a thread of its own: Ray Serve may be silent."""

import threading
from collections.abc import Callable

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from orchestrator.serving.on_ray.deployment import NAME
from orchestrator.serving.on_ray.serve_internals import has_controller, look_anew

_POLL_SECONDS = 1.0
_RUNNING = "RUNNING"


class ReplicaWatch:
    """Knows how many replicas answer.

    Args:
        count: Returns how many do; None where Ray Serve has no such server any more.
    """

    def __init__(self, count: Callable[[], int | None]) -> None:
        self._count = count
        #: As the last answer has it; -1 before the first.
        self.running = -1
        #: Whether somebody else has ended the server.
        self.is_gone = False
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="replica-watch", daemon=True)

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Asks no more; a question that is under way has no effect."""
        self._has_ended.set()

    def _go_on(self) -> None:
        while not self._has_ended.is_set():
            try:
                found = self._count()
            except (RayError, RayServeException, RuntimeError):
                # The cluster's head is silent; another watch sees that.
                found = self.running
            if not self._has_ended.is_set():
                self.is_gone = found is None
                self.running = self.running if found is None else found
            self._has_ended.wait(_POLL_SECONDS)


def running_replicas() -> int | None:
    """Returns how many replicas answer; None where Ray Serve has no such server.

    Raises:
        RayError: If Ray Serve does not answer, as its controller is being started again.
    """
    try:
        found = serve.status().applications.get(NAME)
    except (RayError, RayServeException):
        look_anew()
        if has_controller():
            raise
        return None
    if found is None:
        return None
    return sum(deployment.replica_states.get(_RUNNING, 0) for deployment in found.deployments.values())
