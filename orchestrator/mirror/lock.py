"""One driver at a time across machines: a heartbeat object beside the run elsewhere.

Object stores offer no atomic creation through pyarrow, so two drivers that start within a heartbeat of each other may
both begin; the one whose heartbeat was written over stops at its next one.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

from orchestrator.errors import RunFolderError
from orchestrator.runs.paths import RunFolder
from trainables.errors import RemoteError
from trainables.files.remote import RemoteFolder
from trainables.files.uris import shown_uri
from trainables.files.whole import write_whole

logger = logging.getLogger(__name__)

HEARTBEAT = "driver.json"
STALE_SECONDS = 60.0
_PERIOD_SECONDS = 10.0
#: Nothing is written on a heartbeat older than this before it is renewed: half of what lets others take over.
_FRESH_SECONDS = STALE_SECONDS / 2


class TakenOverError(RemoteError):
    """Another driver holds the run now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who is at work on a run.

    Args:
        owner: A name that the run folder keeps: its drivers follow each other, because its own lock is theirs.
        host: The machine.
        folder: The run folder there.
        pid: The process; not part of who it is.
    """

    owner: str
    host: str
    folder: str
    pid: int

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells drivers apart that may be at work at the same time."""
        return self.owner, self.host, self.folder

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, in {self.folder}"

    @classmethod
    def of(cls, folder: RunFolder) -> Self:
        """Returns this process as the holder of a run folder, whose lock it has."""
        name = folder.root / ".owner"
        if not name.is_file():
            write_whole(name, uuid.uuid4().hex)
        owner = name.read_text(encoding="utf-8").strip()
        return cls(owner=owner, host=socket.gethostname(), folder=str(folder.root.absolute()), pid=os.getpid())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Holder | None":
        """Returns the holder that a heartbeat names; None where it cannot be read."""
        try:
            found = json.loads(data)
            return Holder(
                owner=str(found["owner"]), host=str(found["host"]), folder=str(found["folder"]), pid=int(found["pid"])
            )
        except (ValueError, KeyError, TypeError):
            return None


class RemoteLock:
    """Holds a run elsewhere by a heartbeat on a thread of its own.

    Args:
        remote: The run there.
        holder: This driver.
        clock: Seconds since 1970.
    """

    def __init__(self, remote: RemoteFolder, *, holder: Holder, clock: Callable[[], float] = time.time) -> None:
        self._remote = remote
        self._holder = holder
        self._clock = clock
        self._renewed_at = 0.0
        self._taken: TakenOverError | None = None
        self._renewing = threading.Lock()
        self._is_released = threading.Event()
        self._thread = threading.Thread(target=self._run, name="remote-lock", daemon=True)

    def claim(self) -> None:
        """Takes the run.

        Raises:
            RunFolderError: If another driver was heard from within a minute.
            RemoteError: If the storage cannot be written to.
        """
        now = _storage_now(self._remote, name=self._holder.owner)
        other, seconds = heard_from(self._remote, now=now)
        if other is not None and other.identity != self._holder.identity and seconds < STALE_SECONDS:
            wait = STALE_SECONDS - max(0.0, seconds)
            raise RunFolderError(
                f"{shown_uri(self._remote.uri)}: another convfleet is at work on it ({other}, last heard from "
                f"{max(0.0, seconds):.0f} s ago); wait for it or stop it; if it is dead, try again in {wait:.0f} s"
            )
        self._write()
        self._thread.start()

    def ensure(self) -> None:
        """Renews a heartbeat that grew old, before anything is written.

        Raises:
            TakenOverError: If another driver took the run meanwhile.
            RemoteError: If the storage does not answer.
        """
        if self._taken is not None:
            raise self._taken
        # The wall clock: a machine that slept must notice, and others measure its silence by it.
        if abs(self._clock() - self._renewed_at) > _FRESH_SECONDS:
            self.renew()

    def renew(self) -> None:
        """Writes the heartbeat, unless another driver has.

        Raises:
            TakenOverError: If so.
            RemoteError: If the storage does not answer.
        """
        with self._renewing:
            data = self._remote.read(HEARTBEAT)
            other = None if data is None else Holder.from_bytes(data)
            if other is not None and other.identity != self._holder.identity:
                where = shown_uri(self._remote.uri)
                self._taken = TakenOverError(f"{where}: {other} took this run over while nothing was heard from here")
                raise self._taken
            if not self._is_released.is_set():
                self._write()

    def release(self) -> None:
        """Lets others have the run."""
        self._is_released.set()
        with self._renewing:
            try:
                data = self._remote.read(HEARTBEAT)
                if data is not None and Holder.from_bytes(data) == self._holder:
                    self._remote.delete(HEARTBEAT)
            except RemoteError as exc:
                logger.warning('heartbeat not removed reason="%s"', exc)  # it grows old by itself

    def _write(self) -> None:
        at = self._clock()
        self._remote.write(HEARTBEAT, json.dumps({**asdict(self._holder), "at": at}).encode())
        self._renewed_at = at

    def _run(self) -> None:
        while not self._is_released.wait(_PERIOD_SECONDS):
            try:
                self.renew()
            except TakenOverError:
                return  # `ensure` tells whoever writes next
            except RemoteError as exc:
                logger.warning('heartbeat not written reason="%s"', exc)


def heard_from(remote: RemoteFolder, *, now: float) -> tuple[Holder | None, float]:
    """Returns who was last at work on a run elsewhere, and how many seconds ago.

    Args:
        now: By the storage's clock.
    """
    data, changed_at = remote.read(HEARTBEAT), remote.changed_at(HEARTBEAT)
    if data is None or changed_at is None:
        return None, 0.0
    return Holder.from_bytes(data), now - changed_at


def _storage_now(remote: RemoteFolder, *, name: str) -> float:
    """Returns the time by the storage's clock, which shows as well that it can be written to."""
    probe = f"driver-{name}.probe"
    remote.write(probe, b"")
    now = remote.changed_at(probe) or time.time()
    remote.delete(probe)
    return now
