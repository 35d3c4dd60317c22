"""Exports one model inside a worker process; the driver does not import it, because it imports TensorFlow."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.checkpoints.checkpoint import Checkpoint, saved_epochs
from trainables.checkpoints.weights import reduced_epochs
from trainables.data.batches.streaming import data_errors, each_batch, streamed
from trainables.data.batches.tensors import Batch, SplitTensors, gather_batch, split_tensors
from trainables.data.cache.dataset import Dataset, Split, open_dataset
from trainables.data.cache.in_process import dataset_on_this_node
from trainables.data.look.mistakes import write_mistake_pictures
from trainables.errors import CheckpointError, LostCheckpointError, ModelExportError
from trainables.exporting.converted import ConvertedFormats
from trainables.exporting.loading import compile_for_sharing, kept_checkpoint, trial_model
from trainables.exporting.manifest import ExportFindings, write_export_manifest
from trainables.exporting.plain_graph import plain_model
from trainables.exporting.predicted_metrics import scores_of_split
from trainables.exporting.writing import Evidence, Written, write_formats
from trainables.families.parts.blocks import without_penalties
from trainables.families.parts.inputs import example_data, model_inputs
from trainables.families.parts.keras_internals import create_compiled_variables
from trainables.files.folders import put_in_place
from trainables.machine.generated_code import GeneratedCode
from trainables.specs.export import ExportRequest, ExportResult
from trainables.specs.task import Task
from trainables.specs.worker import PRIVATE
from trainables.steps.compiling import compile_for_evaluation
from trainables.steps.metrics import metric_values
from trainables.steps.step_data import step_data
from trainables.steps.step_numbers import StepNumbers, has_steps_of_users, reset_metrics
from trainables.training.devices import configure_devices

#: Images that an exported file must predict as its checkpoint does.
NUM_PARITY_IMAGES = 512
_BATCH = 256


def export_model(request: ExportRequest) -> ExportResult:
    """Writes one model in all its formats, verified, with its manifest; the folder appears whole.

    A format that cannot be made of the model, or does not predict what the checkpoint predicts, is left out; the result
    has the reason.

    Raises:
        LostCheckpointError: The checkpoint is missing or damaged.
        ModelExportError: It is of another model, or no format can be made.
    """
    os.umask(PRIVATE)
    # A GPU multiplies float32 with fewer digits (TF32), and not alike in every graph: no file would prove faithful.
    configure_devices(replace(request.worker.device, gpus=0))
    splits = open_dataset(dataset_on_this_node(request.worker))
    model, task = _load_model(request), request.worker.dataset.task
    try:
        return write_export(
            plain_model(model, task),
            request,
            splits=splits,
            test_metrics=_evaluate(model, splits.test, request=request),
            scores=scores_of_split(model, splits.test, task=task),
            rebuild=lambda variant: _plain_float32(request, variant),
        )
    finally:
        # Batches of streamed images are rewritten functions, too.
        GeneratedCode().remove()


def write_export(  # noqa: PLR0913 - a model, and what is known of it
    model: Any,
    request: ExportRequest,
    *,
    splits: Dataset,
    test_metrics: Mapping[str, float],
    scores: Mapping[str, Any],
    rebuild: Callable[[Variant], Any],
    content: Mapping[str, Any] | None = None,
) -> ExportResult:
    """Writes a model in all its formats, verified, with its manifest; the folder appears whole.

    Args:
        model: A graph of Keras's layers.
        request: What is exported.
        splits: The images: the test split compares, training images calibrate.
        test_metrics: What the model reaches on it.
        scores: By target, the figures of the test split for the card.
        rebuild: Returns the model with the parameters of another variant and the same weights.
        content: Replaces keys of the manifest, or adds some.

    Raises:
        ModelExportError: No format can be made.
    """
    task, target = request.worker.dataset.task, Path(request.folder)
    compile_for_sharing(model, task=task)
    with _folders(target) as (draft, shared):
        images = model_inputs(_images(splits.test, limit=NUM_PARITY_IMAGES), task=task)
        evidence = Evidence(inputs=images, expected=model.predict(images, batch_size=_BATCH, verbose=0))
        converted = ConvertedFormats(model, request, splits=splits, rebuild=rebuild, folder=shared)
        written = write_formats(
            model,
            request.formats,
            trial=request.trial,
            task=task,
            draft=draft,
            evidence=evidence,
            converted=converted,
        )
        if not written.parity:
            raise ModelExportError("\n".join(written.problems.values()))
        shown = write_mistake_pictures(
            draft,
            scores,
            rows=splits.test.indices,
            fetch=splits.test.images.__getitem__,
            num_inputs=len(task.inputs),
        )
        findings = _findings(written, test_metrics=test_metrics, scores=shown)
        write_export_manifest(
            draft, request, num_parameters=int(model.count_params()), findings=findings, replaced=content or {}
        )
        # Never with half of its files: an old export is whole until the new one is in its place.
        put_in_place(draft, target, is_durable=True)
    return ExportResult(
        rank=request.rank,
        trial=request.trial,
        folder=request.folder,
        test_metrics=test_metrics,
        problems=tuple(written.problems.values()),
        runtimes=written.runtimes,
    )


def _findings(written: Written, *, test_metrics: Mapping[str, float], scores: Mapping[str, Any]) -> ExportFindings:
    return ExportFindings(
        test_metrics=test_metrics,
        parity=written.parity,
        agreement=written.agreement,
        problems=written.problems,
        runtimes=written.runtimes,
        scores=scores,
    )


@contextmanager
def _folders(target: Path) -> Iterator[tuple[Path, Path]]:
    """Yields a folder that may become an export, and one for what its formats share; what is left of both goes."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft, shared = (Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.")) for _ in range(2))
    try:
        yield draft, shared
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(shared, ignore_errors=True)


def _load_model(request: ExportRequest) -> Any:
    try:
        checkpoint = _load_checkpoint(request)
    except CheckpointError as exc:
        folder = _trial_folder(request)
        if request.evicted and not (saved_epochs(folder) or reduced_epochs(folder)):
            raise LostCheckpointError(
                f"{request.trial}: {request.evicted.partition(';')[0]}; export fewer models with --top, or run the "
                "study anew with a larger budget, or with a larger export.top, so that its weights are kept"
            ) from exc
        raise LostCheckpointError(f"{request.trial}: its best checkpoint cannot be exported: {exc}") from exc
    try:
        return trial_model(request.worker, request.variant, checkpoint)
    except CheckpointError as exc:
        raise ModelExportError(f"{request.trial}: its best checkpoint cannot be exported: {exc}") from exc


def _plain_float32(request: ExportRequest, variant: Variant) -> Any:
    """Returns the graph of another variant's model, with the weights of the checkpoint that is exported."""
    # What a user's model was made of has been compared: it names the precision of each layer.
    checkpoint = replace(_load_checkpoint(request), model=None)
    return plain_model(trial_model(request.worker, variant, checkpoint), request.worker.dataset.task)


def _load_checkpoint(request: ExportRequest) -> Checkpoint:
    return kept_checkpoint(request.worker, trial=request.trial, variant=request.variant, epoch=request.epoch)


def _trial_folder(request: ExportRequest) -> Path:
    return Path(request.worker.checkpoints) / request.trial


def _evaluate(model: Any, test: Split, *, request: ExportRequest) -> dict[str, float]:
    variant, task = request.variant, request.worker.dataset.task
    params = FAMILIES[variant.family].with_defaults(variant.params)
    compile_for_evaluation(model, task=task, params=params, own=request.worker.training.own_code)
    split = split_tensors(test)
    with without_penalties(model), data_errors(split):
        if has_steps_of_users(model):
            return _evaluate_own(model, split, task=task)
        if split.is_streamed:
            model.evaluate(_batches(split, task=task), verbose=0)
        else:
            labels = {name: np.asarray(rows[test.indices]) for name, rows in test.labels.items()}
            data = step_data(Batch(images=_images(test), labels=labels), task=task)
            model.evaluate(*data, batch_size=_BATCH, verbose=0)
    return {name: float(value) for name, value in metric_values(model).items()}


def _evaluate_own(model: Any, split: SplitTensors, *, task: Task) -> dict[str, float]:
    """Returns what a user's own `test_step` measures, as a validation report has it."""
    numbers = StepNumbers(model, step="test_step")

    def make(rows: tf.Tensor) -> Batch:
        images, labels = gather_batch(split, rows)
        return Batch(images=images, labels=labels)

    @tf.function(autograph=False)
    def evaluate(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        def do(batch: Batch) -> None:
            numbers.step(step_data(batch, task=task))

        each_batch(rows, size=_BATCH, make=make, is_streamed=split.is_streamed, do=do)
        return numbers.values()

    create_compiled_variables(model, example_data(task, count=2))
    reset_metrics(model)
    return {name: float(value) for name, value in evaluate(tf.constant(split.indices)).items()}


def _batches(split: SplitTensors, *, task: Task) -> tf.data.Dataset:
    """Returns the split in batches as Keras takes them, never whole."""

    def make(rows: tf.Tensor) -> Batch:
        images, labels = gather_batch(split, rows)
        return Batch(images=images, labels=labels)

    batches = streamed(tf.constant(split.indices), size=_BATCH, make=make)
    return batches.map(lambda parts: step_data(Batch(**parts), task=task))


def _images(split: Split, *, limit: int | None = None) -> np.ndarray:
    return np.asarray(split.images[split.indices[:limit]], dtype=np.float32)
