"""Evaluates an export on labelled images; started as a process of its own, so that no runtime enters the caller."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.data.look.digests import pixel_digests
from trainables.errors import DataError, ModelExportError
from trainables.exporting.runtimes.own_process import run_in_own_process
from trainables.machine.child_process import answer_caller, ask_child
from trainables.machine.processes import usable_cpus
from trainables.predicting.described import ExportedModel, read_export
from trainables.predicting.labelled import (
    LabelledImages,
    labelled_images,
    own_test_split,
    study_dataset,
    training_digests,
)
from trainables.predicting.metrics import metrics_of
from trainables.predicting.places import data_spec
from trainables.predicting.running import finite, images_at_once, needs_tensorflow, open_export
from trainables.progress import OnProgress, no_progress
from trainables.scores.tallies import score_batches, tallies_of
from trainables.specs.export import FILES

#: Shared images that are named.
_MOST_EXAMPLES = 5
#: What all predictions together may take; they are held at once, as some metrics are no means over batches.
_MOST_BYTES = 8_000_000_000


def evaluate_in_process(request: Mapping[str, Any], *, on_progress: OnProgress | None = None) -> Any:
    """Returns what a child process found.

    Args:
        request: As `evaluated` takes it.
        on_progress: Receives each stage and how far it is.

    Raises:
        DataError: The export or the data cannot be used, or the child process died.
    """
    return ask_child(
        "trainables.predicting.evaluate",
        request,
        what="evaluate: the process that runs the model",
        on_progress=on_progress or no_progress,
    )


def evaluated(request: Mapping[str, Any], progress: OnProgress) -> dict[str, Any]:
    """Returns the metrics, figures and confusions of a model on labelled images.

    Args:
        request: `export`, its folder; `format`, or None; `data`, as `places.data_spec` takes it, or None for the test
            split of the model's own study; `split`, or None; `allows_missing`; `study`, `data` and `seed` of the
            model's own study, or None where it is not known.
        progress: Receives each stage and how far it is.

    Raises:
        DataError: The export or the data cannot be used.
    """
    export = read_export(Path(request["export"]))
    form = export.chosen_format(request["format"])
    known, not_compared = _training_images(request, export, progress=progress)
    if request["data"] is None:
        if known is None:
            raise DataError(f"data: {not_compared}; name labelled images with --data")
        data = own_test_split(known, export)
    else:
        spec, lax = data_spec(request["data"], export), request["allows_missing"]
        data = labelled_images(spec, export, split=request["split"], allows_missing=lax, progress=progress)
    _demand_room(export, data)
    with tempfile.TemporaryDirectory(prefix="convfleet-") as name:
        folder = Path(name)
        digests = _write_pixels(folder, data, export, progress=progress)
        predicted = finite(_predictions(folder, export, form=form, count=data.count), what=str(export.folder))
        images = dict(zip(export.task.inputs, _pixels(folder, export), strict=True)) if form == "keras" else {}
        metrics = metrics_of(predicted, data.labels, export=export, images=images)
    tallies = tallies_of(export.task)
    score_batches(tallies, predicted, data.labels)
    return {
        "export": str(export.folder),
        "format": form,
        "data": {"where": data.where, "images": data.count, "notes": list(data.notes)},
        "metrics": dict(metrics.values),
        "intervals": dict(metrics.intervals),
        "left_out": list(metrics.left_out),
        "targets": {name: tally.to_json() for name, tally in tallies.items()},
        "training_images": {"compared": False, "reason": not_compared}
        if known is None
        else {"compared": True, **_shared(digests, training_digests(known), data=data)},
    }


def _training_images(request: Mapping[str, Any], export: ExportedModel, *, progress: OnProgress) -> tuple[Any, str]:
    """Returns the data set that the model was trained on, or None and why it is not known."""
    if request["study"] is None:
        return None, "the export lies in no run folder, so that its training images are not known"
    try:
        return study_dataset(request["study"], export, progress=progress), ""
    except DataError as exc:
        return None, str(exc)


def _demand_room(export: ExportedModel, data: LabelledImages) -> None:
    numbers = sum(int(np.prod(export.task.output_shape(target))) for target in export.task.targets)
    if (size := 4 * numbers * data.count) > _MOST_BYTES:
        raise DataError(
            f"data: the predictions for {data.count:,} images take {size / 1e9:.0f} GB, and at most "
            f"{_MOST_BYTES / 1e9:.0f} GB are held; evaluate a part of them"
        )


def _write_pixels(folder: Path, data: LabelledImages, export: ExportedModel, *, progress: OnProgress) -> Array:
    """Writes the pixels of each input, for whichever process predicts, and returns the images' digests.

    Those of images whose pixels are all equal are 0: they are of nothing that could be learned by heart.
    """
    task, done = export.task, 0
    height, width, channels = task.input_shape
    files = [
        np.lib.format.open_memmap(
            folder / f"input-{place}.npy", mode="w+", dtype=np.uint8, shape=(data.count, height, width, channels)
        )
        for place in range(len(task.inputs))
    ]
    digests = []
    for batch in data.batches():
        for place, file in enumerate(files):
            file[done : done + len(batch)] = batch[..., place * channels : (place + 1) * channels]
        is_blank = (batch == batch[:, :1, :1]).all(axis=(1, 2, 3))
        digests.append(np.where(is_blank, np.uint64(0), pixel_digests(batch)))
        done += len(batch)
        progress("decoding images", done, data.count)
    for file in files:
        file.flush()
    return np.concatenate(digests)


def _predictions(folder: Path, export: ExportedModel, *, form: str, count: int) -> dict[str, Array]:
    """Returns the outputs for all images, by target."""
    targets = [target.name for target in export.task.targets]
    if not needs_tensorflow(form):
        # In a process of its own: metrics need TensorFlow, which that runtime does without.
        outputs = [output["name"] for output in export.manifest["outputs"]]
        job = {
            "format": form,
            "path": str((export.folder / FILES[form]).absolute()),
            "threads": usable_cpus(),
            "inputs": list(export.task.inputs),
            "outputs": outputs,
        }
        found = run_in_own_process(job, folder=folder).outputs
        return {target: found[name] for target, name in zip(targets, outputs, strict=True)}
    predict, step = open_export(export, form=form), images_at_once(export.task)
    files = _pixels(folder, export)
    parts = [
        predict(np.concatenate([file[start : start + step] for file in files], axis=3))
        for start in range(0, count, step)
    ]
    return {target: np.concatenate([part[target] for part in parts]) for target in targets}


def _pixels(folder: Path, export: ExportedModel) -> list[Array]:
    """Returns the pixels of each input as they were written, not read into memory."""
    names = [f"input-{place}.npy" for place in range(len(export.task.inputs))]
    return [np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in names]


def _shared(digests: Array, known: Array, *, data: LabelledImages) -> dict[str, Any]:
    """Returns how many images are among those that the model was trained or validated on, and a few of them."""
    rows = np.flatnonzero(np.isin(digests, known) & (digests != 0))
    return {"shared": len(rows), "examples": data.names(rows[:_MOST_EXAMPLES].tolist())}


def _answer(request: Any, progress: OnProgress) -> Any:
    try:
        return evaluated(request, progress)
    except ModelExportError as exc:
        raise DataError(str(exc)) from exc


def main() -> int:
    """Answers one request of `evaluate_in_process`."""
    return answer_caller(_answer)


if __name__ == "__main__":
    sys.exit(main())
