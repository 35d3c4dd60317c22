"""Random numbers by image index: the numbers of row r do not depend on the number of rows."""

import tensorflow as tf

#: An image's draws: mirrored across, mirrored down, cropped across, cropped down, turned.
NUM_BASE_DRAWS = 5


class Draws:
    """The random numbers of one epoch, one row an image, in numbered streams that do not depend on each other.

    Args:
        seed: The variant's seed, below 2^31.
        epoch: The epoch, an int32 scalar.
        num_rows: Rows of the image array.
    """

    def __init__(self, *, seed: int, epoch: tf.Tensor, num_rows: int) -> None:
        self._seed = tf.stack([tf.constant(seed, tf.int32), tf.cast(epoch, tf.int32)])
        self._num_rows = num_rows

    def base(self) -> tf.Tensor:
        """Returns float32 (rows, 5) in [0, 1) for flips, crops and rotations."""
        return tf.random.stateless_uniform([self._num_rows, NUM_BASE_DRAWS], seed=self._seed)

    def uniform(self, stream: int, *, count: int) -> tf.Tensor:
        """Returns float32 (rows, count) in [0, 1)."""
        return tf.random.stateless_uniform([self._num_rows, count], seed=self._stream(stream))

    def whole(self, stream: int, *, below: int) -> tf.Tensor:
        """Returns int32 (rows,) from 0 to below - 1."""
        return tf.random.stateless_uniform([self._num_rows], seed=self._stream(stream), maxval=below, dtype=tf.int32)

    def beta(self, stream: int, *, alpha: float) -> tf.Tensor:
        """Returns float32 (rows,) from the Beta(alpha, alpha) distribution, as the share of one of two Gammas."""
        first, second = (
            tf.random.stateless_gamma(
                [self._num_rows],
                seed=tf.random.experimental.stateless_fold_in(self._stream(stream), part),
                # In float64, because a Gamma of a small alpha is often below the smallest float32.
                alpha=tf.constant(alpha, tf.float64),
                dtype=tf.float64,
            )
            for part in (0, 1)
        )
        share = tf.where(first + second > 0, first / (first + second), tf.ones_like(first))
        return tf.cast(share, tf.float32)

    def _stream(self, number: int) -> tf.Tensor:
        return tf.random.experimental.stateless_fold_in(self._seed, number)
