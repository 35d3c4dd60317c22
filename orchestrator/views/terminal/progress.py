"""Progress of a study at work: a live view in a terminal, one line an event in files and pipes."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.replicates.words import progress_in_words
from orchestrator.results.from_state import seconds_left
from orchestrator.text import duration, one_line
from orchestrator.views.terminal.events import Events
from orchestrator.views.terminal.live_view import live_view

_FRAMES_PER_SECOND = 4
#: The shortest time between two lines of a log about the same stage.
_SECONDS_BETWEEN_COUNTS = 10.0
_COUNTED = re.compile(r"(?P<stage>.+): (?P<done>[\d,]+) of (?P<total>[\d,]+)")


class Progress(Protocol):
    """Shows the user what the driver does; a context manager."""

    def __enter__(self) -> Self:
        """Starts."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shows the rest, and leaves the terminal as it was."""
        ...

    def update(self, state: StudyState, *, now: float, elapsed_seconds: float) -> None:
        """Shows the study's state; called a few times a second.

        Args:
            now: Seconds since 1970.
            elapsed_seconds: Since this session began.
        """
        ...

    def message(self, text: str) -> None:
        """Shows a stage, such as reading the data, that lasts until the next update or message.

        Args:
            text: The stage. A count at its end, such as `: 100 of 2,000`, replaces an earlier count of the same stage.
        """
        ...


def make_progress(console: Console) -> Progress:
    """Returns the progress that suits the console: live in a terminal that can draw, else plain."""
    can_draw = console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")
    return LiveProgress(console) if can_draw else PlainProgress(console)


class LiveProgress:
    """Draws a view in a terminal again and again, and removes it at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view: RenderableType = Text("")
        self._stage = ""
        self._live = Live(self._view, console=console, transient=True, refresh_per_second=_FRAMES_PER_SECOND)
        self._is_gone = False

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._terminal():
            self._end_stage()
        with self._terminal():
            self._live.stop()

    def update(self, state: StudyState, *, now: float, elapsed_seconds: float) -> None:
        """Draws the study's state."""
        if self._is_gone:
            return
        with self._terminal():
            self._end_stage()
            self._view = live_view(state, console=self._console, now=now, elapsed_seconds=elapsed_seconds)
            self._live.update(self._view)

    def message(self, text: str) -> None:
        """Shows a stage beside a spinner; the stage stays as a line above the view once it is over."""
        line = one_line(text)
        with self._terminal():
            if not is_same_stage(line, self._stage):
                self._end_stage()
            self._stage = line
            self._live.update(Group(self._view, Spinner("dots", text=Text(self._stage))))

    @contextmanager
    def _terminal(self) -> Iterator[None]:
        """Lets the study go on without its terminal, as after the user closed the window of a disowned process."""
        try:
            yield
        except OSError:
            self._is_gone = True

    def _end_stage(self) -> None:
        if self._stage and not self._is_gone:
            self._console.print(Text(self._stage, style="dim"))
            self._stage = ""


class PlainProgress:
    """Prints one line an event, without colours or control codes.

    Args:
        console: Where the lines go.
        clock: Seconds from any start.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._events = Events()
        self._stage, self._stage_at = "", 0.0
        self._last: tuple[StudyState, float] | None = None
        self._is_silent = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last is not None:
            state, elapsed_seconds = self._last
            self._print_events(state, elapsed_seconds=elapsed_seconds)

    def update(self, state: StudyState, *, now: float, elapsed_seconds: float) -> None:
        """Prints the events since the last update, in the order in which they happened."""
        self._last = (state, elapsed_seconds)
        self._print_events(state, elapsed_seconds=elapsed_seconds)

    def message(self, text: str) -> None:
        """Prints a stage; of its counts the first, the last, and one every few seconds between."""
        counted = _COUNTED.fullmatch(text)
        is_last = counted is not None and counted["done"] == counted["total"]
        is_recent = self._clock() - self._stage_at < _SECONDS_BETWEEN_COUNTS
        if is_same_stage(text, self._stage) and is_recent and not is_last:
            return
        self._stage, self._stage_at = text, self._clock()
        self._print(text)

    def _print_events(self, state: StudyState, *, elapsed_seconds: float) -> None:
        events = self._events.since_last(state)
        for event in events:
            self._print(event.text)
        if any(event.is_end for event in events):
            again = progress_in_words(state)
            searched = search_alone(state)
            # Nobody knows how many replicates follow.
            left = None if again else seconds_left(searched, elapsed=elapsed_seconds)
            estimate = f", about {duration(left)} left" if left else ""
            total, elapsed = state.header.num_trials, duration(elapsed_seconds)
            ended = f"{searched.num_ended} of {total} trials ended{f', {again},' if again else ''}"
            self._print(f"{ended} after {elapsed}{estimate}")

    def _print(self, text: str) -> None:
        # A log with a narrow encoding gets question marks; a study must not end over one letter.
        encoding = self._console.encoding
        line = one_line(text).encode(encoding, "replace").decode(encoding)
        if self._is_silent:
            return
        try:
            self._console.print(Text(line), soft_wrap=True)
        except (OSError, SystemExit):
            # The reader of the lines is gone, as in `convfleet run ... | head`: the study goes on without one.
            self._is_silent = True


def is_same_stage(text: str, earlier: str) -> bool:
    """Returns whether both count the same thing."""
    found, before = _COUNTED.fullmatch(text), _COUNTED.fullmatch(earlier)
    return found is not None and before is not None and found["stage"] == before["stage"]
