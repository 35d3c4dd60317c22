"""Computes means and deviations of the training split's pixels, for variants whose first layer depends on them."""

from __future__ import annotations

import numpy as np

from trainables.data.images.images import Array
from trainables.specs.pixels import PixelStatistics


def pixel_moments(images: Array) -> Array:
    """Returns int64 (count, channels, 2): for each image and channel, the sum of pixels and the sum of their squares.

    Args:
        images: uint8 (count, height, width, channels).
    """
    squares = np.square(images, dtype=np.uint16)
    return np.stack([values.sum(axis=(1, 2), dtype=np.int64) for values in (images, squares)], axis=-1)


def pixel_statistics(moments: Array, rows: Array, *, num_pixels: int) -> PixelStatistics:
    """Returns mean and deviation of each channel over all pixels of these rows, the nearest float64 to the exact ones.

    >>> images = np.array([0, 10, 20, 99], np.uint8).reshape(4, 1, 1, 1)
    >>> pixel_statistics(pixel_moments(images), np.array([0, 1, 2]), num_pixels=1).means
    (10.0,)

    Args:
        moments: The moments of all images, from `pixel_moments`.
        num_pixels: The pixels of one channel of one image.
    """
    number = len(rows) * num_pixels
    # Python's whole numbers are exact up to the last division.
    sums = [(int(total), int(squares)) for total, squares in moments[rows].sum(axis=0)]
    return PixelStatistics(
        means=tuple(total / number for total, _ in sums),
        deviations=tuple(((number * squares - total * total) / (number * number)) ** 0.5 for total, squares in sums),
    )
