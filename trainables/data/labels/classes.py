"""Turns labels of any kind into class numbers; every ambiguity is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainables.data.images.images import Array
from trainables.data.labels.plain import one_hot_numbers, plain_labels
from trainables.errors import DataError

#: Above, a float has no place for every whole number.
_LARGEST = 2**53


def checked_labels(labels: Array, *, where: str, num_images: int) -> Array:
    """Returns the labels as one-dimensional int64 or str; one-hot rows become class numbers.

    Raises:
        DataError: If labels are empty, missing, negative or fractional, rows are not one-hot, or their number is not
            the images' number.
    """
    labels = plain_labels(labels, where=where)
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    numbers = one_hot_numbers(flat)
    flat = flat if numbers is None else numbers
    if flat.dtype == object:
        raise DataError(
            f"{where}: expected one label an image, got lists (first: {list(flat[0])[:5]!r}); "
            "use kind: multilabel where several may hold"
        )
    if flat.ndim != 1:
        raise DataError(
            f"{where}: expected one label an image, got shape {labels.shape}, whose rows are not one-hot; "
            "where several flags may hold, set kind: multilabel in targets, else give every image one class number"
        )
    if len(flat) != num_images:
        raise DataError(f"{where}: there are {num_images} images but {len(flat)} labels; give every image one label")
    if num_images == 0:
        raise DataError(f"{where}: the split is empty; give it images or leave the split out")
    return _plain(flat, where=where)


def known_classes(
    labels: Array, *, where: str, class_names: Sequence[str] | None
) -> tuple[list[int] | list[str], list[str]]:
    """Returns the label values that are classes, ascending, and the classes' names.

    With names and whole-number labels, label i is class number i; else the training labels are the classes.

    >>> known_classes(np.array([7, 3, 7]), where="y", class_names=None)
    ([3, 7], ['3', '7'])
    """
    values = np.unique(labels)
    if class_names is not None and labels.dtype.kind == "i":
        if values[-1] >= len(class_names):
            raise DataError(
                f"{where}: label {values[-1]} has no name, there are only {len(class_names)} class names; "
                "complete the names or leave them out"
            )
        return list(range(len(class_names))), list(class_names)
    if len(values) < 2:
        raise DataError(
            f"{where}: expected at least two classes, got only {values[0].item()!r} in {len(labels)} labels; "
            "give training images of two or more classes"
        )
    return values.tolist(), [str(value) for value in values.tolist()]


def class_numbers(labels: Array, *, where: str, values: Sequence[int] | Sequence[str]) -> Array:
    """Returns each label's index among the class values as int32.

    Raises:
        DataError: If a label is none of the values.
    """
    kind = "whole numbers" if isinstance(values[0], int) else "text"
    if (labels.dtype.kind == "i") != isinstance(values[0], int):
        raise DataError(
            f"{where}: the training labels are {kind}, these are not (first: {labels[0].item()!r}); "
            "write the labels of all splits alike"
        )
    known = np.asarray(values)
    numbers = np.minimum(np.searchsorted(known, labels), len(known) - 1)
    strange = np.unique(labels[known[numbers] != labels])
    if len(strange):
        shown = ", ".join(repr(value) for value in strange[:3].tolist())
        raise DataError(
            f"{where}: {len(strange)} label(s) are not among the {len(known)} training classes: {shown}; "
            "add training images of these classes or remove them here"
        )
    return numbers.astype(np.int32)


def named(arrays: Mapping[str, Array], *, where: str, key: str = "class_names") -> list[str] | None:
    """Returns the class names that the arrays have under a key, if any."""
    if key not in arrays:
        return None
    names = np.asarray(arrays[key])
    if names.ndim != 1 or names.dtype.kind not in "US" or len(set(names.tolist())) != len(names):
        raise DataError(
            f"{where}: {key}: expected a list of different texts, got dtype {names.dtype}, shape {names.shape}"
        )
    return [str(name) for name in names.astype(str).tolist()]


def _plain(labels: Array, *, where: str) -> Array:
    kind = labels.dtype.kind
    if kind == "U":
        return labels
    if kind == "f":
        if not np.isfinite(labels).all():
            row = int(np.flatnonzero(~np.isfinite(labels))[0])
            raise DataError(f"{where}: label {row} is {labels[row]}; label every image or remove it")
        if (fractional := labels != np.rint(labels)).any():
            value = labels[fractional][0].item()
            raise DataError(
                f"{where}: expected whole-number labels, got {value!r}; classes are numbered 0, 1, 2, ..., and numbers "
                "to predict are kind: regression"
            )
    elif kind not in "iub":
        raise DataError(
            f"{where}: expected labels that are whole numbers or text, got dtype {labels.dtype}; convert them"
        )
    if labels.max().item() > _LARGEST:
        raise DataError(f"{where}: the label {labels.max().item()} is too large; number the classes 0, 1, 2, ...")
    if labels.min().item() < -_LARGEST:
        raise DataError(f"{where}: the label {labels.min().item()} is too small; number the classes 0, 1, 2, ...")
    numbers = labels.astype(np.int64)
    if numbers.min() < 0:
        raise DataError(
            f"{where}: expected labels >= 0, got {numbers.min()}; number the classes 0, 1, 2, ..., and leave out a "
            "split whose labels are hidden (-1)"
        )
    return numbers
