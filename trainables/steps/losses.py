"""The loss of a target by Keras's name, with label smoothing and second labels while a training step is traced."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
from keras import losses, ops

from trainables.specs.targets import LOSSES
from trainables.specs.task import Target, Task
from trainables.steps.mixing import MixableLoss

#: Keras's functions of (labels, predictions), by their names there.
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    name: getattr(losses, name) for names in LOSSES.values() for name in names
}


class TargetLoss(MixableLoss):
    """The loss of one target, by image.

    Labels of classes and flags are smoothed in training: y becomes y (1 - s) + s / k for k classes, y (1 - s) + s / 2
    for flags. Source: Szegedy et al. 2016, arXiv:1512.00567, section 7; for flags as Keras does.

    Args:
        target: Whose loss.
        smoothing: The share s; without effect on numbers.
    """

    def __init__(self, target: Target, *, smoothing: float = 0.0) -> None:
        super().__init__(self._of_labels)
        self._target = target
        self._smoothing = smoothing

    @contextmanager
    def without_smoothing(self) -> Iterator[None]:
        """Makes what is traced meanwhile compute the plain loss.

        Validation uses it: losses of variants with different smoothing could not be compared otherwise.
        """
        smoothing, self._smoothing = self._smoothing, 0.0
        try:
            yield
        finally:
            self._smoothing = smoothing

    def _of_labels(self, labels: Any, predictions: Any) -> Any:
        """Returns the loss of each image; labels and predictions as `task.Target` has them."""
        target, name = self._target, self._target.loss
        if target.kind != "classification":
            truth = ops.reshape(ops.cast(labels, "float32"), (-1, target.size))
            if target.kind == "multilabel" and self._smoothing:
                truth = truth * (1.0 - self._smoothing) + 0.5 * self._smoothing
            return _FUNCTIONS[name](truth, predictions)
        classes = ops.reshape(labels, (-1,))
        if name == "categorical_crossentropy" and not self._smoothing:
            # The same numbers without one-hot labels.
            return losses.sparse_categorical_crossentropy(classes, predictions)
        truth = ops.one_hot(classes, target.size)
        if self._smoothing:
            truth = truth * (1.0 - self._smoothing) + self._smoothing / target.size
        return _FUNCTIONS[name](truth, predictions)


class TaskLosses:
    """The losses of all targets of a task.

    Args:
        task: Whose targets.
        smoothing: The share of label smoothing.
    """

    def __init__(self, task: Task, *, smoothing: float = 0.0) -> None:
        self.by_target = {target.name: TargetLoss(target, smoothing=smoothing) for target in task.targets}

    @contextmanager
    def without_smoothing(self) -> Iterator[None]:
        """Makes what is traced meanwhile compute the plain losses."""
        with ExitStack() as stack:
            for loss in self.by_target.values():
                stack.enter_context(loss.without_smoothing())
            yield

    @contextmanager
    def second_labels(self, others: Mapping[str, Any] | None, weights: Any) -> Iterator[None]:
        """Makes what is traced meanwhile count these labels, too; None changes nothing.

        others: labels by target. weights: float (batch,), the share of the images' own labels.
        """
        with ExitStack() as stack:
            for name, loss in self.by_target.items():
                stack.enter_context(loss.second_labels(None if others is None else others[name], weights))
            yield


@contextmanager
def without_penalties(model: keras.Model) -> Iterator[None]:
    """Makes what is traced meanwhile leave out the penalties on weights, such as L2.

    Validation uses it: a loss with penalties says nothing about images, and cannot be compared between variants.
    """
    penalties = [(weight, weight.regularizer) for weight in model.trainable_weights]
    try:
        for weight, _ in penalties:
            weight.regularizer = None
        yield
    finally:
        for weight, penalty in penalties:
            weight.regularizer = penalty
