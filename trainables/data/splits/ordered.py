"""Parts rows by their place in an order, such as time: what is held out comes last."""

from __future__ import annotations

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError


def hold_out_last(ranks: Array, *, fraction: float, purpose: str) -> tuple[Array, Array]:
    """Returns sorted int32 row numbers: those kept and those held out, which have the highest ranks.

    Rows of equal rank stay together: of the places between two ranks, that is taken which is nearest to the fraction,
    the later one of two.

    >>> hold_out_last(np.array([3, 1, 2, 3]), fraction=0.4, purpose="test")
    (array([1, 2], dtype=int32), array([0, 3], dtype=int32))

    Args:
        ranks: The place of each row in the order, (count,); rows may share one.
        fraction: The share to hold out, in (0, 1).
        purpose: "test" or "validation", for errors.

    Raises:
        DataError: If all rows have one rank.
    """
    values, counts = np.unique(ranks, return_counts=True)
    if len(values) < 2:
        raise DataError(
            f"data.order: no {purpose} split can be held out, as all {len(ranks)} training images left have one value; "
            f"give images of more values, a smaller test_fraction, or a {purpose} split"
        )
    # Rows held out where the split begins at each rank but the first.
    held = len(ranks) - np.cumsum(counts)[:-1]
    place = int(np.lexsort((held, np.abs(held - len(ranks) * fraction)))[0])
    is_held = ranks >= values[place + 1]
    return np.flatnonzero(~is_held).astype(np.int32), np.flatnonzero(is_held).astype(np.int32)
