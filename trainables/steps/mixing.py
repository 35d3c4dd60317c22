"""A loss of two labels an image, as mixup and cutmix need it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Returns the loss of each image from labels and predictions.
Loss = Callable[[Any, Any], Any]


class MixableLoss:
    """A loss by image that also counts a second label, while a step with mixed images is traced.

    With weight w it is w * loss(own label) + (1 - w) * loss(other label). Where a loss is linear in its target, as
    cross-entropy is, that equals the loss of the soft target w * own + (1 - w) * other. Metrics never see the second
    label: they count against the image's own.

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
        """Makes what is traced meanwhile count these labels, too; None changes nothing.

        others: labels like the images' own. weights: float (batch,), the share of the images' own labels.
        """
        thread = threading.get_ident()
        if others is not None:
            self._second[thread] = others, weights
        try:
            yield
        finally:
            self._second.pop(thread, None)
