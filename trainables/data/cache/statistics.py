"""Computes means and deviations of the training split's pixels, for variants whose first layer depends on them."""

from __future__ import annotations

import numpy as np

from trainables.data.images.images import Array
from trainables.specs.pixels import PixelStatistics

#: Pixels are added up in pieces of about so many bytes, which a processor's cache holds.
_PIECE_BYTES = 96 * 1024


def pixel_moments(images: Array) -> Array:
    """Returns int64 (count, channels, 2): for each image and channel, the sum of pixels and the sum of their squares.

    Args:
        images: uint8 (count, height, width, channels).
    """
    count, height, width, channels = images.shape
    pixels = images.reshape(count, height * width, channels)
    # Whole numbers of 32 bits add up faster, and are exact for up to 66,051 squares.
    dtype = np.uint32 if height * width * 255**2 < 2**32 else np.uint64
    moments = np.empty((count, channels, 2), np.int64)
    step = max(1, _PIECE_BYTES // max(1, height * width * channels))
    for start in range(0, count, step):
        # NumPy adds up values that lie side by side many times faster.
        piece = np.ascontiguousarray(pixels[start : start + step].transpose(0, 2, 1))
        moments[start : start + step, :, 0] = piece.sum(axis=2, dtype=dtype)
        moments[start : start + step, :, 1] = np.square(piece, dtype=np.uint16).sum(axis=2, dtype=dtype)
    return moments


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
