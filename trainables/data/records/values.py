"""Turns the labels of records, values of Python, into arrays, alike over all splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainables.data.images.images import Array
from trainables.data.labels.text import MISSING, is_number, numbers_or_text
from trainables.data.sources.base import SplitName
from trainables.errors import DataError
from trainables.specs.targets import TargetKind


def label_arrays(
    values: Mapping[SplitName, Sequence[object]], *, kind: TargetKind, where: Mapping[SplitName, str], column: str
) -> dict[SplitName, Array]:
    """Returns a target's labels by split: numbers, text, rectangles of numbers, or arrays of lists.

    Raises:
        DataError: If a label is missing, or labels are of several types.
    """
    places = {split: f"{place}: {column!r}" for split, place in where.items()}
    if kind != "multilabel":
        values = {split: [_lone(label) for label in labels] for split, labels in values.items()}
    for split, labels in values.items():
        _demand_one_type(labels, where=places[split])
    firsts = [labels[0] for labels in values.values() if labels]
    if firsts and all(isinstance(first, str) for first in firsts):
        return _texts(values, kind=kind, places=places)
    return {split: _array(labels, where=places[split]) for split, labels in values.items()}


def _lone(label: object) -> object:
    """Returns the value of a list of one value, None for an empty list, and anything else as it is."""
    if not isinstance(label, list) or len(label) > 1:
        return label
    return label[0] if label else None


def _demand_one_type(labels: Sequence[object], *, where: str) -> None:
    for row, label in enumerate(labels):
        if label is None or (isinstance(label, str) and label in MISSING):
            raise DataError(f"{where}: record {row} has no label, got {label!r}; label it or remove the record")
        if _type(label) != _type(labels[0]):
            raise DataError(
                f"{where}: record {row} has the label {label!r}, record 0 has {labels[0]!r}; write all labels alike"
            )


def _type(label: object) -> str:
    if isinstance(label, list):
        return "list"
    return "text" if isinstance(label, str) else "number" if isinstance(label, int | float) else "other"


def _texts(
    values: Mapping[SplitName, Sequence[object]], *, kind: TargetKind, places: Mapping[SplitName, str]
) -> dict[SplitName, Array]:
    texts = {split: [str(label) for label in labels] for split, labels in values.items()}
    if kind == "multilabel":
        place = next(iter(places.values()))
        raise DataError(f"{place}: expected a list of flags, got the text {texts[next(iter(texts))][0]!r}; write lists")
    if kind == "regression":
        for split, labels in texts.items():
            strange = [(row, label) for row, label in enumerate(labels) if not is_number(label)]
            if strange:
                row, label = strange[0]
                raise DataError(f"{places[split]}: record {row} has {label!r}, expected a number; convert it")
    return numbers_or_text(texts)


def _array(labels: Sequence[object], *, where: str) -> Array:
    if labels and isinstance(labels[0], list):
        return _lists(labels, where=where)
    if labels and _type(labels[0]) == "other":
        raise DataError(f"{where}: record 0 has {labels[0]!r}, expected text, a number or a list of either; convert it")
    return np.array(labels)


def _lists(labels: Sequence[object], *, where: str) -> Array:
    rows = [row for row in labels if isinstance(row, list)]
    for number, row in enumerate(rows):
        if any(_type(value) not in ("text", "number") for value in row):
            raise DataError(f"{where}: record {number} has {row[:8]!r}, expected texts or numbers; convert them")
    are_numbers = all(_type(value) == "number" for row in rows for value in row)
    if len({len(row) for row in rows}) == 1 and rows[0] and are_numbers:
        return np.array(rows)
    ragged = np.empty(len(rows), object)
    ragged[:] = rows
    return ragged
