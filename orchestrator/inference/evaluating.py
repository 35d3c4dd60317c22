"""Evaluates an export on labelled images, for Python and for the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError, OrchestratorError
from orchestrator.inference.predicting import progress_of
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study
from orchestrator.study.yaml_file import apply_overrides
from trainables.errors import DataError
from trainables.predicting.evaluate import evaluate_in_process

#: A data section to set keys of.
_EMPTY = "data: {}"


def evaluate_export(  # noqa: PLR0913 - what says where labelled images are
    export: Path | str,
    data: Path | str | None = None,
    *,
    source: str | None = None,
    split: str | None = None,
    label: str | None = None,
    overrides: Sequence[str] = (),
    form: str | None = None,
    allow_missing_classes: bool = False,
    notify: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Returns the metrics of an exported model on labelled images, with confusions and figures for each class.

    Classes are matched by their names. The model runs in a child process.

    Examples:
        Prints the accuracy on the test split of the model's own study, with its interval of 95 %::

            from pathlib import Path

            import convfleet

            (export,) = Path("runs/quickstart/exports").glob("1-*")
            found = convfleet.evaluate_export(export)  # or (export, "photos"), a folder of class folders
            print(found["metrics"]["accuracy"], found["intervals"]["accuracy"])

    Args:
        export: The folder of the export.
        data: Labelled images: a folder of class folders, a table, or a file of another source; None: the test split of
            the model's own study, of whose run folder the export is a part.
        source: As `data.source` of a study; None: what fits.
        split: train, validation or test, where the data has several; None: test.
        label: The column of the labels of a model with one target; None: what fits.
        overrides: `key=value` texts such as `data.image_column=file` that change how the data is read.
        form: A format of the export, such as onnx; None: keras, or the first that the export has.
        allow_missing_classes: Whether classes of the model may have no image.
        notify: Receives what is under way.

    Returns:
        What `convfleet evaluate --json` has: `metrics` by the names of the manifest's `test_metrics`, `intervals` of
        those that are shares of images, `targets` with the figures, and `training_images`, how many of the images the
        model was trained on.

    Raises:
        InputError: If the export or the data cannot be used, or the labels are not what the model predicts.
    """
    changes = _changes(overrides)
    if data is None and (source or split or label or changes):
        raise InputError("data: source, split, label and set say how other images are read, got no data; name a path")
    place = {"path": str(data), "source": source, "label": label, "changes": changes}
    request = {
        "export": str(export),
        "format": form,
        "data": None if data is None else place,
        "split": split,
        "allows_missing": allow_missing_classes,
        "study": own_study(Path(export)),
    }
    try:
        found: dict[str, Any] = evaluate_in_process(request, on_progress=progress_of(notify))
    except DataError as exc:
        raise InputError(str(exc)) from exc
    return found


def own_study(export: Path) -> dict[str, Any] | None:
    """Returns the data section and the seed of the study that an export came from; None outside of a run folder.

    Args:
        export: The folder of the export.
    """
    exports = export.absolute().parent
    folder = RunFolder(exports.parent)
    if exports != folder.exports or not folder.study.is_file():
        return None
    try:
        spec = load_study(folder.study)
    except OrchestratorError:
        # A study file of another version: what it trained on is then not known.
        return None
    return {"data": spec.data.model_dump(mode="json"), "seed": spec.seed}


def _changes(overrides: Sequence[str]) -> dict[str, Any]:
    """Returns the keys of the data section that a user sets."""
    if other := [text for text in overrides if not text.startswith("data.")]:
        raise InputError(f"--set {other[0]}: expected a key of the data section, for example --set data.image_column=f")
    changed: dict[str, Any] = apply_overrides(_EMPTY, overrides, where="--set")["data"]
    return changed
