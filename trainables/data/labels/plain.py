"""Turns labels of any array type into numbers or text of NumPy's plain types."""

from __future__ import annotations

import math

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError


def plain_labels(labels: Array, *, where: str) -> Array:
    """Returns labels of text as dtype U, of Python's numbers as numbers; others unchanged.

    >>> plain_labels(np.array(["cat", "dog"], object), where="y").dtype.kind
    'U'

    Args:
        labels: Of any type: also objects, as pandas gives text, bytes of UTF-8, and NumPy's StringDType.

    Raises:
        DataError: If a label is missing, or text and numbers are mixed.
    """
    if labels.dtype.kind == "S":
        return _decoded(labels, where=where)
    if labels.dtype.kind == "T":
        return _of_objects(labels.astype(object), where=where)
    if labels.dtype == object and labels.ndim == 2 and labels.shape[1] == 1:
        return _of_objects(labels[:, 0], where=where)
    if labels.dtype == object and labels.ndim == 1:
        return _of_objects(labels, where=where)
    return labels


def one_hot_numbers(labels: Array) -> Array | None:
    """Returns the place of the 1 in each row of one-hot labels as int64; None for labels of another form.

    >>> one_hot_numbers(np.array([[0, 1], [1, 0]])).tolist()
    [1, 0]

    Args:
        labels: Any array.
    """
    if labels.ndim != 2 or labels.shape[1] < 2 or not len(labels) or labels.dtype.kind not in "iufb":
        return None
    is_one = labels == 1
    is_one_hot = bool((is_one.sum(axis=1) == 1).all() and (is_one | (labels == 0)).all())
    return is_one.argmax(axis=1) if is_one_hot else None


def _decoded(labels: Array, *, where: str) -> Array:
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as exc:
        raise DataError(
            f"{where}: a label is bytes that are not UTF-8 ({exc.object!r}); store labels as text: dtype 'U'"
        ) from exc


def _of_objects(labels: Array, *, where: str) -> Array:
    """Returns an array of Python objects as text or numbers; lists and other objects unchanged."""
    values = labels.tolist()
    missing = [row for row, value in enumerate(values) if value is None or value is np.ma.masked or _is_nan(value)]
    if missing:
        raise DataError(f"{where}: label {missing[0]} is {values[missing[0]]}; label every image or remove it")
    kinds = {_kind(value) for value in values}
    if kinds == {"text"}:
        return np.array(values, dtype=np.str_)
    if kinds == {"bytes"}:
        return _decoded(np.array(values, dtype=np.bytes_), where=where)
    if kinds == {"number"}:
        return np.array(values)
    if kinds == {"text", "number"}:
        text = next(value for value in values if isinstance(value, str))
        number = next(value for value in values if not isinstance(value, str))
        raise DataError(
            f"{where}: expected labels that are all text or all numbers, got {text!r} and {number!r}; write them alike"
        )
    return labels


def _is_nan(value: object) -> bool:
    # pandas's NA is no number and compares to nothing.
    return type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and math.isnan(value))


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bytes):
        return "bytes"
    return "number" if isinstance(value, bool | int | float | np.number | np.bool_) else "other"
