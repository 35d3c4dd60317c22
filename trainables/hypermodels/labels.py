"""Gives a compiled model of one-hot labels a loss and metrics of class numbers, with the same values."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from trainables.specs.task import Task

#: Losses of Keras that take one-hot labels.
_LOSSES = ("categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge", "kl_divergence")
_LOSS_CLASSES = ("CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge", "KLDivergence")
#: Metrics by names that Keras resolves by the shape of labels.
_PLAIN = ("accuracy", "acc", "crossentropy", "ce")


def for_class_numbers(given: Mapping[str, Any], task: Task) -> dict[str, Any] | None:
    """Returns the arguments of `compile` for class numbers, None where those given are for these already.

    Args:
        given: The arguments that the model was compiled with.
        task: Its task; only a lone classification may have one-hot labels.
    """
    (target, *others) = task.targets
    if others or target.kind != "classification" or not is_of_one_hot(given.get("loss")):
        return None
    size = target.size
    arguments = {name: value for name, value in given.items() if value is not None}
    arguments["loss"] = _loss_of(given["loss"], size=size)
    for name in ("metrics", "weighted_metrics"):
        if given.get(name) is not None:
            metrics = given[name] if isinstance(given[name], list | tuple) else [given[name]]
            arguments[name] = [_metric_of(metric, size=size) for metric in metrics]
    return arguments


def is_of_one_hot(loss: Any) -> bool:
    """Returns whether a loss of Keras takes one-hot labels.

    >>> is_of_one_hot("categorical_crossentropy"), is_of_one_hot("sparse_categorical_crossentropy")
    (True, False)
    """
    if isinstance(loss, str):
        return loss in (*_LOSSES, *_LOSS_CLASSES)
    name = getattr(loss, "__name__", None) or type(loss).__name__
    return name in (*_LOSSES, *_LOSS_CLASSES) and type(loss).__module__.partition(".")[0] in ("keras", "builtins")


class _OneHotLoss(keras.losses.Loss):
    """A loss of one-hot labels that gets class numbers.

    Args:
        loss: Takes one-hot labels; an object of Keras's losses, or a function.
        size: The number of classes.
    """

    def __init__(self, loss: Any, *, size: int) -> None:
        super().__init__(name=getattr(loss, "name", None) or getattr(loss, "__name__", "loss"))
        self._of_one_hot = loss.call if isinstance(loss, keras.losses.Loss) else loss
        self._size = size

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each image."""
        return self._of_one_hot(_one_hot(y_true, self._size), y_pred)


class _OneHotMetric(keras.metrics.Metric):
    """A metric of one-hot labels that gets class numbers.

    Args:
        metric: Takes one-hot labels.
        size: The number of classes.
    """

    def __init__(self, metric: Any, *, size: int) -> None:
        super().__init__(name=metric.name, dtype=metric.dtype)
        self._of_one_hot = metric
        self._size = size

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch."""
        self._of_one_hot.update_state(_one_hot(y_true, self._size), y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        """Returns the value over all batches since the last reset."""
        return self._of_one_hot.result()

    def reset_state(self) -> None:
        """Forgets all batches."""
        self._of_one_hot.reset_state()


def _loss_of(loss: Any, *, size: int) -> Any:
    found = keras.losses.get(loss)
    name = getattr(found, "__name__", "")
    is_plain = isinstance(found, keras.losses.CategoricalCrossentropy) and not found.get_config()["label_smoothing"]
    if name == "categorical_crossentropy" or is_plain:
        # The same numbers without one-hot labels.
        return "sparse_categorical_crossentropy"
    return _OneHotLoss(found, size=size)


def _metric_of(metric: Any, *, size: int) -> Any:
    if isinstance(metric, str) and (metric in _PLAIN or metric.startswith("sparse_")):
        return metric
    found = keras.metrics.get(metric)
    if not isinstance(found, keras.metrics.Metric):
        found = keras.metrics.MeanMetricWrapper(found, name=getattr(found, "__name__", None))
    return _OneHotMetric(found, size=size)


def _one_hot(labels: Any, size: int) -> Any:
    return ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), size)
