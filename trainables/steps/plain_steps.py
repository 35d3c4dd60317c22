"""Keras's own training and test steps, of fewer operations: each one takes time in a trace and in every step.

The numbers are those of `Model.train_step` and `Model.test_step` in Keras 3.15, bit for bit: left out are results that
nobody reads in the middle of an epoch, sums over one number, and a search for negative zeros among probabilities.
`tests/trainables/steps/test_plain_steps.py` compares them.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainables.families.parts.keras_internals import loss_mean, replace_update, update_compiled_metrics


def plain_step(name: str) -> Callable[[Any, tuple[Any, ...]], None]:
    """Returns the function that takes a step of a model of Keras's own class, on one device.

    Args:
        name: `train_step` or `test_step`.
    """
    return _train if name == "train_step" else _test


def _train(model: keras.Model, data: tuple[Any, ...]) -> None:
    inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = model.compute_loss(inputs, labels, outputs, weights, training=True)
        scaled = model.optimizer.scale_loss(loss)
    _count(model, inputs, loss)
    trained = model.trainable_weights
    if trained:
        model.optimizer.apply_gradients(zip(tape.gradient(scaled, trained), trained, strict=True))
    update_compiled_metrics(model, labels, outputs, weights)


def _test(model: keras.Model, data: tuple[Any, ...]) -> None:
    inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
    outputs = model(inputs, training=False)
    _count(model, inputs, model.compute_loss(inputs, labels, outputs, weights, training=False))
    update_compiled_metrics(model, labels, outputs, weights)


def _count(model: keras.Model, inputs: Any, loss: tf.Tensor) -> None:
    """Adds a batch to the mean of the loss over images."""
    num_images = tf.shape(next(part for part in keras.tree.flatten(inputs) if part is not None))[0]
    mean = loss_mean(model)
    count = tf.cast(num_images, mean.dtype)
    _add(mean, tf.cast(loss, mean.dtype) * count, count)


def quick_accuracy(metric: keras.metrics.SparseCategoricalAccuracy) -> keras.metrics.SparseCategoricalAccuracy:
    """Returns the metric, which takes fewer operations in a graph where predictions are a softmax without weights."""
    own = metric.update_state

    def update_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        are_plain = _is_softmax(y_pred) and _are_classes(y_true)
        if sample_weight is not None or not are_plain:
            own(y_true, y_pred, sample_weight=sample_weight)
            return
        guess = tf.argmax(y_pred, axis=-1, output_type=tf.int32)
        matches = tf.cast(tf.equal(tf.cast(y_true, tf.int32), guess), metric.dtype)
        _add(metric, tf.reduce_sum(matches), tf.cast(tf.size(matches), metric.dtype))

    replace_update(metric, update_state)
    return metric


def _are_classes(labels: Any) -> bool:
    return isinstance(labels, tf.Tensor) and labels.dtype.is_integer and len(labels.shape) == 1


def _is_softmax(predictions: Any) -> bool:
    """Returns whether predictions are known to have no negative zero, which `keras.ops.argmax` looks for."""
    if not isinstance(predictions, tf.Tensor) or not hasattr(predictions, "graph"):
        return False
    return predictions.op.type == "Softmax" and predictions.dtype == tf.float32 and len(predictions.shape) == 2


def _add(mean: keras.metrics.Mean, total: tf.Tensor, count: tf.Tensor) -> None:
    for variable, more in ((mean.total, total), (mean.count, count)):
        if "assign" in vars(variable):
            # It is noted which steps of a user's change it, see `StepNumbers`.
            variable.assign_add(more)
        else:
            # One operation: Keras reads, adds and assigns.
            variable.value.assign_add(more, read_value=False)
