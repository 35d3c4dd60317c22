"""Trains batches in smaller pieces to save memory; the gradients of the pieces add up to the batch's exactly.

The optimizer takes one step a batch, as without pieces: schedules, clipping, weight decay, running averages and
`gradient_accumulation` see batches only. No sum outlives an epoch, so checkpoints hold none. Layers that learn from the
rows of a batch, such as batch normalisation, learn from the rows of a piece.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from trainables.data.batches.streaming import Piece
from trainables.errors import MicroBatchError
from trainables.families.parts.keras_internals import trained_variables


def micro_batch_size(batch_size: int, *, num_images: int, num_micro_batches: int) -> int:
    """Returns the rows of a piece where the largest batch of an epoch is cut into `num_micro_batches`.

    Smaller batches have fewer pieces, so that no piece is empty.

    >>> micro_batch_size(128, num_images=5000, num_micro_batches=4)
    32
    >>> micro_batch_size(128, num_images=50, num_micro_batches=4)
    13
    """
    return math.ceil(min(batch_size, num_images) / num_micro_batches)


class GradientSums:
    """The sums of gradients over the pieces of one batch.

    Args:
        optimizer: The built optimizer that takes a step with the sums.
        variables: The trainable variables.
    """

    def __init__(self, optimizer: Any, variables: Sequence[Any]) -> None:
        self._optimizer = optimizer
        #: All zero between batches.
        self._sums = {id(variable): tf.Variable(tf.zeros(variable.shape, variable.dtype)) for variable in variables}

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables that hold the sums."""
        return list(self._sums.values())

    @contextmanager
    def of_piece(self, piece: Piece) -> Iterator[None]:
        """Makes a training step traced in this context add to the sums, and apply and clear them after the last piece.

        The loss of a piece is a mean over its rows, plus penalties on weights; weighted by the piece's share of the
        batch, these gradients add up to the gradient of the batch's own.

        Raises:
            MicroBatchError: If the step does not apply the optimizer exactly once to each weight.
        """
        optimizer, trained = self._optimizer, set[int]()
        take_step = optimizer.apply

        @tf.autograph.experimental.do_not_convert
        def gather(gradients: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
            # As Keras does in the same case.
            variables = list(trained_variables(optimizer) if trainable_variables is None else trainable_variables)
            ids = {id(variable) for variable in variables}
            if trained & ids or not ids <= self._sums.keys():
                raise MicroBatchError("its train_step changes the same weights twice")
            trained.update(ids)
            self._gather(list(gradients), variables, piece=piece, take_step=take_step)

        # Set on the instance alone, and only while a step is traced: Keras has no hook between gradients and their use.
        optimizer.apply = gather
        try:
            yield
        finally:
            del optimizer.apply
        if not trained:
            raise MicroBatchError("its train_step does not use the model's optimizer")

    def _gather(self, gradients: Sequence[Any], variables: Sequence[Any], *, piece: Piece, take_step: Any) -> None:
        totals = [
            None if gradient is None else self._sums[id(variable)] + _weighted(gradient, piece.share)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

        def step() -> None:
            take_step(totals, variables)
            for variable in variables:
                self._sums[id(variable)].assign(tf.zeros(variable.shape, variable.dtype))

        def keep() -> None:
            for total, variable in zip(totals, variables, strict=True):
                if total is not None:
                    self._sums[id(variable)].assign(total)

        tf.cond(piece.is_last, step, keep)


def _weighted(gradient: Any, share: tf.Tensor) -> tf.Tensor:
    # Gradients of lookups are sparse rows.
    dense = tf.convert_to_tensor(gradient)
    return dense * tf.cast(share, dense.dtype)
