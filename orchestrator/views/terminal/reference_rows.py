"""The reference rows of a study in a terminal, and the sentence for one whose best trial does not beat them."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.journal.study_state import StudyState
from orchestrator.results.image_shares import image_shares
from orchestrator.results.references import read_references, shown_metrics, verdict
from orchestrator.runs.paths import RunFolder
from orchestrator.views.terminal.facts import print_fact


def print_verdict(console: Console, state: StudyState, *, folder: RunFolder) -> None:
    """Prints that the best trial does not beat the reference rows, if it does not.

    Args:
        console: The console.
        state: The study.
        folder: Its run folder.
    """
    if sentence := verdict(state, read_references(folder), shares=image_shares(folder)):
        print_fact(console, "verdict", sentence, style="bold red")


def print_references(console: Console, state: StudyState, *, folder: RunFolder) -> None:
    """Prints the reference rows below the leaderboard; nothing for a run without them.

    Args:
        console: The console.
        state: The study.
        folder: Its run folder.
    """
    rows, shares = read_references(folder), image_shares(folder)
    names = shown_metrics(rows, metric=state.header.metric)
    if not rows or not names:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("reference", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [row.shares(shares).in_words(name, row.metrics.get(name), is_named=False) for name in names]
        table.add_row(Text(row.name, style="dim"), *cells)
    console.print()
    console.print(table)
