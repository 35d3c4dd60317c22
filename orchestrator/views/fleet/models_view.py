"""The models of a run, one a row, and the layers of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.fleet.model import FleetModel
from orchestrator.journal.records import StudyOpened
from orchestrator.results.from_state import varying_parameters
from orchestrator.results.words import parameters
from orchestrator.text import duration, number
from orchestrator.views.terminal.facts import print_fact
from orchestrator.views.terminal.live_view import STATE_STYLES

_KEPT_STYLES = {"whole": "green", "weights": "green", "missing": "dim"}


def print_models(
    console: Console, models: Sequence[FleetModel], *, header: StudyOpened, num_all: int, sort: str = ""
) -> None:
    """Prints a table of models.

    Args:
        models: In the order of the rows.
        header: Of their study.
        num_all: How many models the run has.
        sort: The value that they are sorted by, which gets a column of its own where it has none; empty: none.
    """
    goals = [goal.metric for goal in header.goals]
    shown = list(dict.fromkeys([*goals, *([sort] if sort and sort not in _COLUMNS else [])]))
    varying = varying_parameters([model.trial for model in models])
    table = make_table(["trial"], numbers=["weights", *shown, "at epoch", "epochs", "train time"])
    for heading in ("checkpoint", "exports"):
        table.add_column(heading, no_wrap=True)
    table.add_column("variant", ratio=1)
    for model in models:
        values = model.values()
        table.add_row(
            Text(model.name, style="bold"),
            weights_in_words(model.costs.get("parameters")),
            *(number(values.get(name)) or "-" for name in shown),
            number(model.best_epoch) or "-",
            str(model.epochs),
            duration(model.train_seconds),
            Text(model.checkpoint.state, style=_KEPT_STYLES[model.checkpoint.state]),
            ", ".join(f"rank {item.rank}{'' if item.is_there else ' (gone)'}" for item in model.exports) or "-",
            Text.assemble(
                (model.state, STATE_STYLES[model.trial.state]),
                (f"  {model.family} {parameters(model.params, names=varying)}", "dim"),
            ),
        )
    console.print(table)
    console.print()
    print_fact(console, "models", f"{len(models)} of {num_all}")


def print_layers(console: Console, model: FleetModel, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the layers of a model.

    Args:
        model: Whose layers they are.
        rows: As `FleetModel.layers` returns them.
    """
    weights = sum(row["parameters"] for row in rows)
    console.print()
    console.print(Text.assemble((model.name, "bold"), f"  {len(rows)} layers, {weights:,} weights"))
    table = make_table(["layer", "class"], numbers=["output", "weights"])
    table.add_column("shapes", ratio=1)
    for row in rows:
        name = Text(row["name"], style="" if row["trainable"] else "dim")
        shapes = ", ".join(shape.partition(" ")[0] for shape in row["weights"])
        table.add_row(name, row["class"], shape_in_words(row["output"]), weights_in_words(row["parameters"]), shapes)
    console.print(table)


def make_table(texts: Sequence[str], *, numbers: Sequence[str]) -> Table:
    """Returns an empty table: columns of texts, then columns of numbers.

    Args:
        texts: The headings of the first columns.
        numbers: The headings of those that are flush right.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in texts:
        table.add_column(Text(heading), no_wrap=True)
    for heading in numbers:
        table.add_column(Text(heading), justify="right")
    return table


def weights_in_words(count: float | None) -> str:
    """Returns a number of weights as text.

    >>> weights_in_words(78426.0), weights_in_words(0), weights_in_words(None)
    ('78,426', '-', '-')
    """
    return f"{int(count):,}" if count else "-"


def shape_in_words(shape: Any) -> str:
    """Returns the shape of a layer's output as text.

    >>> shape_in_words([8, 8, 16]), shape_in_words([]), shape_in_words(None), shape_in_words([[4], [None, 3]])
    ('8x8x16', 'one', '?', '4 and ?x3')
    """
    if shape is None:
        return "?"
    if isinstance(shape, Mapping):
        return " and ".join(f"{name} {shape_in_words(part)}" for name, part in shape.items())
    if any(isinstance(part, list) for part in shape):
        return " and ".join(map(shape_in_words, shape))
    return "x".join("?" if length is None else str(length) for length in shape) or "one"


_COLUMNS = ("trial", "parameters", "best_epoch", "epochs", "train_seconds", "checkpoint", "state", "family")
