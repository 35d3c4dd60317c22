"""The export of one model, inside a worker process; imported there only, because it brings TensorFlow."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import ExportError
from orchestrator.export.formats import FORMATS
from orchestrator.export.manifest import write_manifest
from orchestrator.export.request import ExportRequest, ExportResult
from orchestrator.export.verify import check_parity
from trainables.checkpoint import checkpoint_folder, load_checkpoint
from trainables.compiling import compile_for_evaluation, compile_for_sharing
from trainables.data.augment.augmenter import Batch
from trainables.data.dataset import Split, open_dataset
from trainables.devices import configure_devices
from trainables.errors import CheckpointError
from trainables.losses import without_penalties
from trainables.plain_graph import foreign_parts, plain_model
from trainables.step_data import step_data
from trainables.task import Task
from trainables.training import restored_model
from trainables.trial_run import dataset_on_this_node

#: Images that an exported file must predict as its checkpoint does.
NUM_PARITY_IMAGES = 512
_BATCH = 256


def export_model(request: ExportRequest) -> ExportResult:
    """Writes one model in all its formats, verified, with its manifest; the folder appears whole.

    Raises: ExportError: if the checkpoint is damaged or a file does not predict what the checkpoint predicts.
    """
    configure_devices(request.worker.device)
    test = open_dataset(dataset_on_this_node(request.worker)).test
    model, task = _load_model(request), request.worker.dataset.task
    test_metrics = _evaluate(model, test, task=task)
    shipped = plain_model(model, task)
    compile_for_sharing(shipped, task=task)
    _check_loadable(shipped, request)
    target = Path(request.folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        images = _images(test, limit=NUM_PARITY_IMAGES)
        expected = np.asarray(model.predict(images, batch_size=_BATCH, verbose=0))
        parity = _write_formats(shipped, request, draft=draft, images=images, expected=expected)
        num_parameters = int(shipped.count_params())
        write_manifest(draft, request, num_parameters=num_parameters, test_metrics=test_metrics, parity=parity)
        draft.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return ExportResult(rank=request.rank, trial=request.trial, folder=request.folder, test_metrics=test_metrics)


def _load_model(request: ExportRequest) -> Any:
    folder = checkpoint_folder(Path(request.worker.checkpoints) / request.trial, epoch=request.epoch)
    try:
        checkpoint = load_checkpoint(folder, variant_id=request.variant.variant_id)
        dataset = request.worker.dataset
        return restored_model(
            request.variant,
            checkpoint,
            task=dataset.task,
            statistics=dataset.statistics,
            study_dir=request.worker.training.study_dir,
        )
    except CheckpointError as exc:
        raise ExportError(f"{request.trial}: its best checkpoint cannot be exported: {exc}") from exc


def _evaluate(model: Any, test: Split, *, task: Task) -> dict[str, float]:
    compile_for_evaluation(model, task=task)
    images = _images(test)
    batch = Batch(images=images, labels={name: np.asarray(rows[test.indices]) for name, rows in test.labels.items()})
    with without_penalties(model):
        values = model.evaluate(*step_data(batch, task=task), batch_size=_BATCH, verbose=0, return_dict=True)
    return {name: float(value) for name, value in values.items()}


def _check_loadable(model: Any, request: ExportRequest) -> None:
    """Raises ExportError where a .keras file would need code that whoever loads it does not have."""
    if "keras" not in request.formats:
        return
    if foreign := foreign_parts(model):
        raise ExportError(
            f"{request.trial}: model.keras: plain Keras cannot load {', '.join(foreign)}; make the model of "
            "keras.layers and keras.ops only, with all weights in layers of Keras's own, or export it without this "
            "format: `convfleet export RUN --format saved_model`, or export: {formats: [saved_model]} in the study file"
        )


def _write_formats(
    model: Any, request: ExportRequest, *, draft: Path, images: np.ndarray, expected: np.ndarray
) -> dict[str, float]:
    parity = {}
    for name in request.formats:
        form = FORMATS[name]
        path = draft / form.file_name
        form.write(model, path)
        what = f"{request.trial}: {form.file_name}"
        parity[name] = check_parity(expected, form.predict(path, images), what=what)
    return parity


def _images(split: Split, *, limit: int | None = None) -> np.ndarray:
    return np.asarray(split.images[split.indices[:limit]], dtype=np.float32)
