"""Losses of a user's, brought to one number an image, so that weights of images and second labels count in them."""

from typing import Any

import tensorflow as tf
from keras import losses, ops

from trainables.errors import UserCodeError
from trainables.own_code.loading import guarded, load_own, made
from trainables.specs.worker import OwnCode

#: What a loss is called with.
TAKES = "(y_true, y_pred)"
#: Reductions of Keras that are the mean over all images.
_MEANS = ("sum_over_batch_size", "mean")


class OwnLoss:
    """A loss of a user's by image: a function of (y_true, y_pred), or a class or an object of keras.losses.Loss.

    It gets what Keras's `fit` gives it: labels as `task.Target` has them, as float32. What it returns for an image
    beyond one number counts by its mean.

    Args:
        reference: `module:name`.
        own: Where the module lies.

    Raises:
        UserCodeError: It is something else, or its reduction is no mean over images.
    """

    def __init__(self, reference: str, own: OwnCode) -> None:
        self.where = f"loss {reference!r}"
        self._own = own
        found = load_own(reference, own, where=self.where)
        loss = made(found, own, where=self.where) if isinstance(found, type) else found
        if isinstance(loss, losses.Loss):
            _check(loss, where=self.where)
        elif isinstance(found, type):
            raise UserCodeError(
                f"{self.where}: expected a function of {TAKES}, or a class of keras.losses.Loss, got the class "
                f"{found.__name__}; derive it from keras.losses.Loss"
            )
        self._call = loss.call if isinstance(loss, losses.Loss) else loss
        self._dtype = loss.dtype if isinstance(loss, losses.Loss) else "float32"
        #: Whether it returned one number for a whole batch when it was last called.
        self.is_of_batches = False

    def __call__(self, labels: Any, predictions: Any) -> Any:
        """Returns the loss of each image; all have the same where the user's loss returns one number for the batch."""
        truth, outputs = (ops.convert_to_tensor(value, dtype=self._dtype) for value in (labels, predictions))
        result = guarded(lambda: self._call(truth, outputs), where=self.where, own=self._own, takes=TAKES)
        return self._by_image(result, count=ops.shape(outputs)[0], num_known=outputs.shape[0])

    def _by_image(self, result: Any, *, count: Any, num_known: int | None) -> Any:
        try:
            values = ops.cast(ops.convert_to_tensor(result), "float32")
        except (TypeError, ValueError) as exc:
            got = "nothing" if result is None else f"a {type(result).__name__}"
            raise UserCodeError(f"{self.where}: expected numbers, one an image, got {got}; return them") from exc
        self.is_of_batches = len(values.shape) == 0
        if self.is_of_batches:
            return ops.broadcast_to(values, (count,))
        text = f"{self.where}: expected one number an image, (batch,), got another number of them; reduce over the last"
        text += " axes only, such as keras.ops.mean(..., axis=-1)"
        # A size that is known although the batch's is not is none of the batch.
        if values.shape[0] not in (None, num_known):
            raise UserCodeError(text)
        # TensorFlow writes quotes with a backslash.
        check = tf.debugging.assert_equal(tf.shape(values)[0], count, message=text.replace("'", ""))
        with tf.control_dependencies([] if check is None else [check]):
            values = tf.identity(values)
        axes = tuple(range(1, len(values.shape)))
        return ops.mean(values, axis=axes) if axes else values


def _check(loss: losses.Loss, *, where: str) -> None:
    if loss.reduction not in _MEANS:
        raise UserCodeError(
            f"{where}: expected reduction='sum_over_batch_size', got {loss.reduction!r}: it would not be a mean over "
            "images; drop the argument"
        )
    if type(loss).__call__ is not losses.Loss.__call__:
        raise UserCodeError(f"{where}: has a __call__ of its own; write call(self, y_true, y_pred) instead")
