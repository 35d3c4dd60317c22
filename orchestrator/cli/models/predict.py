"""The command that answers for images with an exported model."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import JsonOption
from orchestrator.errors import InputError

ExportArgument = Annotated[
    str, typer.Argument(metavar="EXPORT", help="The folder of an export, such as runs/quickstart/exports/1-t0002.")
]
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="FORMAT", help="A format of the export, such as onnx; default: keras or the first."
    ),
]


def predict(
    export: ExportArgument,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Files, and folders of images; of several inputs, one each.")
    ],
    *,
    form: RuntimeOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes are named, the most probable first.")] = 1,
    masks: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the class of each pixel as a PNG, where the model predicts masks."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer for images with an exported model, read as its study read its own."""
    from orchestrator.inference.predicting import predict_images
    from orchestrator.inference.words import answer_lines
    from orchestrator.text import printable
    from orchestrator.views.terminal.progress import make_progress

    with make_progress(make_console(stderr=True)) as progress:
        found = predict_images(export, images, form=form, top=top, masks=masks, notify=progress.message)
    if as_json:
        print_json(found)
    else:
        for line in answer_lines(found):
            print(line)
    if problems := found["problems"]:
        # After the answers: what can be answered is.
        raise InputError("\n".join(printable(f"{item['path']}: {item['problem']}") for item in problems))
