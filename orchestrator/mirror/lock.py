"""One driver at a time across machines: a heartbeat object beside the run in the storage.

Object stores offer no atomic creation through pyarrow, so two drivers that start within a heartbeat of each other may
both begin. The driver whose heartbeat the other one overwrote stops at its next heartbeat.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from orchestrator.errors import RunFolderError
from orchestrator.runs.owner import HEARTBEAT_SECONDS, LIMIT_SECONDS, Owner, owner_of_heartbeat, this_driver
from orchestrator.runs.paths import RunFolder
from trainables.errors import RemoteError
from trainables.files.remote import RemoteFolder
from trainables.files.uris import shown_uri
from trainables.files.whole import write_whole

logger = logging.getLogger(__name__)

HEARTBEAT = "driver.json"
#: A driver renews a heartbeat older than this before it writes: half of the age at which others take over.
_FRESH_SECONDS = LIMIT_SECONDS / 2


class TakenOverError(RemoteError):
    """Another driver has taken the run over."""


class RemoteLock:
    """Holds a run in the storage by a heartbeat on a thread of its own.

    Args:
        remote: The run in the storage.
        owner: This driver, as `storage_owner` returns it.
        clock: Seconds since 1970.
    """

    def __init__(self, remote: RemoteFolder, *, owner: Owner, clock: Callable[[], float] = time.time) -> None:
        self._remote = remote
        self._owner = owner
        self._clock = clock
        self._renewed_at = 0.0
        self._taken: TakenOverError | None = None
        self._renewing = threading.Lock()
        self._is_released = threading.Event()
        self._thread = threading.Thread(target=self._run, name="remote-lock", daemon=True)

    def claim(self) -> None:
        """Takes the run.

        Raises:
            RunFolderError: If another driver wrote a heartbeat within the last minute.
            RemoteError: If the storage cannot be written to.
        """
        now = _storage_now(self._remote, name=self._owner.run_token)
        other, seconds = heard_from(self._remote, now=now)
        if other is not None and other.identity != self._owner.identity and seconds < LIMIT_SECONDS:
            wait = LIMIT_SECONDS - max(0.0, seconds)
            who = f"{other.folder_in_words}, last heard from {max(0.0, seconds):.0f} s ago"
            raise RunFolderError(
                f"{shown_uri(self._remote.uri)}: another convfleet is at work on it ({who}); wait for it or stop it; "
                f"if it is dead, try again in {wait:.0f} s"
            )
        self._write()
        self._thread.start()

    def ensure(self) -> None:
        """Renews the heartbeat if it is old; called before every upload.

        Raises:
            TakenOverError: If another driver took the run meanwhile.
            RemoteError: If the storage does not answer.
        """
        if self._taken is not None:
            raise self._taken
        # The wall clock also runs while the machine sleeps, and other drivers measure its silence by it.
        if abs(self._clock() - self._renewed_at) > _FRESH_SECONDS:
            self.renew()

    def renew(self) -> None:
        """Writes the heartbeat, unless another driver has taken the run over.

        Raises:
            TakenOverError: If another driver has.
            RemoteError: If the storage does not answer.
        """
        with self._renewing:
            data = self._remote.read(HEARTBEAT)
            other = None if data is None else owner_of_heartbeat(data)
            if other is not None and other.identity != self._owner.identity:
                where = shown_uri(self._remote.uri)
                self._taken = TakenOverError(
                    f"{where}: {other.folder_in_words} took this run over while nothing was heard from here"
                )
                raise self._taken
            if not self._is_released.is_set():
                self._write()

    def release(self) -> None:
        """Removes the heartbeat, so that another driver can take the run."""
        self._is_released.set()
        with self._renewing:
            try:
                data = self._remote.read(HEARTBEAT)
                if data is not None and self._is_own(owner_of_heartbeat(data)):
                    self._remote.delete(HEARTBEAT)
            except RemoteError as exc:
                logger.warning('heartbeat not removed reason="%s"', exc)  # after a minute it counts as dead

    def _is_own(self, owner: Owner | None) -> bool:
        return owner is not None and (owner.identity, owner.pid) == (self._owner.identity, self._owner.pid)

    def _write(self) -> None:
        at = self._clock()
        self._remote.write(HEARTBEAT, json.dumps(self._owner.heard_of(at=at).to_heartbeat()).encode())
        self._renewed_at = at

    def _run(self) -> None:
        while not self._is_released.wait(HEARTBEAT_SECONDS):
            try:
                self.renew()
            except TakenOverError:
                return  # `ensure` raises it before the next upload
            except RemoteError as exc:
                logger.warning('heartbeat not written reason="%s"', exc)


def storage_owner(folder: RunFolder, *, now: float) -> Owner:
    """Returns this process, which holds the lock of the run folder, as the owner of the run in the storage."""
    return replace(this_driver(now=now), run_token=run_token(folder), folder=str(folder.root.absolute()))


def run_token(folder: RunFolder) -> str:
    """Returns what tells this run folder from others, of other runs and of other machines."""
    kept = folder.root / ".owner"
    if not kept.is_file():
        write_whole(kept, uuid.uuid4().hex)
    return kept.read_text(encoding="utf-8").strip()


def heard_from(remote: RemoteFolder, *, now: float) -> tuple[Owner | None, float]:
    """Returns the driver that wrote the last heartbeat of a run in the storage, and its age in seconds.

    Args:
        now: The time by the storage's clock.
    """
    data, changed_at = remote.read(HEARTBEAT), remote.changed_at(HEARTBEAT)
    if data is None or changed_at is None:
        return None, 0.0
    return owner_of_heartbeat(data), now - changed_at


def _storage_now(remote: RemoteFolder, *, name: str) -> float:
    """Returns the time by the storage's clock, from a file that this function writes, which proves that it can."""
    probe = f"driver-{name}.probe"
    remote.write(probe, b"")
    now = remote.changed_at(probe) or time.time()
    remote.delete(probe)
    return now
