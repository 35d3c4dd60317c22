"""Prints facts: a name and a value on a line, or the parts of a time below each other."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.history.wall_time import WallPart

_BAR_LETTERS = 40


def print_fact(console: Console, name: str, value: str, *, style: str = "") -> None:
    """Prints a fact on a line of its own, however long.

    Args:
        console: The console.
        name: What it is, at most seven letters.
        value: The fact.
        style: How rich shows the value.
    """
    console.print(Text.assemble((f"{name:<8}", "dim"), (value, style)), soft_wrap=True)


def print_wall_time(console: Console, parts: Sequence[WallPart]) -> None:
    """Prints what a session's wall time was spent on, each part with a bar at its place.

    Args:
        console: The console.
        parts: By their begins; none: it says that nothing is known.
    """
    console.print()
    if not parts:
        console.print(Text("timeline: the run was made by a version that kept none, or has not begun"))
        return
    whole = max(part.end for part in parts)
    table = Table(
        "part", "from, s", "to, s", "seconds", "", title="wall time of the last session", title_justify="left"
    )
    for part in parts:
        left = round(_BAR_LETTERS * part.begin / whole)
        bar = " " * left + "#" * max(1, round(_BAR_LETTERS * part.end / whole) - left)
        numbers = [f"{value:.1f}" for value in (part.begin, part.end, part.end - part.begin)]
        table.add_row(part.name, *numbers, bar)
    console.print(table)
