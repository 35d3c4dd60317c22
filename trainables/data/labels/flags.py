"""Turns labels of which any may hold at once into flags; every ambiguity is an error.

The labels are a rectangle of 0 and 1, one row an image, or lists that name the flags which are set: by text, or,
where lists differ in length, by whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError

#: The flags that lists name, ascending; empty for a rectangle of 0 and 1.
Names = Sequence[int] | Sequence[str]


def known_flags(labels: Array, *, where: str, names: Sequence[str] | None) -> tuple[Names, list[str]]:
    """Returns the lists' values for the flags (none for a rectangle of 0 and 1), and the flags' names.

    >>> known_flags(np.array([[0, 1], [1, 1]]), where="y", names=None)
    ((), ['0', '1'])

    Args:
        names: The flags' names from the data; None where the data has none.

    Raises:
        DataError: If labels have neither form, or names do not fit them.
    """
    if labels.dtype != object:
        rectangle = _rectangle(labels, where=where)
        if names is not None and len(names) != rectangle.shape[1]:
            raise DataError(
                f"{where}: there are {rectangle.shape[1]} flags but {len(names)} names; give every flag one name"
            )
        return (), list(names) if names is not None else [str(place) for place in range(rectangle.shape[1])]
    values = sorted(set(chain.from_iterable(_sets(labels, where=where))))
    if not values:
        raise DataError(f"{where}: no flag is set in any of {len(labels)} labels; nothing can be learned of them")
    if names is None:
        return values, [str(value) for value in values]
    known: Names = list(range(len(names))) if isinstance(values[0], int) else list(names)
    if strange := [value for value in values if value not in known]:
        raise DataError(
            f"{where}: {strange[0]!r} has no name, there are {list(names)[:5]}; complete the names or leave them out"
        )
    return known, list(names)


def flags_of(labels: Array, *, where: str, values: Names, size: int) -> Array:
    """Returns uint8 (count, size), 1 where a flag is set.

    Args:
        values: The training labels' values for the flags, as `known_flags` returned them.

    Raises:
        DataError: If labels have another form than the training labels, another width, or an unknown flag.
    """
    if len(values) and labels.ndim == 2 and labels.dtype.kind in "iu":
        # The lists of a split may all have one length although the training lists differ.
        labels = _as_lists(labels)
    if bool(len(values)) != (labels.dtype == object):
        forms = ("rows of 0 and 1", "lists of the flags that are set")
        raise DataError(
            f"{where}: the training labels are {forms[bool(len(values))]}, these are {forms[not len(values)]}; "
            "write the labels of all splits alike"
        )
    if not len(values):
        rectangle = _rectangle(labels, where=where)
        if rectangle.shape[1] != size:
            raise DataError(
                f"{where}: the training labels have {size} flags an image, these have {rectangle.shape[1]}; "
                "write the labels of all splits alike"
            )
        return rectangle
    places = {value: place for place, value in enumerate(values)}
    flags = np.zeros((len(labels), size), np.uint8)
    for row, numbers in enumerate(_sets(labels, where=where)):
        for value in numbers:
            if value not in places:
                raise DataError(
                    f"{where}: label {row} sets {value!r}, which is not among the {size} flags of the training labels; "
                    "add training images that have it or remove it here"
                )
            flags[row, places[value]] = 1
    return flags


def _rectangle(labels: Array, *, where: str) -> Array:
    if labels.ndim != 2 or not labels.shape[1]:
        raise DataError(
            f"{where}: expected several flags an image, got labels of shape {labels.shape}; "
            "use kind: classification for one class an image, or reshape to (count, flags)"
        )
    if labels.dtype.kind not in "iufb":
        raise DataError(f"{where}: expected flags 0 or 1, got dtype {labels.dtype}; convert them")
    wrong = ~((labels == 0) | (labels == 1))  # NaN is neither
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        value = labels[row][wrong[row]][0].item()
        raise DataError(
            f"{where}: label {row} has {value!r}, expected flags 0 or 1; mark what is set with 1, or name the flags "
            "that are set by lists of text"
        )
    return labels.astype(np.uint8)


def _as_lists(labels: Array) -> Array:
    lists = np.empty(len(labels), object)
    lists[:] = labels.tolist()
    return lists


def _sets(labels: Array, *, where: str) -> list[list[Any]]:
    """Returns each image's list of flags that are set, all of text or all of whole numbers >= 0."""
    first = next((value for row in labels for value in row), "")
    kind = str if isinstance(first, str) else int
    for row, values in enumerate(labels):
        for value in values:
            if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
                raise DataError(
                    f"{where}: label {row} has {value!r}; lists of different lengths name the flags that are set, by "
                    f"text or by whole numbers >= 0 throughout (the first is {first!r}); flags 0 and 1 need lists of "
                    "equal length"
                )
        if len(set(values)) != len(values):
            raise DataError(
                f"{where}: label {row} is {list(values)[:8]!r}, which names a flag twice, and the lists differ in "
                "length; name each flag that is set once, or give every image as many flags 0 or 1"
            )
    return [list(values) for values in labels]
