"""Progress of a study in a notebook's cell: one output that is replaced at most once a second."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from types import TracebackType
from typing import Literal, Self

from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import study_status
from orchestrator.results.image_shares import ImageShares
from orchestrator.text import one_line
from orchestrator.views.notebook.cell import CellOutput, cell_output
from orchestrator.views.terminal.events import Events
from orchestrator.views.terminal.progress import Progress, is_same_stage

#: What `progress` may be: "auto" is a live view in a notebook's cell, and nothing where no cell runs the code.
Shown = Progress | Literal["auto"] | None

#: The shortest time between two drawings.
_PERIOD_SECONDS = 1.0
#: The latest lines of what happened that the cell keeps.
_NUM_LINES = 8


@contextmanager
def shown_progress(progress: Shown) -> Iterator[Progress | None]:
    """Yields the progress that a call shows: the caller's own, a live view in the notebook's cell, or none.

    Args:
        progress: As the caller gave it; the caller's own is the caller's to enter.
    """
    if progress != "auto":
        yield progress
    elif (output := cell_output()) is None:
        yield None
    else:
        with CellProgress(output) as live:
            yield live


class CellProgress:
    """Shows a study in a cell's output.

    A thread of its own draws: the driver waits for no notebook, and a stage that takes long is shown though another
    message came just before it.

    Args:
        output: Where it draws.
        period_seconds: The shortest time between two drawings.
    """

    def __init__(self, output: CellOutput, *, period_seconds: float = _PERIOD_SECONDS) -> None:
        self._output = output
        self._period_seconds = period_seconds
        self._events = Events()
        self._lines: deque[str] = deque(maxlen=_NUM_LINES)
        #: Messages come from the driver, and events from the thread that draws.
        self._lock = threading.Lock()
        #: The state that the driver adds to, the time, and the seconds since the session began; None before trials.
        self._latest: tuple[StudyState, float, float] | None = None
        self._has_news, self._is_over = threading.Event(), threading.Event()
        # The kernel knows by the context which cell an output is for.
        self._thread = threading.Thread(target=copy_context().run, args=(self._draw_news,), daemon=True)

    def __enter__(self) -> Self:
        self.message("starting")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draws the study as it is now, for good."""
        self._is_over.set()
        self._has_news.set()
        self._thread.join()
        self._draw()

    def update(self, state: StudyState, *, now: float, elapsed_seconds: float) -> None:
        """Shows the study's state with the next drawing."""
        self._latest = (state, now, elapsed_seconds)
        self._has_news.set()

    def message(self, text: str) -> None:
        """Shows a stage with the next drawing, as the last line of what happened."""
        line = one_line(text)
        self._add_events()
        with self._lock:
            if self._lines and is_same_stage(line, self._lines[-1]):
                self._lines.pop()
            self._lines.append(line)
        self._has_news.set()

    def _draw_news(self) -> None:
        while not self._is_over.is_set():
            self._has_news.wait()
            self._has_news.clear()
            began = time.monotonic()
            if not self._is_over.is_set():
                self._draw()
            # A view of a large study takes long: it gets a fiftieth of the time.
            self._is_over.wait(max(self._period_seconds, 50.0 * (time.monotonic() - began)))

    def _add_events(self) -> None:
        """Adds what happened to trials since the last call, which comes before whatever is added next."""
        with self._lock:
            if self._latest is not None:
                self._lines.extend(one_line(event.text) for event in self._events.since_last(self._latest[0]))

    def _draw(self) -> None:
        from orchestrator.views.notebook import parts  # late: outside of notebooks nobody draws

        latest = self._latest
        self._add_events()
        with self._lock:
            lines = list(self._lines)
        happened = [parts.paragraph(line, is_soft=True) for line in lines]
        if latest is None:
            self._output.show(parts.whole(happened), plain=lines[-1] if lines else "")
            return
        state, now, elapsed_seconds = latest
        status = study_status(state, is_alive=not self._is_over.is_set())
        shown = [
            parts.heading(state, status=status),
            parts.bar(state, elapsed_seconds=elapsed_seconds),
            parts.counts(state),
            parts.paragraph(best := parts.best_in_words(state)),
            parts.best_trials(state, shares=ImageShares()),
            parts.running_trials(state, now=now) if status == "running" else "",
            *happened,
        ]
        self._output.show(parts.whole(shown), plain=f"{state.header.study} {status}, {best}")
