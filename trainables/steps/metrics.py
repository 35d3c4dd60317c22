"""Makes the metrics of a target by their names in a study file; all are exact over batches of different sizes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import metrics, ops

from trainables.errors import UserCodeError
from trainables.own_code.metrics import own_metric
from trainables.specs.masks import UNCOUNTED
from trainables.specs.targets import METRICS, is_own, metric_name
from trainables.specs.task import Target, Task
from trainables.specs.worker import NO_OWN_CODE, OwnCode
from trainables.steps.plain_steps import quick_accuracy

#: Thresholds of the area under the curve, evenly spaced; Keras's own default is 200.
AUC_THRESHOLDS = 1000


def task_metrics(task: Task, *, own: OwnCode = NO_OWN_CODE) -> dict[str, list[keras.metrics.Metric]]:
    """Returns the metrics of each target of a task, which take labels as `task.Target` has them.

    Args:
        task: The task.
        own: Where metrics of a user's lie.

    Raises:
        UserCodeError: One of a user's has the name of another number in reports, or counts for two targets.
    """
    metrics = {target.name: make_metrics(target, own=own) for target in task.targets}
    seen: dict[str, str] = {}
    objects: set[int] = set()
    for target in task.targets:
        for wanted, metric in zip(target.metrics, metrics[target.name], strict=True):
            name = metric_name(target.name, metric.name, num_targets=len(task.targets))
            if name in seen:
                raise UserCodeError(
                    f"metric {wanted!r}: reports have {name!r} of {seen[name]!r} already; give it another: name=..."
                )
            if id(metric) in objects:
                raise UserCodeError(f"metric {wanted!r}: is one object for two targets; name its class, or make two")
            seen[name] = wanted
            objects.add(id(metric))
    return metrics


def make_metrics(target: Target, *, own: OwnCode = NO_OWN_CODE) -> list[keras.metrics.Metric]:
    """Returns the target's metrics, which take labels as `task.Target` has them."""
    return [own_metric(name, own) if is_own(name) else _MAKERS[target.kind][name](target) for name in target.metrics]


class OfClasses(metrics.Metric):
    """A metric of float labels (batch, size), fed with class numbers or flags.

    Args:
        metric: A Keras metric.
        size: The number of classes or flags.
        is_sparse: Whether labels are class numbers.
    """

    def __init__(self, metric: keras.metrics.Metric, *, size: int, is_sparse: bool) -> None:
        super().__init__(name=metric.name)
        self._metric = metric
        self._size = size
        self._is_sparse = is_sparse

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Counts a batch."""
        truth = ops.cast(y_true, "float32")
        if self._is_sparse:
            truth = ops.one_hot(ops.reshape(y_true, (-1,)), self._size)
        return self._metric.update_state(truth, y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        """Returns the value over all batches so far."""
        return self._metric.result()

    def reset_state(self) -> None:
        """Forgets all batches."""
        self._metric.reset_state()


class MeanLoss(metrics.Metric):
    """The mean of a loss over all images; Keras's own means of several losses weigh batches of different sizes equally.

    Args:
        loss: Returns the loss of each image.
    """

    def __init__(self, loss: Callable[[Any, Any], Any]) -> None:
        super().__init__(name="loss")
        self._loss = loss
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; weights of images count in the sum of losses, not in the number of images."""
        values = ops.cast(self._loss(y_true, y_pred), self.dtype)
        self.count.assign_add(ops.cast(ops.shape(values)[0], self.dtype))
        if sample_weight is not None:
            values = values * ops.cast(ops.reshape(sample_weight, (-1,)), self.dtype)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Any:
        """Returns the mean over all images so far."""
        return ops.divide_no_nan(self.total, self.count)


def metric_values(model: keras.Model) -> dict[str, Any]:
    """Returns the value of each metric of a compiled model, by its name in reports.

    The result is Keras's own, except that compiled metrics come before the means of losses that Keras adds.
    """
    return results_of(model.metrics)


def results_of(metrics: Iterable[keras.metrics.Metric]) -> dict[str, Any]:
    """Returns the value of each metric object by its name in reports; the last of two of one name counts."""
    values: dict[str, Any] = {}
    compiled: dict[str, Any] = {}
    for metric in metrics:
        result = metric.result()
        if isinstance(result, dict):
            compiled.update(result)
        else:
            values[metric.name] = result
    return {**values, **compiled}


class _MacroPrecision(metrics.Metric):
    """The mean of the classes' precision or recall; a class that is never predicted, or has no images, counts 0.

    Args:
        name: `precision` or `recall`.
        size: The number of classes.
    """

    def __init__(self, name: str, *, size: int) -> None:
        super().__init__(name=name)
        self._size = size
        self.hits = self.add_weight(shape=(size,), initializer="zeros", name="hits")
        self.counts = self.add_weight(shape=(size,), initializer="zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch: class numbers and probabilities (batch, classes)."""
        truth = ops.one_hot(ops.reshape(y_true, (-1,)), self._size)
        guess = ops.one_hot(ops.argmax(y_pred, axis=-1), self._size)
        self.hits.assign_add(ops.sum(truth * guess, axis=0))
        self.counts.assign_add(ops.sum(guess if self.name == "precision" else truth, axis=0))

    def result(self) -> Any:
        """Returns the mean over the classes."""
        return ops.mean(ops.divide_no_nan(self.hits, self.counts))


class MaskMetric(metrics.Metric):
    """A metric of the pixels of all masks so far, those of value UNCOUNTED left out.

    A pixel's prediction is its most probable class. Of class c, hits are the pixels of c predicted as c, T the pixels
    of c, P those predicted as c. `iou` is the mean over classes of hits / (T + P - hits), `dice` of 2 hits / (T + P);
    a class that neither masks nor predictions have is left out of the mean. `pixel_accuracy` is the sum of hits over
    all pixels. Pixels of all images count alike, so it is no mean over images.

    Args:
        name: `iou`, `dice` or `pixel_accuracy`.
        size: The number of classes.
    """

    def __init__(self, name: str, *, size: int) -> None:
        super().__init__(name=name)
        self._size = size
        # int64: float32 cannot count beyond 16.7 million pixels.
        self.table = self.add_weight(shape=(size, size), initializer="zeros", dtype="int64", name="table")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch: class numbers (batch, height, width), probabilities (batch, height, width, classes)."""
        truth = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        guess = ops.reshape(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), (-1,))
        cells = self._size * self._size
        places = ops.where(truth == UNCOUNTED, cells, truth * self._size + guess)
        weights = tf.zeros([0], tf.int32)
        counts = tf.raw_ops.DenseBincount(input=places, size=cells + 1, weights=weights, binary_output=False)
        self.table.assign_add(ops.cast(ops.reshape(counts[:cells], (self._size, self._size)), "int64"))

    def result(self) -> Any:
        """Returns the value over all batches so far; 0 before any."""
        table = ops.cast(self.table, "float64")
        hits, true, predicted = tf.linalg.diag_part(table), ops.sum(table, axis=1), ops.sum(table, axis=0)
        if self.name == "pixel_accuracy":
            return ops.divide_no_nan(ops.sum(hits), ops.sum(table))
        present = ops.cast(true + predicted > 0, "float64")
        shares = hits / ops.maximum(true + predicted - hits, 1.0)
        if self.name == "dice":
            shares = 2.0 * hits / ops.maximum(true + predicted, 1.0)
        return ops.divide_no_nan(ops.sum(shares * present), ops.sum(present))


def _top(number: int) -> Callable[[Target], keras.metrics.Metric]:
    return lambda _: metrics.SparseTopKCategoricalAccuracy(k=number, name=f"top_{number}_accuracy")


def _of_masks(name: str) -> Callable[[Target], keras.metrics.Metric]:
    return lambda target: MaskMetric(name, size=target.size)


def _f1_score(target: Target) -> keras.metrics.Metric:
    is_sparse = target.kind == "classification"
    metric = metrics.F1Score(average="macro", threshold=None if is_sparse else 0.5, name="f1_score")
    return OfClasses(metric, size=target.size, is_sparse=is_sparse)


def _auc(target: Target) -> keras.metrics.Metric:
    metric = metrics.AUC(num_thresholds=AUC_THRESHOLDS, multi_label=True, num_labels=target.size, name="auc")
    return OfClasses(metric, size=target.size, is_sparse=target.kind == "classification")


_MAKERS: Mapping[str, Mapping[str, Callable[[Target], keras.metrics.Metric]]] = {
    "classification": {
        "accuracy": lambda _: quick_accuracy(metrics.SparseCategoricalAccuracy(name="accuracy")),
        "top_2_accuracy": _top(2),
        "top_3_accuracy": _top(3),
        "top_5_accuracy": _top(5),
        "top_10_accuracy": _top(10),
        "f1_score": _f1_score,
        "auc": _auc,
        "precision": lambda target: _MacroPrecision("precision", size=target.size),
        "recall": lambda target: _MacroPrecision("recall", size=target.size),
    },
    "multilabel": {
        "accuracy": lambda _: metrics.BinaryAccuracy(name="accuracy"),
        "f1_score": _f1_score,
        "auc": _auc,
        "precision": lambda _: metrics.Precision(name="precision"),
        "recall": lambda _: metrics.Recall(name="recall"),
    },
    "regression": {
        "mae": lambda _: metrics.MeanAbsoluteError(name="mae"),
        "mse": lambda _: metrics.MeanSquaredError(name="mse"),
        "rmse": lambda _: metrics.RootMeanSquaredError(name="rmse"),
        "mape": lambda _: metrics.MeanAbsolutePercentageError(name="mape"),
        "r2_score": lambda _: metrics.R2Score(name="r2_score"),
    },
    "mask": {name: _of_masks(name) for name in METRICS["mask"]},
}
