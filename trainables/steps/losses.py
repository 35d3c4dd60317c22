"""The losses of a task's targets, by image: Keras's and users', label smoothing, second labels for mixup and cutmix."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from keras import losses, ops

from trainables.catalog.training import TARGETS
from trainables.errors import MicroBatchError, UserCodeError
from trainables.own_code.losses import OwnLoss
from trainables.specs.masks import UNCOUNTED
from trainables.specs.targets import LOSSES, is_own
from trainables.specs.task import Target, Task
from trainables.specs.worker import NO_OWN_CODE, OwnCode

#: Returns the loss of each image from labels and predictions.
Loss = Callable[[Any, Any], Any]

#: Keras's functions of (labels, predictions), by their names in Keras.
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    name: getattr(losses, name) for names in LOSSES.values() for name in names
}


def with_loss(task: Task, name: str) -> Task:
    """Returns the task with another loss of its lone target.

    Args:
        task: The task.
        name: By Keras's name, or a user's `module:name`; `targets`: the task stays as it is.
    """
    if name == TARGETS:
        return task
    (target,) = task.targets
    return replace(task, targets=(replace(target, loss=name),))


class MixableLoss:
    """A loss by image that also counts a second label in steps with mixed images.

    With weight w it is w * loss(own label) + (1 - w) * loss(other label). Where a loss is linear in its target, as
    cross-entropy is, that equals the loss of the soft target w * own + (1 - w) * other. Metrics count
    against the image's own label and never see the second one.

    Args:
        loss: The loss of one label an image.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        #: Second labels by thread: where several devices share a step, TensorFlow traces each on a thread of its own.
        self._second: dict[int, tuple[Any, Any]] = {}

    def __call__(self, labels: Any, predictions: Any) -> Any:
        """Returns the loss of each image."""
        own = self._loss(labels, predictions)
        second = self._second.get(threading.get_ident())
        if second is None:
            return own
        others, weights = second
        return weights * own + (1.0 - weights) * self._loss(others, predictions)

    @contextmanager
    def second_labels(self, others: Any, weights: Any) -> Iterator[None]:
        """Counts these second labels in losses traced in this context; None changes nothing.

        Args:
            others: Labels like the images' own.
            weights: Float (batch,), the share of the images' own labels.
        """
        thread = threading.get_ident()
        if others is not None:
            self._second[thread] = others, weights
        try:
            yield
        finally:
            self._second.pop(thread, None)

    @contextmanager
    def without_smoothing(self) -> Iterator[None]:
        """Leaves label smoothing out of losses traced in this context; a loss of a user's has none."""
        yield

    @contextmanager
    def class_weights(self, weights: Any) -> Iterator[None]:
        """Changes nothing: a loss of a user's has the weights of whole images, and a study with others is refused."""
        yield

    @property
    def is_of_batches(self) -> bool:
        """Whether the loss, when it was last called, returned one number for a whole batch."""
        return isinstance(self._loss, OwnLoss) and self._loss.is_of_batches


class TargetLoss(MixableLoss):
    """The loss of one target, by image.

    Labels of classes and flags are smoothed in training: y becomes y (1 - s) + s / k for k classes, y (1 - s) + s / 2
    for flags. Source: Szegedy et al. 2016, arXiv:1512.00567, section 7; for flags as Keras does.

    Args:
        target: The target of the loss.
        smoothing: The share s; it has no effect on targets that are numbers.
    """

    def __init__(self, target: Target, *, smoothing: float = 0.0) -> None:
        super().__init__(self._of_labels)
        self._target = target
        self._smoothing = smoothing
        #: float32 (classes or flags,) by thread, as second labels are.
        self._class_weights: dict[int, Any] = {}

    @contextmanager
    def without_smoothing(self) -> Iterator[None]:
        """Leaves label smoothing out of losses traced in this context.

        Validation uses it: losses of variants with different smoothing could not be compared otherwise.
        """
        smoothing, self._smoothing = self._smoothing, 0.0
        try:
            yield
        finally:
            self._smoothing = smoothing

    @contextmanager
    def class_weights(self, weights: Any) -> Iterator[None]:
        """Weighs flags, or the pixels of classes, in losses traced in this context; None changes nothing.

        A flag's weight counts whether the flag is set or not. As in Keras, sums are divided by the number of flags or
        pixels, not by the sum of weights. Classes of whole images have weights in `step_data`.
        """
        thread = threading.get_ident()
        if weights is not None:
            self._class_weights[thread] = weights
        try:
            yield
        finally:
            self._class_weights.pop(thread, None)

    def _of_labels(self, labels: Any, predictions: Any) -> Any:
        """Returns the loss of each image; labels and predictions as `task.Target` has them."""
        target, name = self._target, self._target.loss
        if target.kind == "mask":
            return self._of_pixels(labels, predictions)
        if target.kind != "classification":
            truth = ops.reshape(ops.cast(labels, "float32"), (-1, target.size))
            if target.kind == "multilabel" and self._smoothing:
                truth = truth * (1.0 - self._smoothing) + 0.5 * self._smoothing
            weights = self._class_weights.get(threading.get_ident())
            if target.kind == "multilabel" and weights is not None:
                flags = _FUNCTIONS[name](ops.expand_dims(truth, -1), ops.expand_dims(predictions, -1))
                return ops.mean(flags * weights, axis=-1)
            return _FUNCTIONS[name](truth, predictions)
        classes = ops.reshape(labels, (-1,))
        if name == "categorical_crossentropy" and not self._smoothing:
            # The same numbers without one-hot labels.
            return losses.sparse_categorical_crossentropy(classes, predictions)
        truth = ops.one_hot(classes, target.size)
        if self._smoothing:
            truth = truth * (1.0 - self._smoothing) + self._smoothing / target.size
        return _FUNCTIONS[name](truth, predictions)

    def _of_pixels(self, labels: Any, predictions: Any) -> Any:
        """Returns the loss of each image: the mean over the pixels that count, 0 where none does."""
        target, name = self._target, self._target.loss
        numbers = ops.cast(labels, "int32")
        is_counted = numbers != UNCOUNTED
        counted, classes = ops.cast(is_counted, "float32"), ops.where(is_counted, numbers, 0)
        if name == "categorical_crossentropy" and not self._smoothing:
            return self._weighted_mean(losses.sparse_categorical_crossentropy(classes, predictions), classes, counted)
        truth = ops.one_hot(classes, target.size)
        if self._smoothing:
            truth = truth * (1.0 - self._smoothing) + self._smoothing / target.size
        if name == "dice":
            return dice_loss(truth, predictions, counted)
        return self._weighted_mean(_FUNCTIONS[name](truth, predictions), classes, counted)

    def _weighted_mean(self, pixels: Any, classes: Any, counted: Any) -> Any:
        weights = self._class_weights.get(threading.get_ident())
        if weights is not None:
            pixels = pixels * ops.take(weights, classes)
        return _mean_of(pixels, counted)


def dice_loss(truth: Any, predictions: Any, counted: Any) -> Any:
    """Returns 1 minus the mean over classes of (2 I + 1) / (T + P + 1) of each image.

    I sums up the products of truth and probability over the pixels that count, T the truth, P the probabilities.
    Source: Milletari et al. 2016, arXiv:1606.04797, with plain sums below the fraction line, and 1 added on both sides.

    Args:
        truth: One-hot (batch, height, width, classes).
        predictions: Probabilities like it.
        counted: (batch, height, width), 1 for pixels that count, else 0.
    """
    weights = ops.expand_dims(counted, -1)
    both = ops.sum(truth * predictions * weights, axis=(1, 2))
    total = ops.sum((truth + predictions) * weights, axis=(1, 2))
    return 1.0 - ops.mean((2.0 * both + 1.0) / (total + 1.0), axis=-1)


def _mean_of(pixels: Any, counted: Any) -> Any:
    return ops.divide_no_nan(ops.sum(pixels * counted, axis=(1, 2)), ops.sum(counted, axis=(1, 2)))


class TaskLosses:
    """The losses of all targets of a task.

    Args:
        task: The task with the targets.
        smoothing: The share of label smoothing.
        own: Where losses of a user's lie.

    Raises:
        UserCodeError: One of a user's is none, or has another error.
    """

    def __init__(self, task: Task, *, smoothing: float = 0.0, own: OwnCode = NO_OWN_CODE) -> None:
        self.by_target: dict[str, MixableLoss] = {
            target.name: MixableLoss(OwnLoss(target.loss, own))
            if is_own(target.loss)
            else TargetLoss(target, smoothing=smoothing)
            for target in task.targets
        }

    def of_batches(self) -> list[str]:
        """Returns the targets whose losses, when they were last called, returned one number for a whole batch."""
        return [name for name, loss in self.by_target.items() if loss.is_of_batches]

    @contextmanager
    def without_smoothing(self) -> Iterator[None]:
        """Leaves label smoothing out of all losses traced in this context."""
        with ExitStack() as stack:
            for loss in self.by_target.values():
                stack.enter_context(loss.without_smoothing())
            yield

    @contextmanager
    def second_labels(self, others: Mapping[str, Any] | None, weights: Any) -> Iterator[None]:
        """Counts these second labels in losses traced in this context; None changes nothing.

        Args:
            others: Labels by target.
            weights: Float (batch,), the share of the images' own labels.
        """
        with ExitStack() as stack:
            for name, loss in self.by_target.items():
                stack.enter_context(loss.second_labels(None if others is None else others[name], weights))
            yield

    @contextmanager
    def class_weights(self, weights: Mapping[str, Any]) -> Iterator[None]:
        """Weighs flags, and the pixels of classes, in losses traced in this context.

        Args:
            weights: Weights of classes or flags by target, of some targets.
        """
        with ExitStack() as stack:
            for name, loss in self.by_target.items():
                stack.enter_context(loss.class_weights(weights.get(name)))
            yield


def refuse_losses_of_batches(names: Sequence[str], *, needs: Mapping[str, bool], is_in_pieces: bool) -> None:
    """Refuses losses that return one number for a whole batch, where each image must have its own.

    Args:
        names: Their targets.
        needs: What needs a number for each image, and whether it is so.
        is_in_pieces: Whether batches are trained in pieces.

    Raises:
        UserCodeError: One of the needs holds.
        MicroBatchError: Batches are trained in pieces.
    """
    if not names:
        return
    text = f"the loss of {', '.join(names)} returns one number for a whole batch"
    if is_in_pieces:
        raise MicroBatchError(text)
    if reason := next((reason for reason, holds in needs.items() if holds), ""):
        raise UserCodeError(f"{text}, but {reason}; return one an image: no mean over the first axis")
