"""Turns an epoch's random numbers into the amounts by which each image is changed."""

import math
from dataclasses import dataclass

import tensorflow as tf

from trainables.data.augment.draws import Draws
from trainables.data.augment.pixels import WHITE, Amounts
from trainables.specs.augment import AugmentSpec

_SHIFT_STREAM, _ZOOM_STREAM, _BRIGHTNESS_STREAM, _CONTRAST_STREAM, _CUTOUT_STREAM = range(1, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The moves of each image; every field is float32 (rows,), and None changes nothing.

    Args:
        flip_x: -1 where the image is mirrored left to right, else 1.
        flip_y: -1 where it is mirrored upside down, else 1.
        angle: The rotation in radians.
        zoom: The number of the image's pixels that one pixel of the result spans.
        shift_x: The image's pixels by which the result starts further right.
        shift_y: The image's pixels by which the result starts further down.
    """

    flip_x: tf.Tensor | None = None
    flip_y: tf.Tensor | None = None
    angle: tf.Tensor | None = None
    zoom: tf.Tensor | None = None
    shift_x: tf.Tensor | None = None
    shift_y: tf.Tensor | None = None

    def matrices(self, size: tuple[int, int]) -> tf.Tensor:
        """Returns (rows, 8) matrices that map a pixel of the result to a pixel of an image of this (height, width)."""
        some = next(
            part for part in (self.flip_x, self.angle, self.zoom, self.shift_x, self.shift_y) if part is not None
        )
        ones, zeros = tf.ones_like(some), tf.zeros_like(some)
        flip_x, flip_y = _or(self.flip_x, ones), _or(self.flip_y, ones)
        cos, sin = (ones, zeros) if self.angle is None else _cos_sin(self.angle)
        if self.zoom is not None:
            cos, sin = cos * self.zoom, sin * self.zoom
        centre_x, centre_y = (size[1] - 1) / 2.0, (size[0] - 1) / 2.0
        # Grappler reorders a chain of additions, which changes the last bits; it leaves subtractions alone.
        return tf.stack(
            [
                cos * flip_x,
                -sin * flip_y,
                centre_x - cos * flip_x * centre_x - -sin * flip_y * centre_y + _or(self.shift_x, zeros),
                sin * flip_x,
                cos * flip_y,
                centre_y - sin * flip_x * centre_x - cos * flip_y * centre_y + _or(self.shift_y, zeros),
                zeros,
                zeros,
            ],
            axis=1,
        )


def moves_of(spec: AugmentSpec, *, draws: Draws, size: tuple[int, int]) -> Amounts:
    """Returns how flip, crop, rotation, shift and zoom move each image of this (height, width)."""
    base = draws.base()
    is_warped = spec.rotate_degrees > 0 or spec.shift > 0 or spec.zoom > 0
    if not is_warped and spec.flip == "none" and not spec.crop_padding:
        return {}
    shift_x = whole_shift(base[:, 2], limit=spec.crop_padding)
    shift_y = whole_shift(base[:, 3], limit=spec.crop_padding)
    if spec.shift:
        moved = draws.uniform(_SHIFT_STREAM, count=2)
        shift_x -= either_way(moved[:, 0], limit=spec.shift * size[1])
        shift_y -= either_way(moved[:, 1], limit=spec.shift * size[0])
    zoom = draws.uniform(_ZOOM_STREAM, count=1)[:, 0] if spec.zoom else None
    geometry = Geometry(
        flip_x=_signs(base[:, 0], is_on=spec.flip in {"horizontal", "both"}),
        flip_y=_signs(base[:, 1], is_on=spec.flip in {"vertical", "both"}),
        angle=either_way(base[:, 4], limit=spec.rotate_degrees * math.pi / 180.0),
        zoom=None if zoom is None else 1.0 + either_way(zoom, limit=spec.zoom),
        shift_x=shift_x,
        shift_y=shift_y,
    )
    return {"warps" if is_warped else "moves": geometry.matrices(size)}


def colours_of(spec: AugmentSpec, *, draws: Draws, size: tuple[int, int]) -> Amounts:
    """Returns how brightness, contrast and cutout change each image of this (height, width)."""
    amounts = {}
    if spec.brightness:
        draw = draws.uniform(_BRIGHTNESS_STREAM, count=1)[:, 0]
        amounts["brightness"] = either_way(draw, limit=spec.brightness * WHITE)
    if spec.contrast:
        draw = draws.uniform(_CONTRAST_STREAM, count=1)[:, 0]
        amounts["contrast"] = 1.0 + either_way(draw, limit=spec.contrast)
    if spec.cutout:
        centres = draws.uniform(_CUTOUT_STREAM, count=2)
        side = tf.fill(tf.shape(centres)[:1], spec.cutout)
        amounts["cutout"] = boxes_around(centres, heights=side, widths=side, size=size)
    return amounts


def boxes_around(centres: tf.Tensor, *, heights: tf.Tensor, widths: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Returns the boxes around random pixels, cut off at the image's edges: int32 (rows, 4), top, left, bottom, right.

    Args:
        centres: float32 (rows, 2) in [0, 1): down and across. heights, widths: int32 (rows,), pixels.
    """
    top = tf.cast(tf.floor(centres[:, 0] * size[0]), tf.int32) - heights // 2
    left = tf.cast(tf.floor(centres[:, 1] * size[1]), tf.int32) - widths // 2
    bottom, right = top + heights, left + widths
    return tf.stack(
        [
            tf.maximum(top, 0),
            tf.maximum(left, 0),
            tf.minimum(bottom, size[0]),
            tf.minimum(right, size[1]),
        ],
        axis=1,
    )


def either_way(draw: tf.Tensor, *, limit: float) -> tf.Tensor:
    """Returns draws from [0, 1) as amounts in [-limit, limit)."""
    return (draw * 2.0 - 1.0) * limit


def whole_shift(draw: tf.Tensor, *, limit: int) -> tf.Tensor:
    """Returns draws from [0, 1) as whole numbers from -limit to limit."""
    return tf.floor(draw * (2 * limit + 1)) - limit


def _cos_sin(angle: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # findings/tensorflow-sine-depends-on-place.sh; of float64 the bit that differs is rounded away.
    precise = tf.cast(angle, tf.float64)
    return tf.cast(tf.cos(precise), tf.float32), tf.cast(tf.sin(precise), tf.float32)


def _signs(draw: tf.Tensor, *, is_on: bool) -> tf.Tensor:
    return tf.where(draw < 0.5, -1.0, 1.0) if is_on else tf.ones_like(draw)


def _or(part: tf.Tensor | None, default: tf.Tensor) -> tf.Tensor:
    return default if part is None else part
