"""A trial's model, loaded from its checkpoint for sharing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.checkpoints.checkpoint import Checkpoint
from trainables.checkpoints.model_difference import model_difference
from trainables.checkpoints.state_names import validated_weights
from trainables.checkpoints.store import CheckpointStore
from trainables.checkpoints.weights import load_validated
from trainables.errors import CheckpointError
from trainables.families.building import fresh_model
from trainables.families.parts.signature import signature_of
from trainables.own_code.loading import begin_anew
from trainables.specs.masks import UNCOUNTED
from trainables.specs.pixels import PixelStatistics
from trainables.specs.targets import is_own
from trainables.specs.task import Target, Task
from trainables.specs.worker import OwnCode, WorkerSpec
from trainables.steps.compiling import compile_arguments
from trainables.training.completing import complete_model
from trainables.training.state import assign, model_variables


def restored_model(  # noqa: PLR0913 - what a training is made of
    variant: Variant,
    checkpoint: Checkpoint,
    *,
    task: Task,
    statistics: PixelStatistics | None = None,
    study_dir: str = "",
    code: str = "",
) -> Any:
    """Returns the variant's Keras model with the weights that were validated, not compiled.

    Args:
        statistics: Of the training split's pixels.
        study_dir: The folder that relative names in the variant start from.
        code: Hashes of the code of the study's own losses and metrics; "": any code passes.

    Raises:
        CheckpointError: The checkpoint is not of this variant, or the user's function builds another model now.
    """
    own, params = OwnCode(folder=study_dir, source=code), FAMILIES[variant.family].with_defaults(variant.params)
    if task.has_own_code or is_own(params["loss"]):
        begin_anew(own)
    model = fresh_model(variant, task=task, statistics=statistics, study_dir=study_dir, may_ignore=True)
    complete_model(model, params, task=task, own=own)
    if checkpoint.model is not None and (what := model_difference(checkpoint.model, signature_of(model))):
        raise CheckpointError(
            f"function {variant.params.get('function')!r} builds another model now: {what}; restore what the function "
            "reads (a file, the network, the clock, the installed packages)"
        )
    assign(model_variables(model), validated_weights(checkpoint.state), variant=variant)
    return model


def kept_checkpoint(worker: WorkerSpec, *, trial: str, variant: Variant, epoch: int) -> Checkpoint:
    """Returns the checkpoint of an epoch, or its weights alone; fetches it where another node has trained it.

    Args:
        worker: The study's data and checkpoints.
        trial: The trial's name.
        variant: Its variant.
        epoch: The checkpoint's epoch.

    Raises:
        CheckpointError: It is neither on this node nor in the study's storage, or is damaged.
    """
    folder, variant_id = Path(worker.checkpoints) / trial, variant.variant_id
    try:
        return load_validated(folder, epoch=epoch, variant_id=variant_id)
    except CheckpointError:
        # Another node may have trained it.
        CheckpointStore(worker.remote, trial=trial, folder=folder).fetch_epoch(epoch, variant_id=variant_id)
        return load_validated(folder, epoch=epoch, variant_id=variant_id)


def trial_model(worker: WorkerSpec, variant: Variant, checkpoint: Checkpoint) -> Any:
    """Returns a variant's Keras model with the weights that were validated, as `restored_model` does.

    Args:
        worker: The study's data and code.
        variant: The variant.
        checkpoint: Of a trial of it.
    """
    return restored_model(
        variant,
        checkpoint,
        task=worker.dataset.task,
        statistics=worker.dataset.statistics,
        study_dir=worker.training.study_dir,
        code=worker.training.code,
    )


def compile_for_sharing(model: keras.Model, *, task: Task) -> None:
    """Compiles the model in place with Keras's own losses and metrics: a file of it loads without this package."""
    losses = {target.name: _SHARED_LOSSES[target.kind]() for target in task.targets}
    metrics = {target.name: [_SHARED_METRICS[target.kind](target)] for target in task.targets}
    weights = {target.name: target.weight for target in task.targets}
    # Plain SGD has no variables per weight: a file saved with anything else makes Keras warn when it is loaded.
    # By Keras's own compile: a class of a user's may take other arguments.
    base: Any = keras.Model
    base.compile(model, optimizer=keras.optimizers.SGD(), **compile_arguments(task, losses, metrics, weights))


_SHARED_LOSSES: Mapping[str, Callable[[], Any]] = {
    "classification": keras.losses.SparseCategoricalCrossentropy,
    "multilabel": keras.losses.BinaryCrossentropy,
    "regression": keras.losses.MeanSquaredError,
    "mask": lambda: keras.losses.SparseCategoricalCrossentropy(ignore_class=UNCOUNTED),
}
_SHARED_METRICS: Mapping[str, Callable[[Target], Any]] = {
    "classification": lambda _: keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
    "multilabel": lambda _: keras.metrics.BinaryAccuracy(name="accuracy"),
    "regression": lambda _: keras.metrics.MeanAbsoluteError(name="mae"),
    "mask": lambda target: keras.metrics.MeanIoU(
        num_classes=target.size, ignore_class=UNCOUNTED, sparse_y_pred=False, name="iou"
    ),
}
