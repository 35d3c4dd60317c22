"""Trackers beside a run: a process of its own follows the journal, so that no tracker can harm the study."""

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

from orchestrator.errors import OrchestratorError, TrackerError
from orchestrator.journal.reading import read_state
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_space
from orchestrator.text import printable
from orchestrator.trackers.cursor import one_sender
from orchestrator.trackers.following import follow
from orchestrator.trackers.tracking import Tracking, tracker_problem

#: Set in the process that `trackers_beside` starts: its driver says by its standard input that the session is over.
BESIDE_VARIABLE = "CONVFLEET_TRACK_BESIDE"
#: How long the end of a session waits for trackers that have not got everything.
FINISH_SECONDS = 60.0
_END_SECONDS, _LOOK_SECONDS = 5.0, 1.0
#: What is said at once takes no longer than this.
_SHORT_SECONDS = 2.0
_NOTE, _ERROR = "note: ", "error: "


@contextmanager
def trackers_beside(folder: RunFolder, *, notify: Callable[[str], None]) -> Iterator[Callable[[Sequence[str]], None]]:
    """Yields what begins to send a run to trackers; at the end they get what they lack, or the user hears how to.

    Args:
        folder: The run folder, which the caller holds.
        notify: Shows the user a message; another thread calls it, too.
    """
    sender = _Sender(folder, notify=notify)
    try:
        yield sender.begin
    finally:
        sender.finish()


class _Sender:
    """The process that sends a run to its trackers."""

    def __init__(self, folder: RunFolder, *, notify: Callable[[str], None]) -> None:
        self._folder, self._notify = folder, notify
        self._names: Sequence[str] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._last_error = ""

    def begin(self, names: Sequence[str]) -> None:
        """Starts the process, unless it was started; a system that refuses it costs the trackers alone."""
        if self._process is not None:
            return
        problems = {name: tracker_problem(name) for name in names}
        for problem in filter(None, problems.values()):
            self._notify(f"track: {problem}; the study goes on without it")
        self._names = [name for name, problem in problems.items() if not problem]
        if not self._names:
            return
        options = [word for name in self._names for word in ("--to", name)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "convfleet", "track", str(self._folder.root), *options, "--follow"],
                env={**os.environ, BESIDE_VARIABLE: "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # Ctrl-C is the driver's: its last records are sent after it.
                start_new_session=True,
            )
        except OSError as exc:
            self._notify(f"track: nothing is sent while the study runs ({exc}); {self._next_step()}")
            return
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), name="track", daemon=True)
        self._listener.start()

    def finish(self) -> None:
        """Waits until the trackers have everything, but not for long."""
        process = self._process
        if process is None or process.stdin is None or self._listener is None:
            return
        try:
            with suppress(OSError):
                process.stdin.close()
            problem = self._problem_of(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        self._listener.join(_END_SECONDS)
        if problem:
            self._notify(f"track: {problem}{self._last_error and f' ({self._last_error})'}; {self._next_step()}")

    def _problem_of(self, process: "subprocess.Popen[bytes]") -> str:
        """Waits for the end of the process, and returns what is wrong with it; an empty text if nothing is."""
        try:
            code = process.wait(_SHORT_SECONDS)
        except subprocess.TimeoutExpired:
            self._notify(f"track: {' and '.join(self._names)} get the rest of the run")
            try:
                code = process.wait(FINISH_SECONDS)
            except subprocess.TimeoutExpired:
                return f"not everything was sent within {FINISH_SECONDS:g} s"
        return "" if code == 0 else "not everything was sent"

    def _listen(self, stream: IO[bytes]) -> None:
        """Passes on what the process says to its user; what a library of a tracker prints is not for the driver's."""
        for line in stream:
            text = printable(line.decode("utf-8", errors="replace").strip())
            if text.startswith(_NOTE):
                self._notify(f"track: {text.removeprefix(_NOTE)}")
            elif text.startswith(_ERROR):
                self._last_error = text.removeprefix(_ERROR)

    def _next_step(self) -> str:
        options = " ".join(f"--to {name}" for name in self._names)
        return f"`convfleet track {self._folder.quoted} {options}` sends the rest"


def is_beside() -> bool:
    """Returns whether a driver started this process beside its run."""
    return os.environ.get(BESIDE_VARIABLE) == "1"


def follow_beside(folder: RunFolder, names: Sequence[str], *, notify: Callable[[str], None]) -> None:
    """Sends a run to trackers until the driver that started this process says that its session is over, or dies.

    Args:
        folder: The run folder; its journal may have no record yet.
        names: The trackers'.
        notify: Receives a message for the user.

    Raises:
        OrchestratorError: If a tracker lacks something at the end.
    """
    closing = threading.Event()
    threading.Thread(target=_wait_for_driver, args=(closing, os.getppid()), name="driver", daemon=True).start()
    while read_state(folder).opened is None:
        if closing.wait(_LOOK_SECONDS):
            break
    if read_state(folder).opened is None:
        return
    with ExitStack() as stack:
        follow(
            {name: _opener(folder, name, stack) for name in names},
            is_over=closing.is_set,
            wait=closing.wait,
            clock=time.monotonic,
            notify=notify,
        )


def _wait_for_driver(closing: threading.Event, driver: int) -> None:
    """Notices the end of the driver's session: it closes this process's input, or is dead."""
    while os.getppid() == driver:
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
        if ready:
            break
    closing.set()


def _opener(folder: RunFolder, name: str, stack: ExitStack) -> Callable[[], Tracking]:
    """Returns what opens the run for a tracker; whatever keeps it from that may be over the next time."""
    held: list[bool] = []

    def open_tracking() -> Tracking:
        try:
            if not held:
                # The process of a driver that died may send the rest of its session still.
                stack.enter_context(one_sender(folder, tracker=name))
                held.append(True)
            space = load_space(folder.study) if name == "tensorboard" else None
            return Tracking(folder, tracker=name, space=space)
        except OrchestratorError as exc:
            raise TrackerError(str(exc)) from exc

    return open_tracking
