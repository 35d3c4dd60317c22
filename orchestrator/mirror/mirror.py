"""Copies a run to a storage: a thread uploads what the run folder gains and never makes the study wait.

Driver and workers use the run folder on this machine alone. If the storage does not answer, the study goes on; the
mirror notifies the user once and uploads what the storage lacks as soon as it answers.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.errors import OrchestratorError, StudyFailedError
from orchestrator.mirror.files import FileMirror
from orchestrator.mirror.journal import JournalUploader, take_longer
from orchestrator.mirror.lock import RemoteLock, TakenOverError, storage_owner
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
#: How long the end of a session waits for a storage that does not answer.
GIVE_UP_SECONDS = 60.0
_POLL_SECONDS = 0.2


@contextmanager
def mirrored(folder: RunFolder, spec: StudySpec, *, notify: Notify) -> Iterator["Mirror | None"]:
    """Yields the mirror of a run, or None for a study without a storage.uri; the caller holds the run folder.

    At the end the storage has the whole run, or an error says how to upload the rest.

    Raises:
        RunFolderError: If the storage cannot be used, or another driver holds the run in it.
        StudyFailedError: If the storage lacks a part of the run in the end.
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
    """Returns the mirror of a run, already at work; the run folder's journal is then the longer one of both.

    Raises:
        RunFolderError: If the storage cannot be used, holds another run, or another driver holds it.
    """
    remote = remote_of(folder, uri)
    lock = RemoteLock(remote, owner=storage_owner(folder, now=time.time()))
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
        folder: The run folder on this machine.
        remote: The run in the storage.
        journal: Uploads the journal.
        lock: Holds the run in the storage.
        notify: Receives messages for the user.
    """

    def __init__(
        self, folder: RunFolder, *, remote: RemoteFolder, journal: JournalUploader, lock: RemoteLock, notify: Notify
    ) -> None:
        self._folder = folder
        self._remote = remote
        self._journal = journal
        self._lock = lock
        self._notify = notify
        self._files = FileMirror(folder, remote=remote, beat=lock.ensure)
        self._files_at = float("-inf")
        self._failing_since: float | None = None
        self._failure = ""
        #: How many uploads failed in a row.
        self.num_failures = 0
        self._taken: TakenOverError | None = None
        self._is_complete = False
        self._is_closing = threading.Event()
        self._has_given_up = threading.Event()
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def check(self) -> None:
        """Makes sure that this driver still holds the run in the storage.

        Raises:
            StudyFailedError: If another driver took the run over.
        """
        if self._taken is not None:
            raise StudyFailedError(self._taken_text())

    def flush(self, *, is_last: bool = False) -> None:
        """Uploads what is due.

        Args:
            is_last: Whether everything is due, checkpoints included.

        Raises:
            RemoteError: If the storage refuses a file.
            TakenOverError: If another driver took the run over.
        """
        # A study that ends before its first trial leaves nothing in the storage.
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

    def upload_checkpoints(self) -> None:
        """Uploads the checkpoints of the run folder that the storage lacks, and waits for that.

        Raises:
            RunFolderError: If the storage cannot be used.
        """
        patiently(self._files.upload_checkpoints, uri=self._remote.uri)

    def close(self) -> str:
        """Uploads the rest and releases the run; returns what the storage lacks and what to do, or an empty text."""
        self._is_closing.set()
        if self._taken is None:
            self._notify(f"completing {shown_uri(self._remote.uri)}")
        started = time.time()
        while not self._has_ended.wait(_POLL_SECONDS):
            since = self._failing_since
            if since is not None and time.time() - max(since, started) > GIVE_UP_SECONDS:
                break
        self._has_given_up.set()
        if self._taken is not None:
            return self._taken_text()
        if not self._is_complete:
            left = _left(self._journal)
            return (
                f"storage {shown_uri(self._remote.uri)}: {left} could not be uploaded ({self._failure}); "
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
            except Exception as exc:  # noqa: BLE001 - the study goes on, and the user is notified
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
                self._fail(str(exc) or type(exc).__name__)
            else:
                delay = _PERIOD_SECONDS
                self._recover()
                self._is_complete = is_last

    def _pause(self, delay: float) -> bool:
        """Waits before the next try, at most five seconds while closing; returns whether the session is closing."""
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
            self._notify(
                f"storage {shown_uri(self._remote.uri)}: not reachable since {moment(self._failing_since)}, "
                f"{_left(self._journal)} wait ({reason}); the study goes on, nothing is lost while this machine stands"
            )

    def _recover(self) -> None:
        if self._failing_since is not None:
            self._failing_since, self.num_failures = None, 0
            self._notify(f"storage {shown_uri(self._remote.uri)}: reachable again, everything until now is there")

    def _taken_text(self) -> str:
        return (
            f"{self._taken}; this driver stopped, and what it recorded since is in {self._folder.root} alone; go on "
            "with the other one"
        )


def _left(journal: JournalUploader) -> str:
    return f"{journal.num_waiting():,} records and what belongs to them"
