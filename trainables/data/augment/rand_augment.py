"""RandAugment: some operations are drawn at random for each image, all of one magnitude.

Source: Cubuk et al. 2019, arXiv:1909.13719. Of the paper's operations these are left out: shears, sharpness, color,
equalize and autocontrast (the last two have no magnitude, so no strength could switch them off), and any that inverts a
whole image: solarize leaves the dark half of all values as it is. Zoom and cutout, which the paper lacks, are in.
"""

import math

import tensorflow as tf

from trainables.data.augment.amounts import Geometry, boxes_around
from trainables.data.augment.draws import Draws
from trainables.data.augment.pixels import WHITE, Amounts
from trainables.specs.augment import LARGEST_MAGNITUDE, RandAugmentSpec

OPERATIONS = (
    "identity",
    "rotate",
    "shift_x",
    "shift_y",
    "zoom",
    "brightness",
    "contrast",
    "posterize",
    "solarize",
    "cutout",
)

# Each operation's amount at magnitude 10; smaller magnitudes scale it down in proportion.
LARGEST_ANGLE = math.radians(30.0)
LARGEST_SHIFT = 0.3
LARGEST_ZOOM = 0.5
LARGEST_BRIGHTNESS = 0.5 * WHITE
LARGEST_CONTRAST = 0.9
LARGEST_CUTOUT = 0.5
MOST_BITS_DROPPED = 4
SOLARIZE_FROM, SOLARIZE_DOWN_TO = 256.0, 128.0

_FIRST_STREAM = 100
_NEVER = 2 * SOLARIZE_FROM


def drawn_amounts(spec: RandAugmentSpec, *, draws: Draws, size: tuple[int, int]) -> list[Amounts]:
    """Returns the amounts of each drawn operation in order, for images of this (height, width)."""
    return [
        amounts_of(draws.uniform(_FIRST_STREAM + number, count=4), magnitude=spec.magnitude, size=size)
        for number in range(spec.num_ops)
    ]


def amounts_of(draws: tf.Tensor, *, magnitude: float, size: tuple[int, int]) -> Amounts:
    """Returns the amounts of one operation for each image.

    Args:
        draws: float32 (rows, 4) in [0, 1): the operation, its sign, and a position down and across.
    """
    share = magnitude / LARGEST_MAGNITUDE
    operation = tf.cast(tf.floor(draws[:, 0] * len(OPERATIONS)), tf.int32)
    signed = tf.where(draws[:, 1] < 0.5, -share, share)

    def only(name: str, amount: tf.Tensor, neutral: float = 0.0) -> tf.Tensor:
        return tf.where(operation == OPERATIONS.index(name), amount, tf.constant(neutral, amount.dtype))

    geometry = Geometry(
        angle=only("rotate", signed * LARGEST_ANGLE),
        zoom=only("zoom", 1.0 + signed * LARGEST_ZOOM, 1.0),
        shift_x=only("shift_x", signed * (LARGEST_SHIFT * size[1])),
        shift_y=only("shift_y", signed * (LARGEST_SHIFT * size[0])),
    )
    side = only("cutout", tf.fill(tf.shape(operation), round(share * LARGEST_CUTOUT * min(size))), 0)
    dropped = tf.ones_like(signed) * 2.0 ** round(share * MOST_BITS_DROPPED)
    threshold = tf.ones_like(signed) * (SOLARIZE_FROM - share * (SOLARIZE_FROM - SOLARIZE_DOWN_TO))
    return {
        "warps": geometry.matrices(size),
        "brightness": only("brightness", signed * LARGEST_BRIGHTNESS),
        "contrast": only("contrast", 1.0 + signed * LARGEST_CONTRAST, 1.0),
        "posterize": only("posterize", dropped, 1.0),
        "solarize": only("solarize", threshold, _NEVER),
        "cutout": boxes_around(draws[:, 2:], heights=side, widths=side, size=size),
    }
