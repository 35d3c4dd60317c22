"""The command that lists the models of a run."""

from typing import Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import JsonOption, RunArgument
from orchestrator.cli.runs import local_run


def show_models(
    run: RunArgument,
    *,
    sort: Annotated[
        str,
        typer.Option(metavar="NAME", help="Best first by a metric, a cost or a hyperparameter; default: as proposed."),
    ] = "",
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Only those that keep to it, e.g. 'parameters<=1e5'; repeatable."),
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Build the models in a child process, show layers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the models of a run side by side: hyperparameters, weights, metrics, costs, checkpoints, exports."""
    from orchestrator.fleet.choosing import chosen, in_order, parse_where
    from orchestrator.fleet.fleet import models
    from orchestrator.views.fleet.models_view import print_layers, print_models
    from orchestrator.views.terminal.progress import make_progress

    conditions = parse_where(where or ())
    with make_progress(make_console(stderr=True)) as progress:
        fleet = models(local_run(run), notify=progress.message)
        header = fleet.run.state.header
        listed = chosen(list(fleet), where=conditions)
        if sort:
            in_order(list(fleet), by=sort, header=header)  # an unknown name is an error, whatever is left to sort
            listed = in_order(listed, by=sort, header=header) if listed else []
        names = {model.name for model in listed}
        rows = fleet.filter(lambda model: model.name in names).layers() if layers else {}
    if as_json:
        print_json([model.to_json() | ({"layers": rows[model.name]} if layers else {}) for model in listed])
        return
    console = make_console()
    print_models(console, listed, header=header, num_all=len(fleet), sort=sort)
    for model in listed if layers else ():
        print_layers(console, model, rows[model.name])
