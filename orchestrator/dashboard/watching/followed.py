"""A run as the dashboard follows it: its journal's state as it grows, its problem if it has one, and cached answers."""

import gc
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.dashboard.watching.tail import JournalReplacedError, JournalTail
from orchestrator.errors import JournalError
from orchestrator.journal.records import Record
from orchestrator.journal.study_state import StudyState, apply_read
from orchestrator.runs.lock import is_driver_alive
from orchestrator.runs.paths import RunFolder

#: How often a lock tells whether the driver is at work.
_ALIVE_SECONDS = 3.0
_MUCH_BYTES = 5_000_000
#: So many answers are kept, those that were asked for last: a slider alone asks for twenty figures.
MOST_ANSWERS = 40
_GONE = "its folder is gone or cannot be read ({reason}); what was read before is shown"
_EMPTY = "its journal has no record yet; a driver at work on it still reads the images"


class FollowedRun:
    """One run, read from its journal alone; no driver is asked.

    Args:
        key: What the run is called in addresses.
        folder: The run folder.
        uri: Where the run lies in a storage, if the folder is a copy of it; empty: it is no copy.

    Attributes:
        state: What the journal says, up to the last `poll`.
        version: Changes whenever something that pages show has changed.
        problem: Why the run cannot be followed, in words; empty where it can.
        is_alive: Whether a driver is at work, as far as this machine can know.
        is_elsewhere: Of a copy, whether its driver is at work on another machine; None: nobody has asked so far.
        copying: Held while the copy is brought up to date, which holds the run folder as a driver does.
        trouble: What else keeps it from being followed, which whoever follows it sets; empty: nothing does.
    """

    def __init__(self, key: str, folder: RunFolder, *, uri: str = "") -> None:
        self.key, self.folder, self.uri = key, folder, uri
        self.is_elsewhere: bool | None = None if uri else False
        self.copying = threading.Lock()
        self.state = StudyState()
        self.version = 0
        self.problem = self.trouble = ""
        self.is_alive = False
        #: What was read and not taken; a state is that of another journal, which lies in the place of the first.
        self._waiting: deque[Record | StudyState] = deque()
        #: Why the journal's end cannot be read, and which of its records cannot be true.
        self._unreadable = self._contradiction = ""
        self._is_alive, self._asked_alive_at = False, 0.0
        self._tail = JournalTail(folder.journal)
        self._lock, self._answers_lock = threading.Lock(), threading.Lock()
        self._answers: dict[Hashable, tuple[int, Any]] = {}

    @property
    def is_open(self) -> bool:
        """Whether there is a study to show."""
        return self.state.opened is not None

    @property
    def num_records(self) -> int:
        """How many records of the journal the state has."""
        return self.state.num_records

    def poll(self) -> bool:
        """Reads and takes what was added since the last time, and returns whether anything changed; never fails."""
        self.read()
        return self.take()

    def read(self) -> None:
        """Reads what was added since the last time, for `take`; on any thread, as a large journal takes seconds."""
        with self._lock:
            try:
                self._unreadable = ""
                self._read_on()
            except OSError as exc:
                self._unreadable = _GONE.format(reason=exc.strerror or exc)
            except JournalError as exc:
                self._unreadable = str(exc)
            self._ask_alive()

    def take(self, *, most: int | None = None) -> bool:
        """Applies records that were read, and returns whether anything changed since the last time.

        Where pages read the state on one thread, as a server does, only that thread calls this.

        Args:
            most: How many records at most; None: all.
        """
        num_taken = 0
        while self._waiting and (most is None or num_taken < most):
            record = self._waiting.popleft()
            num_taken += 1
            if isinstance(record, StudyState):
                self.state = record
                self._answers.clear()
            else:
                self._apply(record, self.state)
        problem = self._contradiction or self._unreadable or self.trouble or ("" if self.is_open else _EMPTY)
        changed = bool(num_taken) or (problem, self._is_alive) != (self.problem, self.is_alive) or not self.version
        self.problem, self.is_alive = problem, self._is_alive
        self.version += changed
        return changed

    @property
    def has_more(self) -> bool:
        """Whether records were read that were not taken."""
        return bool(self._waiting)

    def answer(self, question: Hashable, make: Callable[[], Any]) -> Any:
        """Returns what `make` returns for the present version; each question is worked out once a version.

        Args:
            question: Names the answer.
            make: Works it out from the state.
        """
        version = self.version
        found = self._answers.get(question)
        if found is None or found[0] != version:
            found = (version, make())
        with self._answers_lock:
            self._answers.pop(question, None)
            self._answers[question] = found
            while len(self._answers) > MOST_ANSWERS:
                del self._answers[next(iter(self._answers))]
        return found[1]

    def _apply(self, record: Record, state: StudyState) -> None:
        """Applies a record, unless one before it could not be true."""
        if not self._contradiction:
            try:
                apply_read(state, record, number=state.num_records + 1)
            except JournalError as exc:
                self._contradiction = f"{self.folder.journal}: {exc}"

    def _read_on(self) -> None:
        try:
            if self._tail.has_grown():
                self._read_new()
        except JournalReplacedError:
            # Repaired, fetched again or begun anew: read whole before pages see any of it.
            self._tail, self._contradiction = JournalTail(self.folder.journal), ""
            self._waiting.clear()
            self._waiting.append(state := StudyState())
            with _much_read(self.folder.journal):
                for record in self._tail.new_records():
                    self._apply(record, state)

    def _read_new(self) -> None:
        is_first = not self.version
        with _much_read(self.folder.journal, after=self._tail.num_bytes):
            for record in self._tail.new_records():
                if is_first:
                    # Nobody reads the state yet, and all records at once would need twice the memory.
                    self._apply(record, self.state)
                else:
                    self._waiting.append(record)

    def _ask_alive(self) -> None:
        if (now := time.monotonic()) < self._asked_alive_at + _ALIVE_SECONDS and self._asked_alive_at:
            return
        if not self.copying.acquire(blocking=False):
            return
        self._asked_alive_at = now
        try:
            self._is_alive = bool(self.is_elsewhere) or is_driver_alive(self.folder)
        except OSError:
            self._is_alive = False
        finally:
            self.copying.release()


@contextmanager
def _much_read(path: Path, *, after: int = 0) -> Iterator[None]:
    """Keeps Python from looking for garbage while much is read: none of it is, and looking takes a tenth of the time.

    Args:
        path: The journal.
        after: How much of it was read before, in bytes.
    """
    is_collecting = gc.isenabled() and path.stat().st_size - after > _MUCH_BYTES
    if is_collecting:
        gc.disable()
    try:
        yield
    finally:
        if is_collecting:
            gc.enable()
