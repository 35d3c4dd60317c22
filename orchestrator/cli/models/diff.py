"""The command that says what differs between two trials."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import JsonOption, RunArgument
from orchestrator.cli.runs import local_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.fleet.model import FleetModel


def diff(
    run: RunArgument,
    first: Annotated[str, typer.Argument(metavar="TRIAL", help="Such as t0003.")],
    second: Annotated[str, typer.Argument(metavar="TRIAL", help="Such as t0007; of another run, runs/other:t0007.")],
    *,
    split: Annotated[
        str, typer.Option(metavar="SPLIT", help="Whose images both answer: validation or test.")
    ] = "validation",
    quick: Annotated[bool, typer.Option("--quick", help="Without layers and mistakes: no model is built.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two trials: hyperparameters, layers, learning curves, costs, mistakes."""
    from orchestrator.fleet.difference import difference_of
    from orchestrator.views.fleet.difference_view import print_difference
    from orchestrator.views.terminal.progress import make_progress

    with make_progress(make_console(stderr=True)) as progress:
        models = [_model(text, run=run, notify=progress.message) for text in (first, second)]
        found = difference_of(models[0], models[1], split=split, quick=quick)
    if as_json:
        print_json(found.to_json())
        return
    print_difference(make_console(), found)


def _model(text: str, *, run: str, notify: "Callable[[str], None]") -> "FleetModel":
    """Returns the model of a trial that the user names, of the run or of another one, `runs/other:t0007`."""
    from orchestrator.fleet.fleet import models

    other, separator, trial = text.rpartition(":")
    return models(local_run(other if separator else run), notify=notify)[trial]
