"""Checks labels that are numbers to predict; every ambiguity is an error."""

from __future__ import annotations

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError


def values_of(labels: Array, *, where: str, size: int | None = None) -> Array:
    """Returns float32 (count, values): one number an image, or as many for every image.

    >>> values_of(np.array([1, 2]), where="y").tolist()
    [[1.0], [2.0]]

    Args:
        size: Values an image in the training labels; None for the training labels themselves.

    Raises:
        DataError: If labels are text, lists of different lengths, not finite, or of another size.
    """
    if labels.dtype == object:
        raise DataError(_ragged(labels, where=where))
    if labels.dtype.kind in "USb":
        what = "true and false" if labels.dtype.kind == "b" else "text"
        raise DataError(
            f"{where}: expected numbers, got {what} (first: {labels.flat[0].item()!r}); convert them, or use kind: "
            "classification"
        )
    if labels.dtype.kind not in "iuf":
        raise DataError(f"{where}: expected numbers, got dtype {labels.dtype}; convert them")
    rows = labels[:, np.newaxis] if labels.ndim == 1 else labels
    if rows.ndim != 2 or not rows.shape[1]:
        raise DataError(
            f"{where}: expected one number an image, or a row of numbers, got labels of shape {labels.shape}; "
            "reshape to (count, values)"
        )
    with np.errstate(over="ignore"):  # the check below reports it
        numbers = rows.astype(np.float32)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0])
        value = rows[row][~np.isfinite(numbers[row])][0].item()
        raise DataError(f"{where}: label {row} is {value!r}; give every image a finite number or remove it")
    if size is not None and numbers.shape[1] != size:
        raise DataError(
            f"{where}: the training labels have {size} value(s) an image, these have {numbers.shape[1]}; "
            "write the labels of all splits alike"
        )
    return numbers


def _ragged(labels: Array, *, where: str) -> str:
    value = next((value for row in labels for value in row), None)
    if isinstance(value, str):
        return f"{where}: expected numbers, got lists of text (first: {value!r}); use kind: multilabel"
    length = len(labels[0])
    row = next((row for row, values in enumerate(labels) if len(values) != length), 0)
    return (
        f"{where}: the lists of numbers differ in length: label 0 has {length}, label {row} has {len(labels[row])}; "
        "give every image as many"
    )
