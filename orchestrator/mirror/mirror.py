"""Keeps a run elsewhere as well: a thread uploads what the run folder gains and never makes the study wait.

The run folder on this machine stays what everything works on. When the storage elsewhere does not answer, the study
goes on, says so once, and uploads what is missing as soon as it can.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.errors import OrchestratorError, StudyFailedError
from orchestrator.mirror.files import FileMirror
from orchestrator.mirror.journal import JournalUploader, take_longer
from orchestrator.mirror.lock import RemoteLock, TakenOverError, owner_elsewhere
from orchestrator.mirror.places import patiently, remote_of
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import StudySpec
from orchestrator.text import moment
from trainables.files.remote import RemoteFolder
from trainables.files.uris import shown_uri

logger = logging.getLogger(__name__)

Notify = Callable[[str], None]

_PERIOD_SECONDS = 1.0
#: Between uploads of tables and other files, which are written anew as wholes.
_FILES_SECONDS = 30.0
_LONGEST_DELAY_SECONDS = 60.0
#: How long a session that ends goes on trying a storage that does not answer.
GIVE_UP_SECONDS = 60.0
_POLL_SECONDS = 0.2


@contextmanager
def mirrored(folder: RunFolder, spec: StudySpec, *, notify: Notify) -> Iterator["Mirror | None"]:
    """Yields what keeps a run elsewhere, or None for a study without a storage.uri; the caller holds the run folder.

    At the end everything is there, or an error says how to get it there.

    Raises:
        RunFolderError: If the storage cannot be used, or another driver holds the run there.
        StudyFailedError: If it could not be uploaded in the end.
    """
    if spec.storage.uri is None:
        yield None
        return
    mirror = open_mirror(folder, spec.storage.uri, notify=notify)
    try:
        yield mirror
    except OrchestratorError as exc:
        if problem := mirror.close():
            raise type(exc)(f"{exc}\n{problem}") from exc
        raise
    except BaseException:
        mirror.close()
        raise
    if problem := mirror.close():
        raise StudyFailedError(problem)


def open_mirror(folder: RunFolder, uri: str, *, notify: Notify) -> "Mirror":
    """Returns the mirror of a run at work; the journal here is the longer one of both from here on.

    Raises:
        RunFolderError: If the storage cannot be used, holds another run, or another driver holds it.
    """
    remote = remote_of(folder, uri)
    lock = RemoteLock(remote, owner=owner_elsewhere(folder, now=time.time()))
    patiently(lock.claim, uri=remote.uri)
    try:
        known = patiently(lambda: take_longer(folder, remote), uri=remote.uri)
    except OrchestratorError:
        lock.release()
        raise
    journal = JournalUploader(folder.journal, remote=remote, known=known)
    mirror = Mirror(folder, remote=remote, journal=journal, lock=lock, notify=notify)
    mirror.start()
    return mirror


class Mirror:
    """Uploads what a run folder gains, on a thread of its own.

    Args:
        folder: The run here.
        remote: The run there.
        journal: Uploads the journal.
        lock: Holds the run there.
        tell: Takes what the user should know.
    """

    def __init__(
        self, folder: RunFolder, *, remote: RemoteFolder, journal: JournalUploader, lock: RemoteLock, notify: Notify
    ) -> None:
        self._folder = folder
        self._remote = remote
        self._journal = journal
        self._lock = lock
        self._tell = notify
        self._files = FileMirror(folder, remote=remote, beat=lock.ensure)
        self._files_at = float("-inf")
        self._failing_since: float | None = None
        self._failure = ""
        #: How often in a row.
        self.num_failures = 0
        self._taken: TakenOverError | None = None
        self._is_complete = False
        self._is_closing = threading.Event()
        self._has_given_up = threading.Event()
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def start(self) -> None:
        """Begins to upload."""
        self._thread.start()

    def check(self) -> None:
        """Raises StudyFailedError if another driver took the run over."""
        if self._taken is not None:
            raise StudyFailedError(self._told_taken())

    def flush(self, *, is_last: bool = False) -> None:
        """Uploads what is due now.

        Args:
            is_last: Whether everything is.

        Raises:
            RemoteError: If the storage does not do its part.
        """
        # A study that ends before its first trial leaves nothing, here or there.
        if not self._journal.has_trial():
            return
        self._lock.ensure()
        self._files.upload_study()
        self._journal.flush()
        if is_last or time.monotonic() - self._files_at > _FILES_SECONDS:
            self._files.upload_small()
            self._files.upload_exports()
            self._files_at = time.monotonic()
        if is_last:
            self._files.upload_checkpoints()
            self._journal.flush()

    def close(self) -> str:
        """Uploads what is missing and lets go of the run; returns what is still missing and what to do, in words."""
        self._is_closing.set()
        if self._taken is None:
            self._tell(f"completing {shown_uri(self._remote.uri)}")
        started = time.time()
        while not self._has_ended.wait(_POLL_SECONDS):
            since = self._failing_since
            if since is not None and time.time() - max(since, started) > GIVE_UP_SECONDS:
                break
        self._has_given_up.set()
        if self._taken is not None:
            return self._told_taken()
        if not self._is_complete:
            return (
                f"storage {shown_uri(self._remote.uri)}: {self._waiting()} could not be uploaded ({self._failure}); "
                f"everything is whole in {self._folder.root}; upload it with: convfleet resume {self._folder.quoted}"
            )
        self._lock.release()
        return ""

    def _run(self) -> None:
        try:
            self._upload_until_closed()
        finally:
            self._has_ended.set()

    def _upload_until_closed(self) -> None:
        delay = _PERIOD_SECONDS
        while not self._has_given_up.is_set() and not self._is_complete:
            is_last = self._is_closing.wait(delay) if self._failing_since is None else self._pause(delay)
            try:
                self.flush(is_last=is_last)
            except TakenOverError as exc:
                self._taken = exc
                return
            except Exception as exc:  # noqa: BLE001 - whatever is wrong with an upload, the study goes on and is told
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
                self._fail(str(exc) or type(exc).__name__)
            else:
                delay = _PERIOD_SECONDS
                self._recover()
                self._is_complete = is_last

    def _pause(self, delay: float) -> bool:
        """Waits before the next try, shorter while closing; returns whether the session is closing."""
        end = time.monotonic() + delay
        while time.monotonic() < end and not self._has_given_up.wait(_POLL_SECONDS):
            if self._is_closing.is_set():
                end = min(end, time.monotonic() + 5 * _PERIOD_SECONDS)
        return self._is_closing.is_set()

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self.num_failures += 1
        logger.warning('storage=%s decision=retry reason="%s"', shown_uri(self._remote.uri), reason)
        if self._failing_since is None:
            self._failing_since = time.time()
            self._tell(
                f"storage {shown_uri(self._remote.uri)}: not reachable since {moment(self._failing_since)}, "
                f"{self._waiting()} wait ({reason}); the study goes on, nothing is lost while this machine stands"
            )

    def _recover(self) -> None:
        if self._failing_since is not None:
            self._failing_since, self.num_failures = None, 0
            self._tell(f"storage {shown_uri(self._remote.uri)}: reachable again, everything until now is there")

    def _waiting(self) -> str:
        return f"{self._journal.num_waiting():,} records and what belongs to them"

    def _told_taken(self) -> str:
        return (
            f"{self._taken}; this driver stopped, and what it recorded since is in {self._folder.root} alone; go on "
            "with the other one"
        )
