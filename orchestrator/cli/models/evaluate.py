"""The command that evaluates an exported model on labelled images."""

from typing import Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.models.predict import ExportArgument, RuntimeOption
from orchestrator.cli.options import JsonOption, LabelOption


def evaluate(
    export: ExportArgument,
    *,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Labelled images; default: the test split of the model's own study."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="As data.source of a study; default: what fits.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="SPLIT", help="train, validation or test, where the data has several.")
    ] = None,
    label: LabelOption = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A key of the data, e.g. data.image_column=file; repeatable."),
    ] = None,
    form: RuntimeOption = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing-classes", help="Classes of the model may have no image.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate an exported model on labelled images: metrics with intervals, each class, confusions."""
    from orchestrator.inference.evaluating import evaluate_export
    from orchestrator.inference.words import score_lines
    from orchestrator.views.terminal.progress import make_progress

    with make_progress(make_console(stderr=True)) as progress:
        found = evaluate_export(
            export,
            data,
            source=source,
            split=split,
            label=label,
            overrides=overrides or (),
            form=form,
            allow_missing_classes=allow_missing,
            notify=progress.message,
        )
    if as_json:
        print_json(found)
        return
    for line in score_lines(found):
        print(line)
