"""Chooses the rows of training images that a limit keeps."""

from __future__ import annotations

import numpy as np

from trainables.data.images.images import Array


def limited_rows(classes: Array | None, *, count: int, limit: int | None) -> slice | Array:
    """Returns the rows within a limit: the first ones if these have every class, else classes take turns.

    >>> limited_rows(np.array(["a", "b", "a", "b"]), count=4, limit=2)
    slice(None, 2, None)

    Args:
        classes: One class a row; None where rows have none, which takes the first rows.
        count: The number of rows.
        limit: The most rows to keep; None: all.
    """
    if classes is None or limit is None or limit >= count:
        return slice(None, limit)
    if len(np.unique(classes[:limit])) == len(np.unique(classes)):
        return slice(None, limit)
    return kept_rows(classes, count=count, limit=limit)


def kept_rows(classes: Array | None, *, count: int, limit: int | None) -> Array:
    """Returns the rows within a limit, ascending: classes take turns, the first row of each, then the second.

    >>> kept_rows(np.array(["a", "a", "a", "b"]), count=4, limit=2).tolist()
    [0, 3]

    Args:
        classes: One class a row; None where rows have none, which takes the first rows.
        count: The number of rows.
        limit: The most rows to keep; None: all.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    if classes is None:
        return np.arange(limit)
    _, numbers = np.unique(classes, return_inverse=True)
    by_class = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[by_class], np.arange(numbers.max() + 1))
    turns = np.empty(count, np.int64)
    turns[by_class] = np.arange(count) - starts[numbers[by_class]]
    return np.sort(np.lexsort((np.arange(count), turns))[:limit])
