"""Repeats work on a thread of its own, in at most a fiftieth of the driver's time."""

import math
import threading
import time
from collections.abc import Callable

#: Waiting 49 times as long as the work took leaves it a fiftieth of the time.
_WAITS_PER_WORK = 49.0
_FIRST_WAIT_SECONDS = 1.0


class Periodic:
    """A thread that repeats work until it is stopped, or until the work returns False.

    An exception of the work ends the thread.

    Args:
        work: Returns whether the thread goes on.
        name: The thread's name.
        shortest_seconds: The wait after work that takes no time.
        longest_seconds: The wait that no work exceeds, even where it then takes more than a fiftieth of the time.
    """

    def __init__(
        self, work: Callable[[], bool], *, name: str, shortest_seconds: float, longest_seconds: float = math.inf
    ) -> None:
        self._work = work
        self._shortest_seconds, self._longest_seconds = shortest_seconds, longest_seconds
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread, which waits a second before it works for the first time."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after the work that is under way."""
        self._is_stopping.set()
        self._thread.join()

    def wait_seconds(self, *, took_seconds: float) -> float:
        """Returns how long the thread waits after work that took so long."""
        return min(self._longest_seconds, max(self._shortest_seconds, _WAITS_PER_WORK * took_seconds))

    def _run(self) -> None:
        wait = _FIRST_WAIT_SECONDS
        while not self._is_stopping.wait(wait):
            started = time.monotonic()
            if not self._work():
                return
            wait = self.wait_seconds(took_seconds=time.monotonic() - started)
