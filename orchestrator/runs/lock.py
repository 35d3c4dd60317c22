"""One driver at a time: the system's lock, and a file that names its holder and the last heartbeat.

On one machine the operating system's lock is the truth: it is free as soon as its holder is dead. Other machines may
not see it through a network file system, so the owner file counts on those: an owner on another machine counts as
alive for `LIMIT_SECONDS` after its last heartbeat. Its times are those of its own clock: a clock that is ahead or
behind makes that wait longer or shorter by as much.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from orchestrator.errors import RunFolderError, StudyPausedError
from orchestrator.runs.owner import (
    HEARTBEAT_SECONDS,
    LIMIT_SECONDS,
    Owner,
    forget_owner,
    read_owner,
    this_driver,
    write_owner,
)
from orchestrator.runs.paths import RunFolder

_LOCK_TIMEOUT_SECONDS = 1.0


class DriverLock:
    """A run folder that this driver holds; use it as a context manager to keep its heartbeat going.

    Args:
        folder: The run.
        owner: This driver.
        clock: Seconds since 1970.
    """

    def __init__(self, folder: RunFolder, *, owner: Owner, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._owner = owner
        self._clock = clock
        self._confirmed_at = clock()
        self._is_closing = threading.Event()
        #: Set once another driver has taken over; nothing may be written from then on.
        self.is_lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "DriverLock":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing.set()
        self._thread.join()
        if not self._is_anothers():
            forget_owner(self._folder)

    def check(self) -> None:
        """Makes sure that this driver may still write; reads the disk only if no heartbeat did so lately.

        Raises:
            StudyPausedError: If another driver has taken over.
        """
        # A machine that slept, or a disk that hung, may have kept the heartbeat from noticing.
        if not self.is_lost.is_set() and self._clock() - self._confirmed_at > 3 * HEARTBEAT_SECONDS:
            self.beat()
        if self.is_lost.is_set():
            raise StudyPausedError(taken_over(self._folder))

    def beat(self) -> None:
        """Writes this driver's heartbeat, unless another one has taken over; never fails."""
        if self._is_anothers():
            self.is_lost.set()
            return
        now = self._clock()
        self._confirmed_at = now
        write_owner(self._folder, self._owner.heard_of(at=now))

    def _is_anothers(self) -> bool:
        other = read_owner(self._folder)
        return self.is_lost.is_set() or (other is not None and other.token != self._owner.token)

    def _run(self) -> None:
        while not self._is_closing.wait(HEARTBEAT_SECONDS):
            self.beat()


@contextmanager
def driver_lock(
    folder: RunFolder, *, notify: Callable[[str], None] = lambda text: None, clock: Callable[[], float] = time.time
) -> Iterator[DriverLock]:
    """Holds a run folder for this driver alone; the operating system frees it if the driver dies.

    Args:
        folder: The run folder.
        notify: Receives a message for the user if the driver takes the folder over from one that died.
        clock: Returns seconds since 1970.

    Raises:
        RunFolderError: If another driver holds it, saying which.
    """
    lock = FileLock(folder.lock, timeout=_LOCK_TIMEOUT_SECONDS, mode=0o600)
    try:
        lock.acquire()
    except Timeout as exc:
        raise RunFolderError(_held(folder, now=clock())) from exc
    try:
        if word := _take_over(folder, now=clock()):
            notify(word)
        _remove_drafts(folder)
        owner = this_driver(now=clock())
        write_owner(folder, owner)
        with DriverLock(folder, owner=owner, clock=clock) as held:
            yield held
    finally:
        lock.release()


def is_driver_alive(folder: RunFolder, *, clock: Callable[[], float] = time.time) -> bool:
    """Returns whether a driver is at work on a run, as far as this machine can know.

    Args:
        folder: The run folder.
        clock: Returns seconds since 1970.
    """
    owner = read_owner(folder)
    is_anywhere = owner is not None and not owner.is_here and owner.age(clock()) < LIMIT_SECONDS
    if not folder.lock.exists():
        return is_anywhere
    try:
        with FileLock(folder.lock, timeout=0, mode=0o600):
            return is_anywhere
    except Timeout:
        return True
    except OSError:
        # This user may only read the folder and so cannot try the lock: the heartbeat decides.
        return owner is not None and owner.age(clock()) < LIMIT_SECONDS


def taken_over(folder: RunFolder) -> str:
    """Returns the error of a driver whose run another one has taken over.

    Args:
        folder: The run folder.
    """
    other = read_owner(folder)
    who = f" on {other.where}" if other is not None else ""
    return (
        f"{folder.root}: another driver{who} has taken over this run, so this one stops and writes no more; `convfleet "
        f"status {folder.quoted}` shows how far the run is"
    )


def _held(folder: RunFolder, *, now: float) -> str:
    owner = read_owner(folder)
    who = f" ({owner.in_words(now=now)})" if owner is not None else ""
    return (
        f"{folder.root}: another convfleet is at work on it{who}; wait for it or stop it; `convfleet status "
        f"{folder.quoted}` shows how far it is"
    )


def _take_over(folder: RunFolder, *, now: float) -> str:
    """Returns what to say where the last driver did not end by itself; an empty text where it did.

    Raises:
        RunFolderError: If that driver is on another machine and may be alive.
    """
    owner = read_owner(folder)
    if owner is None:
        return ""
    if owner.is_running and owner.pid != os.getpid():
        # Its lock is free all the same: somebody removed the file, or the file system knows no locks.
        raise RunFolderError(_held(folder, now=now))
    if owner.is_here:
        return f"the last driver on {owner.where} died; taking over"
    age = owner.age(now)
    if age >= LIMIT_SECONDS:
        return f"the driver on {owner.where} was last heard of {owner.heard_in_words(now=now)}; taking over"
    wait = LIMIT_SECONDS - age
    next_step = f"try again in {wait:.0f} s: unless it is heard of until then, it counts as dead and is taken over"
    if wait > 2 * LIMIT_SECONDS:
        next_step = (
            f"the clocks of the two machines differ by {-age:.0f} s or more: set them, and remove {folder.driver} "
            "if that driver is dead"
        )
    raise RunFolderError(
        f"{folder.root}: another convfleet is at work on it ({owner.in_words(now=now)}); wait for it or stop it; "
        f"{next_step}"
    )


def _remove_drafts(folder: RunFolder) -> None:
    """Removes the drafts of a driver that died while it wrote a file; only the run's holder writes drafts."""
    for path in (folder.driver, folder.study, folder.environment, folder.trials, folder.epochs, folder.references):
        for draft in folder.root.glob(f".{path.name}.*.tmp"):
            draft.unlink(missing_ok=True)
