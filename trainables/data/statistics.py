"""What the training split's pixels are like, for the variants whose first layer depends on it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainables.normalization import PixelStatistics

_LEVELS = 256
_CHUNK_BYTES = 64 * 1024 * 1024


def needed_statistics(params: Mapping[str, Any], *, images: Any, indices: np.ndarray) -> PixelStatistics | None:
    """Returns the training split's statistics where the parameters ask for them, else None.

    images: uint8 (rows, height, width, channels), an array or a tensor. indices: the rows of the training split.
    """
    if params.get("normalization") != "standardize":
        return None
    return pixel_statistics(np.asarray(images), indices)


def pixel_statistics(images: np.ndarray, indices: Sequence[int] | np.ndarray) -> PixelStatistics:
    """Returns mean and deviation of each channel over all pixels of these rows, the nearest float64 to the exact ones.

    images: uint8 (rows, height, width, channels).

    >>> pixel_statistics(np.array([0, 10, 20, 99], np.uint8).reshape(4, 1, 1, 1), [0, 1, 2]).means
    (10.0,)
    """
    counts = np.zeros((images.shape[-1], _LEVELS), np.int64)
    rows = np.asarray(indices)
    step = max(1, _CHUNK_BYTES // max(1, images[0].nbytes))
    for start in range(0, len(rows), step):
        chunk = images[rows[start : start + step]]
        for channel in range(len(counts)):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=_LEVELS)
    moments = [_moments([int(count) for count in row]) for row in counts]
    return PixelStatistics(
        means=tuple(mean for mean, _ in moments), deviations=tuple(deviation for _, deviation in moments)
    )


def _moments(counts: Sequence[int]) -> tuple[float, float]:
    """Returns mean and deviation of values 0, 1, 2, ... that occur so often; whole numbers up to the last division."""
    number = sum(counts)
    total = sum(value * count for value, count in enumerate(counts))
    squares = sum(value * value * count for value, count in enumerate(counts))
    return total / number, ((number * squares - total * total) / (number * number)) ** 0.5
