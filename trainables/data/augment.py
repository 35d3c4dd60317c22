"""Augmentation inside the compiled step: each image's change is a function of (seed, epoch, image index) alone."""

import math

import tensorflow as tf

from trainables.spec import AugmentSpec

_NUM_DRAWS = 5


class Augmenter:
    """Flips, shifts and rotates the images of a batch in one projective transform.

    Args:
        spec: What to do and how strongly.
        num_rows: Rows of the image array; a row's number is its image index.
        seed: The variant's seed.
    """

    def __init__(self, spec: AugmentSpec, *, num_rows: int, seed: int) -> None:
        self._spec = spec
        self._num_rows = num_rows
        self._seed = seed & 0x7FFFFFFF

    @property
    def is_active(self) -> bool:
        """Whether any augmentation is asked for."""
        return self._spec.flip != "none" or self._spec.crop_padding > 0 or self._spec.rotate_degrees > 0

    def draws(self, epoch: tf.Tensor) -> tf.Tensor:
        """Returns uniform draws of this epoch, float32 (rows, draws), values in [0, 1)."""
        seed = tf.stack([tf.constant(self._seed, tf.int32), tf.cast(epoch, tf.int32)])
        return tf.random.stateless_uniform([self._num_rows, _NUM_DRAWS], seed=seed)

    def apply(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Returns the changed images.

        images: float32 (batch, height, width, channels); what is moved in from outside is black.
        draws: float32 (batch, draws), the rows of these images.
        """
        height, width = images.shape[1], images.shape[2]
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=self._transforms(draws, height=height, width=width),
            output_shape=tf.constant([height, width], tf.int32),
            fill_value=0.0,
            # A flip or a shift by whole pixels needs no interpolation and keeps every pixel exact.
            interpolation="BILINEAR" if self._spec.rotate_degrees else "NEAREST",
            fill_mode="CONSTANT",
        )

    def _transforms(self, draws: tf.Tensor, *, height: int, width: int) -> tf.Tensor:
        """Returns the (batch, 8) matrices that map a pixel of the result to a pixel of the image."""
        spec = self._spec
        flip_x = _signs(draws[:, 0], is_on=spec.flip in {"horizontal", "both"})
        flip_y = _signs(draws[:, 1], is_on=spec.flip in {"vertical", "both"})
        shift_x = _whole_shift(draws[:, 2], limit=spec.crop_padding)
        shift_y = _whole_shift(draws[:, 3], limit=spec.crop_padding)
        angle = (draws[:, 4] * 2.0 - 1.0) * (spec.rotate_degrees * math.pi / 180.0)
        cos, sin = _cos_sin(angle)
        centre_x, centre_y = (width - 1) / 2.0, (height - 1) / 2.0
        zeros = tf.zeros_like(angle)
        return tf.stack(
            [
                cos * flip_x,
                -sin * flip_y,
                centre_x - cos * flip_x * centre_x + sin * flip_y * centre_y + shift_x,
                sin * flip_x,
                cos * flip_y,
                centre_y - sin * flip_x * centre_x - cos * flip_y * centre_y + shift_y,
                zeros,
                zeros,
            ],
            axis=1,
        )


def _cos_sin(angle: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # The last bit of TensorFlow's sine depends on an element's place in its batch; in float64, the bit that is rounded
    # away does.
    precise = tf.cast(angle, tf.float64)
    return tf.cast(tf.cos(precise), tf.float32), tf.cast(tf.sin(precise), tf.float32)


def _signs(draw: tf.Tensor, *, is_on: bool) -> tf.Tensor:
    return tf.where(draw < 0.5, -1.0, 1.0) if is_on else tf.ones_like(draw)


def _whole_shift(draw: tf.Tensor, *, limit: int) -> tf.Tensor:
    return tf.floor(draw * (2 * limit + 1)) - limit
