"""What a trial needs of its process before it trains: devices, splits, the picture of its augmentation."""

import functools
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.checkpoints.build_record import check_build_files
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.in_process import dataset_on_this_node
from trainables.data.splits.repeated import RepeatedSplit, repeated_splits
from trainables.machine.imports import spare_imports
from trainables.reports import Note, NoteKind
from trainables.specs.dataset import DatasetInfo
from trainables.specs.export import FILES
from trainables.specs.worker import WorkerSpec

if TYPE_CHECKING:
    from trainables.data.batches.tensors import SplitTensors
    from trainables.training.training import Training

logger = logging.getLogger(__name__)


def set_up_devices(spec: WorkerSpec, variant: Variant, *, on_note: Callable[[Note], None]) -> None:
    """Limits TensorFlow, which is imported by now, to the trial's share of CPUs and GPUs.

    Args:
        on_note: Takes what readers should know.

    Raises:
        InfeasibleError: The devices do not compute in the variant's precision.
    """
    # Late, because both import TensorFlow.
    from trainables.training.devices import configure_devices, missing_gpus, rewrite_graphs_once
    from trainables.training.precision import demand_precision

    spare_imports()
    configure_devices(spec.device)
    rewrite_graphs_once(spec.device)
    if text := missing_gpus(spec.device):
        on_note(Note(kind=NoteKind.GPUS_NOT_SEEN, text=text))
    demand_precision(str(variant.params.get("precision", "float32")), spec.device)


def check_sources(model: Any, spec: WorkerSpec, variant: Variant) -> None:
    """Raises DataError if a user's model was built from other files than the run's models before it.

    Args:
        model: Built.
        spec: What all trials of the study share.
        variant: What the model was built of.
    """
    if FAMILIES[variant.family].has_own_parameters:
        # Late, as rooms of models are.
        from trainables.families.parts.build_files import built_from

        where = f"function {variant.params['function']!r}"
        check_build_files(Path(spec.checkpoints), built_from(model), where=where)


def note_own_model(training: "Training", spec: WorkerSpec, *, on_note: Callable[[Note], None]) -> None:
    """Notes what will become of a user's model, before it is trained: formats that cannot be made, slow averages.

    Args:
        training: At its beginning.
        spec: What all trials of the study share.
        on_note: Takes what readers should know.
    """
    if not FAMILIES[training.variant.family].has_own_parameters:
        return
    # Late, because it imports TensorFlow.
    from trainables.families.parts.slow_averages import slow_averages

    for name, reason in _refused_formats(training, spec):
        text = f"{FILES[name]} of this model cannot be exported: {reason}"
        on_note(Note(kind=NoteKind.OWN_MODEL, text=text))
    batch_size: Any = FAMILIES[training.variant.family].with_defaults(training.variant.params)["batch_size"]
    num_epochs = spec.training.judged_after or spec.training.max_epochs
    num_steps = math.ceil(spec.dataset.num_train / batch_size) * num_epochs
    if text := slow_averages(training.model, num_steps=num_steps):
        on_note(Note(kind=NoteKind.OWN_MODEL, text=text))


def _refused_formats(training: "Training", spec: WorkerSpec) -> Iterator[tuple[str, str]]:
    """Yields each format that cannot be made of a model, and why, as far as that is known before it is trained."""
    # Late, because all import TensorFlow.
    from trainables.exporting.formats import FORMATS
    from trainables.exporting.plain_graph import plain_model
    from trainables.exporting.runtimes.conversions import CONVERSIONS
    from trainables.exporting.runtimes.operators import operations_of, unknown_operations

    shipped = plain_model(training.model, spec.dataset.task)
    for name in spec.formats:
        form = FORMATS.get(name)
        reason = "" if form is None else form.refusal(shipped)
        if not reason and spec.device.gpus <= 1:
            # The trace is that by which the cost is counted after the first epoch.
            if form is None:
                operations = operations_of(training.cost.prediction.run.graph)
                reason = unknown_operations(operations, CONVERSIONS[name].unknown)
            elif form.graph_refusal is not None:
                reason = form.graph_refusal(training.cost.prediction.run.graph, training.model)
        if reason:
            yield name, reason


def open_splits(spec: WorkerSpec) -> tuple["SplitTensors", "SplitTensors"]:
    """Returns the training and validation splits, which a process opens once a data set.

    Raises:
        DataError: The data set is on no disk of this node and cannot be prepared.
    """
    return _splits_of(dataset_on_this_node(spec))


def further_splits(spec: WorkerSpec, *, train: "SplitTensors", validation: "SplitTensors") -> list[RepeatedSplit]:
    """Returns the splits that each trial trains on beside the first.

    Args:
        spec: What all trials of the study share.
        train: The first split's training images.
        validation: Its validation images, which are rows of the same arrays.
    """
    if spec.training.repeats == 1:
        return []
    classes = next((target.name for target in spec.dataset.task.targets if target.kind == "classification"), None)
    return repeated_splits(
        train.indices,
        validation.indices,
        labels=None if classes is None else train.labels[classes].numpy(),
        count=spec.training.repeats,
        seed=spec.split_seed,
    )


def show_augmentation(spec: WorkerSpec, train: "SplitTensors") -> None:
    """Writes the study's picture of augmented images, unless a trial before did."""
    if spec.picture is None or not spec.training.augment.is_active or Path(spec.picture).exists():
        return
    # Late, because it imports TensorFlow.
    from trainables.data.augment.picture import write_picture

    try:
        num_inputs = len(spec.dataset.task.inputs)
        write_picture(
            Path(spec.picture), spec.training.augment, train=train, seed=spec.split_seed, num_inputs=num_inputs
        )
    except OSError as exc:
        # A trial is worth more than a picture.
        logger.warning('picture=%s decision=skip reason="%s"', spec.picture, exc)


@functools.lru_cache(maxsize=1)
def _splits_of(dataset: DatasetInfo) -> tuple["SplitTensors", "SplitTensors"]:
    # Late, because it imports TensorFlow.
    from trainables.data.batches.tensors import split_tensors

    data = open_dataset(dataset)
    return split_tensors(data.train), split_tensors(data.validation)
