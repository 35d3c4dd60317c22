"""Changes images by amounts with TensorFlow's own operations, one amount for each image.

An image's result does not depend on its position in the batch, to the last bit.
"""

from collections.abc import Mapping

import tensorflow as tf

#: Amounts by name, each a tensor with one row an image:
#: `moves` and `warps`: float32 (rows, 8), matrices that map a pixel of the result to a pixel of the image, in whole
#: pixels or between them; `brightness`: float32 (rows,), added; `contrast`: float32 (rows,), factor of the distance
#: from the channel's mean; `posterize`: float32 (rows,), width of a step of values, a power of two; `solarize`: float32
#: (rows,), values from this one upward are inverted; `cutout`: int32 (rows, 4), a black box.
Amounts = Mapping[str, tf.Tensor]

WHITE = 255.0
_FIXED_POINT = 65536.0


def changed(images: tf.Tensor, amounts: Amounts) -> tf.Tensor:
    """Returns images changed by their amounts, in the order of the names above.

    Args:
        images: float32 (batch, height, width, channels), values 0-255; pixels moved in from outside are black.
        amounts: The amounts of these images, one row each.
    """
    if "moves" in amounts:
        # Moves by whole pixels need no interpolation, so every pixel stays exact.
        images = _transformed(images, amounts["moves"], interpolation="NEAREST")
    if "warps" in amounts:
        images = _transformed(images, amounts["warps"], interpolation="BILINEAR")
    if "brightness" in amounts:
        images = tf.clip_by_value(images + _each(amounts["brightness"]), 0.0, WHITE)
    if "contrast" in amounts:
        factor = _each(amounts["contrast"])
        images = tf.clip_by_value(images * factor + channel_means(images) * (1.0 - factor), 0.0, WHITE)
    if "posterize" in amounts:
        step = _each(amounts["posterize"])
        images = tf.where(step > 1.0, tf.floor(images / step) * step, images)
    if "solarize" in amounts:
        images = tf.where(images >= _each(amounts["solarize"]), WHITE - images, images)
    if "cutout" in amounts:
        images = tf.where(inside(amounts["cutout"], images), tf.zeros_like(images), images)
    return images


def moved(masks: tf.Tensor, amounts: Amounts, *, outside: int) -> tf.Tensor:
    """Returns masks moved as `changed` moves their images: each pixel is the nearest one, none is made up.

    Args:
        masks: uint8 (batch, height, width).
        amounts: The amounts of these images, one row each; those that move no pixel have no effect.
        outside: The value of pixels moved in from outside.
    """
    moving = [amounts[name] for name in ("moves", "warps") if name in amounts]
    for matrices in moving:
        masks = _transformed(masks[..., None], matrices, interpolation="NEAREST", outside=float(outside))[..., 0]
    return masks


def inside(boxes: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Returns which pixels lie in each image's box, bool (batch, height, width, 1).

    Args:
        boxes: int32 (batch, 4): top, left, bottom, right; the last two are outside.
    """
    rows = tf.range(images.shape[1])[None, :, None, None]
    columns = tf.range(images.shape[2])[None, None, :, None]
    top, left, bottom, right = (_each(boxes[:, side]) for side in range(4))
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)


def channel_means(images: tf.Tensor) -> tf.Tensor:
    """Returns each image's mean by channel, float32 (batch, 1, 1, channels)."""
    # A sum of floats depends on its order, and the order on the batch; a sum of whole numbers does not.
    whole = tf.cast(tf.round(images * _FIXED_POINT), tf.int64)
    total = tf.cast(tf.reduce_sum(whole, axis=[1, 2], keepdims=True), tf.float64)
    return tf.cast(total / (_FIXED_POINT * images.shape[1] * images.shape[2]), tf.float32)


def _transformed(images: tf.Tensor, matrices: tf.Tensor, *, interpolation: str, outside: float = 0.0) -> tf.Tensor:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=matrices,
        output_shape=tf.constant([images.shape[1], images.shape[2]], tf.int32),
        fill_value=outside,
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )


def _each(amount: tf.Tensor) -> tf.Tensor:
    return amount[:, None, None, None]
