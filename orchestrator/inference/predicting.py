"""Predicts with an export, for Python and for the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from trainables.errors import DataError
from trainables.predicting.predict import predict_in_process


def predict_images(  # noqa: PLR0913 - what is asked for, and how it is answered
    export: Path | str,
    images: Sequence[Path | str],
    *,
    form: str | None = None,
    top: int = 1,
    masks: Path | str | None = None,
    notify: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Returns what an exported model says of images, which are read as its study read those that it was trained on.

    The model runs in a child process: neither TensorFlow nor another runtime enters the caller.

    Examples:
        Prints the class of each image of a folder that can be read, and what is wrong with the others::

            from pathlib import Path

            import convfleet

            (export,) = Path("runs/quickstart/exports").glob("1-*")
            found = convfleet.predict_images(export, ["flowers"], top=3)
            for answer in found["predictions"]:
                print(answer["path"], answer["class"], answer["probability"])
            for refused in found["problems"]:
                print(refused["path"], refused["problem"])

    Args:
        export: The folder of the export.
        images: Files and folders; of a folder, all files below it with the ending of an image. For a model of several
            inputs a file or a folder for each, in the manifest's order: files of one name belong together.
        form: A format of the export, such as onnx; None: keras, or the first that the export has. TensorFlow
            is imported for the first two only.
        top: How many classes or flags are named for each image, the most probable first.
        masks: A folder for the class of each pixel, one PNG an image, where the model predicts masks; None: none.
        notify: Receives what is under way.

    Returns:
        `predictions`, one for each image that could be read, in order: its path and what `convfleet predict --json`
        has, of several inputs the path of each as `inputs`; and `problems`, one for each other path.

    Raises:
        InputError: If the export is none, was changed, lacks the format, or cannot be loaded.
    """
    if not images:
        raise InputError("images: expected files or folders, got none; name at least one")
    if top < 1:
        raise InputError(f"top: expected a number from 1, got {top}; for example top 3")
    request = {
        "export": str(export),
        "format": form,
        "paths": [str(path) for path in images],
        "top": top,
        "masks": None if masks is None else str(masks),
    }
    try:
        found: dict[str, Any] = predict_in_process(request, on_progress=progress_of(notify))
    except DataError as exc:
        raise InputError(str(exc)) from exc
    return found


def progress_of(notify: Callable[[str], None] | None) -> Callable[[str, int, int], None] | None:
    """Returns what a child process reports its progress to; None for nobody.

    Args:
        notify: Receives what is under way.
    """
    if notify is None:
        return None

    def on_progress(stage: str, done: int, total: int) -> None:
        notify(f"{stage}: {done:,} of {total:,}")

    return on_progress
