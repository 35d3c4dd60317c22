"""Uploads beside the training: one thread a process, which retries until they succeed."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 1.0, 60.0
#: The longest wait of a trial for an upload that neither ends nor fails.
_LONGEST_WAIT_SECONDS = 600.0


class Uploader:
    """Runs functions in order on a thread, which starts with the first of them.

    Args:
        sleep: Waits that many seconds.
    """

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        #: Guards the attributes below, and is notified of every change to them.
        self._changes = threading.Condition()
        self._due: dict[str, Callable[[], None]] = {}
        #: Why the last try failed; empty if it did not.
        self._failure = ""
        self._thread: threading.Thread | None = None

    def put(self, key: str, work: Callable[[], None]) -> None:
        """Queues a function, in place of one that waits under the same key."""
        with self._changes:
            self._due[key] = work
            self._changes.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)
                self._thread.start()

    def finish_uploads(self, key: str) -> str:
        """Waits until nothing is queued under a key or a try fails; returns why it failed, else an empty text."""
        with self._changes:
            self._changes.wait_for(lambda: key not in self._due or self._failure, timeout=_LONGEST_WAIT_SECONDS)
            if key not in self._due:
                return ""
            return self._failure or f"no end of an upload for {_LONGEST_WAIT_SECONDS:.0f} s"

    def _run(self) -> None:
        delay = _FIRST_DELAY_SECONDS
        while True:
            with self._changes:
                self._changes.wait_for(lambda: self._due)
                key, work = next(iter(self._due.items()))
            failure = _try(work)
            with self._changes:
                self._failure = failure
                if not failure and self._due.get(key) is work:
                    del self._due[key]
                self._changes.notify_all()
            if failure:
                logger.warning('upload=%s decision=retry reason="%s"', key, failure)
                self._sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY_SECONDS) if failure else _FIRST_DELAY_SECONDS


def _try(work: Callable[[], None]) -> str:
    try:
        work()
    except Exception as exc:  # noqa: BLE001 - whatever is wrong with an upload, trials go on and note it
        return str(exc) or type(exc).__name__
    return ""


#: The uploader of this process.
UPLOADER = Uploader()
