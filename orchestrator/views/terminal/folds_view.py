"""Variants over the folds of a study, printed for people and for scripts."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.journal.study_state import StudyState
from orchestrator.results import words
from orchestrator.results.from_state import varying_parameters
from orchestrator.results.over_folds import FoldedVariant
from orchestrator.text import number


def folds_json(variants: Sequence[FoldedVariant]) -> list[dict[str, Any]]:
    """Returns each variant with its mean, deviation and values, best first."""
    return [
        {
            "variant_id": item.variant.variant_id,
            "family": item.variant.family,
            "params": item.variant.to_json()["params"],
            "mean": item.mean,
            "deviation": item.deviation,
            "values": list(item.values),
        }
        for item in variants
    ]


def print_folds(console: Console, variants: Sequence[FoldedVariant], *, state: StudyState, k: int = 10) -> None:
    """Prints the k best variants by their mean over the folds.

    Args:
        state: The state of the first fold's run.
        k: How many.
    """
    console.print()
    if not variants:
        message = "no variant has a result in all of these runs; search with grid or random, and one seed"
        console.print(Text(message, style="yellow"))
        return
    num_folds, varying = len(variants[0].values), varying_parameters(list(state.trials.values()))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for heading in ("rank", f"mean {state.header.metric}", "deviation", "lowest", "highest"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(f"variant, over {num_folds} folds", ratio=1)
    for rank, item in enumerate(variants[:k], start=1):
        numbers = [number(value) for value in (item.mean, item.deviation, min(item.values), max(item.values))]
        params = words.parameters(item.variant.params, names=varying)
        table.add_row(str(rank), *numbers, Text(f"{item.variant.family} {params}", style="dim"))
    console.print(table)
