"""Averages of weights: which networks have one architecture, their mean, and new statistics of batch normalisation.

The statistics of batch normalisation are those of other weights' activations, so their mean describes no network: they
are computed anew from training images.

Source: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization", arXiv:1803.05407,
section 3.2, for the statistics.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainables.checkpoints.state_names import MODEL
from trainables.data.cache.dataset import Split
from trainables.ensembles.models.predicting import predict_rows
from trainables.errors import ModelExportError
from trainables.families.parts.keras_internals import all_layers
from trainables.families.parts.signature import signature_of
from trainables.specs.task import Task

#: Settings of layers that act in training alone, so that networks of one architecture may differ in them.
_TRAINING_ALONE = frozenset(
    {
        "rate",
        "momentum",
        "trainable",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_initializer",
        "bias_initializer",
    }
)
#: Training images that statistics are computed from, and how many at a time.
NUM_STATISTICS_IMAGES = 4096
_BATCH = 256


def architecture_of(model: keras.Model) -> str:
    """Returns a text that is equal for models whose weights have one meaning, whatever they were trained with."""
    signature = signature_of(model)
    for layer in signature["layers"]:
        kept = {name: value for name, value in layer["settings"].items() if name not in _TRAINING_ALONE}
        layer["settings"] = kept
    return json.dumps({name: signature[name] for name in ("layers", "calls", "weights")}, sort_keys=True)


def mean_weights(states: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns the mean of each array; of whole numbers, such as random states, that of the first.

    >>> mean_weights([{"model/0000": np.array([1.0])}, {"model/0000": np.array([2.0])}])
    {'model/0000': array([1.5])}

    Args:
        states: Arrays by name, alike in names and shapes.
    """
    first = states[0]
    return {
        name: np.mean([state[name] for state in states], axis=0, dtype=np.float64).astype(array.dtype)
        if array.dtype.kind not in "biu"
        else array
        for name, array in first.items()
    }


def check_state(model: keras.Model, states: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Refuses networks that keep numbers which neither training nor batch normalisation owns, and that differ in them.

    Args:
        model: Of their architecture.
        states: Their arrays by name.

    Raises:
        ModelExportError: There are such numbers.
    """
    known = _trained(model) | {id(item) for layer in _norms(model) for item in _statistics(layer)}
    for number, variable in enumerate(model.variables):
        name = f"{MODEL}{number:04d}"
        arrays = [state[name] for state in states]
        if id(variable) in known or arrays[0].dtype.kind in "biu":
            continue
        if any(not np.array_equal(arrays[0], array) for array in arrays[1:]):
            raise ModelExportError(
                f"{variable.path} is neither trained nor of batch normalisation, and differs from checkpoint to "
                "checkpoint: its mean means nothing; use --method greedy, which averages outputs"
            )


def renew_statistics(model: keras.Model, train: Split, *, task: Task, seed: int) -> int:
    """Computes the statistics of batch normalisation anew, in place, and returns how many layers got new ones.

    Each becomes the mean over batches of training images without augmentation, in a pass as in training. Layers that
    are frozen, as in a backbone, keep what they have.

    Args:
        model: Whose weights are averages.
        train: The training split.
        task: Its task.
        seed: Draws the images.
    """
    norms = [layer for layer in _norms(model) if layer.trainable]
    if not norms:
        return 0
    count = min(NUM_STATISTICS_IMAGES, len(train.indices))
    rows = np.sort(np.random.default_rng([seed, count]).choice(train.indices, size=count, replace=False))
    sums = {id(item): np.zeros(item.shape, np.float64) for layer in norms for item in _statistics(layer)}
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0  # So that each batch leaves its own statistics.
    step = tf.function(lambda images: model(images, training=True), autograph=False)

    def observe(images: Any) -> np.ndarray:
        given = tf.nest.map_structure(tf.constant, images)
        step(given)
        size = len(tf.nest.flatten(given)[0])
        for layer in norms:
            for item in _statistics(layer):
                sums[id(item)] += size * item.numpy().astype(np.float64)
        return np.zeros((size, 1))

    try:
        for at in range(0, count, _BATCH):
            piece = Split(images=train.images, labels={}, indices=rows[at : at + _BATCH])
            predict_rows(piece, task=task, predict=observe)
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
    for layer in norms:
        for item in _statistics(layer):
            item.assign(sums[id(item)] / count)
    return len(norms)


def _norms(model: keras.Model) -> list[Any]:
    return [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def _statistics(layer: Any) -> tuple[Any, Any]:
    return layer.moving_mean, layer.moving_variance


def _trained(model: keras.Model) -> set[int]:
    """Returns the variables that a training may change by gradients, those of frozen layers too."""
    frozen = [layer for layer in all_layers(model) if not layer.trainable]
    for layer in frozen:
        layer.trainable = True
    try:
        return {id(variable) for variable in model.trainable_variables}
    finally:
        for layer in reversed(frozen):
            layer.trainable = False
