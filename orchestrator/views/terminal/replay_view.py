"""What other rules would have made of a run, printed for people and for scripts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.planning.replay import Range, Replayed
from orchestrator.text import duration, number

#: How a range's two numbers are parted.
_TO = " to "
_MOST_NAMED = 8


def replay_json(
    was: Replayed, policies: Sequence[Replayed], *, left_out: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Returns the run, what each policy would have made of it, and why a rule is left out where one is."""
    content = {"run": asdict(was), "policies": [asdict(item) for item in policies]}
    return {**content, **({"left_out": dict(left_out)} if left_out else {})}


def print_replay(
    console: Console,
    was: Replayed,
    policies: Sequence[Replayed],
    *,
    metric: str,
    left_out: Mapping[str, str] | None = None,
) -> None:
    """Prints a row for the run and one for each policy, and how far the numbers reach.

    Args:
        console: Where to.
        was: The run itself.
        policies: What replays found.
        metric: The objective's name.
        left_out: By the name of a rule that the run cannot tell of, why.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for heading in ("trials", "stopped", "epochs", "core time", "wall time", f"best {metric}"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("by")
    for name, item in (("the run", was), *((f"with {item.schedule}", item) for item in policies)):
        table.add_row(name, *_cells(item))
    console.print(table)
    if any(item.open for item in policies):
        console.print(
            Text(
                "a to b: some trials would have gone on after their last known epoch. a holds if they ended there and "
                "beat the others, b if they trained to their ends and were beaten. The best is of known epochs.",
                style="dim",
            )
        )
        for item in policies:
            if item.open:
                console.print(Text(f"with {item.schedule}, open: {_named(item.open)}", style="dim"))
    for name, reason in (left_out or {}).items():
        console.print(Text(f"with {name}, left out: {reason}", style="dim"))
    console.print(
        Text(
            "The trials are the run's: a search that learns would have proposed others after other results.",
            style="dim",
        )
    )


def _cells(item: Replayed) -> list[str]:
    return [
        _range(item.num_trials, _whole),
        _range(item.num_stopped, _whole),
        _range(item.epochs, _whole),
        _range(item.core_seconds, duration),
        _range(item.wall_seconds, duration),
        "" if item.best_value is None else _range(item.best_value, number),
        " or ".join(item.best_trials),
    ]


def _range(given: Range, shown: Callable[[float], str]) -> str:
    low, high = shown(given.low), shown(given.high)
    return low if low == high else f"{low}{_TO}{high}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"
