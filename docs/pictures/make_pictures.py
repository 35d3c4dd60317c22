"""Makes the pictures of README.md anew: `python docs/pictures/make_pictures.py`, about a minute on two CPU cores.

The script runs the quickstart and draws what that run showed:

- `terminal-live.svg`: the live view half-way through the run,
- `terminal-summary.svg`: the summary at its end,
- `report.svg`: learning curves and best trials from the run's tables, in the colours of report.html.

`how-it-works.svg` is drawn by hand.
"""

import os
import re
import tempfile
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Self

from report_picture import report_picture
from rich.console import Console
from rich.text import Text

from convfleet import load_study, run_study
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import TrialState
from orchestrator.views.terminal.live_view import live_view
from orchestrator.views.terminal.summary import print_summary

PICTURES = Path(__file__).resolve().parent
COMMAND = "$ convfleet run quickstart"
WIDTH, HEIGHT = 132, 30
#: The trials that have ended when the live view is kept: about half of the quickstart's 16.
NUM_ENDED = range(5, 13)


class Snapshots:
    """A progress that keeps one view of a study half-way."""

    def __init__(self) -> None:
        self.kept = ""
        #: How many trials run in the kept view, and the epoch of the one that is furthest behind.
        self._kept_at = (0, 0)
        self._stages: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does nothing: nothing was drawn."""

    def update(self, state: StudyState, *, now: float, elapsed_seconds: float) -> None:
        """Keeps the view, once half of the trials have ended, in which both running trials are furthest."""
        running = [trial for trial in state.trials.values() if trial.state is TrialState.RUNNING]
        at = (len(running), min((trial.epoch for trial in running), default=0))
        if state.num_ended not in NUM_ENDED or at <= self._kept_at:
            return
        self._kept_at = at
        console = recording_console()
        for stage in self._stages:
            console.print(Text(stage, style="dim"))
        console.print(live_view(state, console=console, now=now, elapsed_seconds=elapsed_seconds))
        self.kept = picture_of(console, name="live")

    def message(self, text: str) -> None:
        """Keeps a stage, but for counts, which replace each other in a terminal."""
        if not re.search(r": [\d,]+ of [\d,]+$", text):
            self._stages.append(text)


def recording_console() -> Console:
    """Returns a console that shows nothing and begins with the command."""
    console = Console(
        record=True, file=StringIO(), force_terminal=True, color_system="truecolor", width=WIDTH, height=HEIGHT
    )
    console.print(Text(COMMAND, style="bold"))
    return console


def picture_of(console: Console, *, name: str) -> str:
    """Returns what a console printed as an SVG that needs no other file."""
    # The last line would lose what is below its letters.
    console.print()
    svg = console.export_svg(title="convfleet", unique_id=name)
    # rich asks a server for its font; pictures on a page may not, so that they take the reader's own.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Runs the quickstart in a temporary folder and writes the pictures."""
    progress = Snapshots()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        result = run_study(load_study("quickstart"), progress=progress)
        console = recording_console()
        print_summary(console, result.state, folder=result.folder)
        pictures = {
            "terminal-live.svg": progress.kept,
            "terminal-summary.svg": picture_of(console, name="summary"),
            "report.svg": report_picture(result),
        }
        os.chdir(PICTURES)
    for name, svg in pictures.items():
        if not svg:
            raise SystemExit(f"{name}: nothing was kept; run the script again on a quieter machine")
        lines = [line.rstrip() for line in svg.strip().splitlines()]
        (PICTURES / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
