"""Matches the class numbers of one file with those of another by the names that both give their classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError


def joined_names(lists: Iterable[Sequence[str] | None]) -> list[str] | None:
    """Returns the names of all lists, each once, in the order of the first list that has it; None without any list.

    >>> joined_names([["bird", "cat"], None, ["cat", "dog"]])
    ['bird', 'cat', 'dog']
    """
    known = [names for names in lists if names is not None]
    return list(dict.fromkeys(name for names in known for name in names)) if known else None


def renumbered(labels: Array, names: Sequence[str] | None, known: Sequence[str] | None, *, where: str) -> Array:
    """Returns class numbers by the known names, of labels that number their own names.

    >>> renumbered(np.array([0, 1]), ["cat", "dog"], ["bird", "cat", "dog"], where="test").tolist()
    [1, 2]

    Args:
        labels: Class numbers, or labels of another kind, which stay as they are where the names are the known ones.
        names: The names that the labels number; None: not known, the numbers are taken as they are.
        known: The names by which the result counts.
        where: The labels' place in errors.

    Raises:
        DataError: If a label's class is none of the known ones, or labels of another kind would need new numbers.
    """
    if names is None or known is None or list(names) == list(known) or labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind not in "iu" or labels.size != len(labels):
        raise DataError(
            f"{where}: the classes are {_some(names)} here and {_some(known)} in the training files; "
            "write them alike, since only class numbers can be matched by name"
        )
    numbers = {name: number for number, name in enumerate(known)}
    flat = labels.reshape(-1)
    result = flat.astype(np.int64)
    for value in np.unique(flat).tolist():
        if value >= len(names):
            raise DataError(
                f"{where}: label {value} has no name, there are only {len(names)} class names {_some(names)}; complete "
                "the names or correct the label"
            )
        if value < 0:
            continue  # Reported with all other labels that stand for no class.
        if names[value] not in numbers:
            raise DataError(
                f"{where}: class {names[value]!r} is not among the training classes {_some(known)}; "
                "add training images of it or remove these rows"
            )
        result[flat == value] = numbers[names[value]]
    return result


def _some(names: Sequence[str]) -> str:
    return f"{list(names)[:5]}{'...' if len(names) > 5 else ''}"
