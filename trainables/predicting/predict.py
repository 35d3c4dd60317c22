"""Answers one request for predictions; started as a process of its own, so that no runtime enters the caller."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainables.data.images.masks import mask_png
from trainables.errors import DataError, ModelExportError
from trainables.machine.child_process import answer_caller, ask_child
from trainables.predicting.answers import answers_of, class_map
from trainables.predicting.described import ExportedModel, read_export
from trainables.predicting.files import listed_examples, read_examples
from trainables.predicting.running import finite, images_at_once, needs_tensorflow, open_export
from trainables.progress import OnProgress, no_progress

#: Of an image's name in that of its mask: file systems take names of 255 bytes.
_MOST_LETTERS = 40


def predict_in_process(request: Mapping[str, Any], *, on_progress: OnProgress | None = None) -> Any:
    """Returns the answers of a child process.

    Args:
        request: As `predicted` takes it.
        on_progress: Receives each stage and how far it is.

    Raises:
        DataError: The export cannot be used, or the child process died.
    """
    return ask_child(
        "trainables.predicting.predict",
        request,
        what="predict: the process that runs the model",
        on_progress=on_progress or no_progress,
    )


def predicted(request: Mapping[str, Any], progress: OnProgress) -> dict[str, Any]:
    """Returns the answer for each image that can be read, and the problem of each other one.

    Args:
        request: `export`, its folder; `format`, or None; `paths` of files and folders; `top`; `masks`, the folder for
            the classes of pixels, or None.
        progress: Receives how many images are done.

    Raises:
        DataError: The export cannot be used.
    """
    export = read_export(Path(request["export"]))
    form = export.chosen_format(request["format"])
    _demand_answerable(export, request)
    inputs = export.task.inputs
    examples = listed_examples(request["paths"], inputs=inputs)
    if not needs_tensorflow(form):
        _forbid_tensorflow(request)
    predict = open_export(export, form=form)
    masks = None if request["masks"] is None else _mask_folder(request["masks"])
    answers: list[dict[str, Any]] = []
    problems: list[dict[str, str]] = []
    for read, images, refused in read_examples(examples, export, at_once=images_at_once(export.task)):
        problems += [{"path": str(file.path), "problem": file.problem} for file in refused]
        if read:
            outputs = finite(predict(images), what=str(export.folder))
            for row, paths in enumerate(read):
                own = {name: values[row] for name, values in outputs.items()}
                answer = {**_named(paths, inputs), **answers_of(own, task=export.task, top=request["top"])}
                kept = {} if masks is None else _write_masks(masks, own, export, place=len(answers), path=paths[0])
                answers.append({**answer, **kept})
        progress("predicting images", min(len(answers) + len(problems), len(examples)), len(examples))
    described = {target.name: target.kind for target in export.task.targets}
    return {
        "export": str(export.folder),
        "format": form,
        "targets": described,
        "predictions": answers,
        "problems": problems,
    }


def _named(paths: Sequence[Path], inputs: Sequence[str]) -> dict[str, Any]:
    """Returns what an answer calls its images: the first one, and by input where there are several."""
    by_input = {name: str(path) for name, path in zip(inputs, paths, strict=True)}
    return {"path": str(paths[0]), **({"inputs": by_input} if len(paths) > 1 else {})}


def _demand_answerable(export: ExportedModel, request: Mapping[str, Any]) -> None:
    if request["masks"] is not None and not any(target.kind == "mask" for target in export.task.targets):
        raise DataError(f"masks: {export.folder} predicts no masks; drop --masks")


def _forbid_tensorflow(request: Mapping[str, Any]) -> None:
    # Late: in a process that other tests share, imports stay as they are.
    if request.get("is_own_process"):
        from trainables.exporting.runtimes.measuring import forbid_tensorflow

        forbid_tensorflow()


def _mask_folder(name: str) -> Path:
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DataError(f"masks: {folder} cannot be made ({exc.strerror}); name another folder") from exc
    return folder


def _write_masks(
    folder: Path, outputs: Mapping[str, Any], export: ExportedModel, *, place: int, path: Path
) -> dict[str, Any]:
    """Writes the class of each pixel as a grey PNG, one a target of masks, and returns where they lie."""
    written = {}
    for target in export.task.targets:
        if target.kind == "mask":
            # The number keeps images of one name, or of one beginning, apart.
            file = folder / f"{place:06d}-{path.stem[:_MOST_LETTERS]}-{target.name}.png"
            try:
                file.write_bytes(mask_png(class_map(outputs[target.name])))
            except OSError as exc:
                raise DataError(f"masks: {file} cannot be written ({exc.strerror}); name another folder") from exc
            written[target.name] = str(file)
    return {"masks": written}


def _answer(request: Any, progress: OnProgress) -> Any:
    try:
        return predicted({**request, "is_own_process": True}, progress)
    except ModelExportError as exc:
        raise DataError(str(exc)) from exc


def main() -> int:
    """Answers one request of `predict_in_process`."""
    return answer_caller(_answer)


if __name__ == "__main__":
    sys.exit(main())
