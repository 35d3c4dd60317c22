"""Checks how much each training image counts in the loss: one finite number from 0 an image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainables.data.images.images import Array
from trainables.data.labels.text import is_number
from trainables.errors import DataError


def weights_of(values: Array, *, count: int, where: str, place: Callable[[int], str]) -> Array:
    """Returns the weights as float32 (count,).

    >>> weights_of(np.array(["0", "2.5"]), count=2, where="w", place=str).tolist()
    [0.0, 2.5]

    Args:
        values: Numbers, or texts that are numbers.
        count: The number of images.
        where: The column's name in errors.
        place: Returns a row's file and number, for errors.

    Raises:
        DataError: If there is not one value an image, or a value is no finite number from 0 that float32 holds.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (count,):
        raise DataError(
            f"{where}: expected one weight an image ({count}), got shape {values.shape}; give every image one"
        )
    if values.dtype.kind not in "iufbUO":
        raise DataError(f"{where}: expected numbers, got dtype {values.dtype}; convert them")
    numbers = (
        values.astype(np.float64) if values.dtype.kind in "iufb" else np.array([_number(value) for value in values])
    )
    with np.errstate(over="ignore", invalid="ignore"):  # the check below reports it
        weights = numbers.astype(np.float32)
        is_wrong = ~np.isfinite(weights) | (weights < 0) | ((weights == 0) & (numbers != 0))
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        value = values[row].item() if isinstance(values[row], np.generic) else values[row]
        more = f" ({int(is_wrong.sum())} such rows)" if is_wrong.sum() > 1 else ""
        raise DataError(
            f"{place(row)}: {where} is {value!r}, expected a finite number >= 0, the image's weight in the loss{more}; "
            "correct it, or remove the row (0: the image does not count)"
        )
    return weights


def _number(value: object) -> float:
    """Returns a value as a number; nan for everything that is none."""
    if isinstance(value, str):
        return float(value) if is_number(value.strip()) else np.nan
    return float(value) if isinstance(value, int | float) else np.nan
