"""Small images as rows of numbers: what the guesses that look at an image see of it."""

import numpy as np

from trainables.data.cache.dataset import Split
from trainables.data.images.images import Array

#: The sides of a small image; smaller images stay as they are.
SIDE = 16
_BATCH_ROWS = 64


def small_pixels(split: Split, rows: Array) -> Array:
    """Returns float32 (count, values) from 0 to 1: the means of the images' areas, at most 16x16 of each channel.

    Args:
        split: A split.
        rows: Rows of its arrays, (count,).
    """
    _, height, width, channels = split.images.shape
    down, across = area_means(height, min(height, SIDE)), area_means(width, min(width, SIDE))
    found = np.empty((len(rows), len(down) * len(across) * channels), np.float32)
    for start in range(0, len(rows), _BATCH_ROWS):
        images = np.asarray(split.images[rows[start : start + _BATCH_ROWS]], np.float32)
        small = np.einsum("yh,bhwc,xw->byxc", down, images, across, optimize=True)
        found[start : start + _BATCH_ROWS] = small.reshape(len(images), -1) / 255.0
    return found


def area_means(size: int, parts: int) -> Array:
    """Returns float32 (parts, size): the share of each pixel of a line in the mean of each of its equal parts.

    >>> (area_means(3, 2) * 3).round().tolist()
    [[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]
    """
    ends = np.linspace(0, size, parts + 1)
    pixels = np.arange(size)
    overlaps = np.minimum(ends[1:, None], pixels + 1) - np.maximum(ends[:-1, None], pixels)
    return (np.clip(overlaps, 0.0, None) * parts / size).astype(np.float32)


def spread_rows(rows: Array, *, most: int) -> Array:
    """Returns at most so many of the rows, evenly spaced, in their order.

    >>> spread_rows(np.arange(10), most=4).tolist()
    [0, 2, 5, 7]
    """
    if len(rows) <= most:
        return rows
    return rows[(np.arange(most) * len(rows)) // most]
