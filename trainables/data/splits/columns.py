"""Turns the values of data.group and data.order into numbers, and checks that splits of the source keep to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

import numpy as np

from trainables.data.images.images import Array
from trainables.data.sources.base import RawDataset, SplitName
from trainables.errors import DataError
from trainables.specs.data import DataSpec

#: The first whole number that has a neighbour of the same float64.
_EXACT = 2**53
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}.*")


def row_numbers(raw: RawDataset, *, spec: DataSpec) -> dict[str, Array]:
    """Returns int32 (count,) of the training split for each of "group" and "order" that the study names.

    Raises:
        DataError: If a value is missing or of no use, a group is in two splits of the source, or a later split begins
            before an earlier one ends.
    """
    numbers = {}
    if spec.group is not None:
        by_split = _numbered(_values(raw, spec.group, field="group"), field="group")
        _demand_own_groups(by_split, raw, column=spec.group)
        numbers["group"] = by_split["train"]
    if spec.order is not None:
        values = _comparable(_values(raw, spec.order, field="order"), column=spec.order)
        by_split = _numbered(values, field="order")
        _demand_order(by_split, raw, column=spec.order)
        numbers["order"] = by_split["train"]
    return numbers


def _values(raw: RawDataset, column: str, *, field: str) -> dict[SplitName, Array]:
    """Returns a column by split, of one kind in all splits, nothing missing."""
    found: dict[SplitName, Array] = {}
    for name, split in raw.splits.items():
        values, where = split.columns[column], f"{split.where}: data.{field} {column!r}"
        if values.ndim != 1 or len(values) != len(split.images):
            raise DataError(
                f"{where}: expected one value an image ({len(split.images)}), got shape {values.shape}; give every "
                "image one"
            )
        if values.dtype.kind not in "iubfUSM":
            raise DataError(f"{where}: expected whole numbers, text or dates, got dtype {values.dtype}; convert them")
        plain = values.astype(np.str_) if values.dtype.kind == "S" else values
        missing = np.flatnonzero(_is_missing(plain))
        if len(missing):
            raise DataError(
                f"{where}: {len(missing)} of {len(plain)} images have no value (the first is image {missing[0]}); give "
                "every image one or remove it"
            )
        found[name] = plain
    kinds = {"number" if values.dtype.kind in "iubf" else values.dtype.kind for values in found.values()}
    if len(kinds) > 1:
        shown = ", ".join(f"{name} {values.dtype}" for name, values in found.items())
        raise DataError(f"data.{field}: column {column!r} has other types by split: {shown}; write all splits alike")
    return found


def _is_missing(values: Array) -> Array:
    match values.dtype.kind:
        case "f":
            return ~np.isfinite(values)
        case "M":
            return np.isnat(values)
        case "U":
            return np.asarray(np.char.strip(values) == "")
        case _:
            return np.zeros(len(values), np.bool_)


def _numbered(values: Mapping[SplitName, Array], *, field: str) -> dict[SplitName, Array]:
    """Returns each value's place among the different values of all splits, ascending, as int32."""
    joined = np.concatenate(list(values.values()))
    is_mixed = joined.dtype.kind == "f" and len({split.dtype.kind for split in values.values()}) > 1
    if is_mixed and np.abs(joined).max() >= _EXACT:
        # Whole numbers became float64, in which large ones would be equal.
        raise DataError(
            f"data.{field}: numbers beyond 2^53 need one type in all splits, got "
            f"{', '.join(f'{name} {split.dtype}' for name, split in values.items())}; write all splits alike"
        )
    _, numbers = np.unique(joined, return_inverse=True)
    ends = np.cumsum([len(split) for split in values.values()])[:-1]
    return {name: part.astype(np.int32) for name, part in zip(values, np.split(numbers, ends), strict=True)}


def _demand_own_groups(numbers: Mapping[SplitName, Array], raw: RawDataset, *, column: str) -> None:
    names = list(numbers)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            shared = np.intersect1d(numbers[first], numbers[second])
            if not len(shared):
                continue
            rows = np.flatnonzero(np.isin(numbers[first], shared))
            _, firsts = np.unique(numbers[first][rows], return_index=True)
            values = raw.splits[first].columns[column][rows[firsts[:3]]].tolist()
            raise DataError(
                f"data.group: {len(shared)} of the groups in column {column!r} are in the {first} and in the {second} "
                f"split, such as {', '.join(map(repr, values))}; move each group's images into one split, or remove "
                "data.group"
            )


def _demand_order(numbers: Mapping[SplitName, Array], raw: RawDataset, *, column: str) -> None:
    for first, second in pairwise(numbers):
        last, begin = int(numbers[first].argmax()), int(numbers[second].argmin())
        if numbers[first][last] > numbers[second][begin]:
            end, start = (raw.splits[name].columns[column][row] for name, row in ((first, last), (second, begin)))
            raise DataError(
                f"data.order: in column {column!r} the {second} split begins at {str(start)!r}, before the end of the "
                f"{first} split, {str(end)!r}; move the images, or remove data.order"
            )


def _comparable(values: Mapping[SplitName, Array], *, column: str) -> dict[SplitName, Array]:
    """Returns values that compare as people mean them: text becomes numbers or times, or is refused."""
    if next(iter(values.values())).dtype.kind != "U":
        return dict(values)
    texts = [text.strip() for split in values.values() for text in split.tolist()]
    numbers = _all_numbers(texts)
    if numbers is None:
        numbers = _all_times(texts, column=column)
    ends = np.cumsum([len(split) for split in values.values()])[:-1]
    return dict(zip(values, np.split(numbers, ends), strict=True))


def _all_numbers(texts: list[str]) -> Array | None:
    """Returns the texts as numbers; None where one is none."""
    for kind in (int, float):
        try:
            numbers = np.array([kind(text) for text in texts])
        except (ValueError, OverflowError):
            continue
        return numbers if numbers.dtype.kind in "if" and np.isfinite(numbers).all() else None
    return None


def _all_times(texts: list[str], *, column: str) -> Array:
    """Returns the seconds from the first day of 1970 to each time."""
    times = [_time(text) for text in texts]
    if wrong := [row for row, time in enumerate(times) if time is None]:
        # Of numbers and times in one column, each alone would do: what is neither tells more.
        row = next((row for row in wrong if _all_numbers([texts[row]]) is None), wrong[0])
        raise DataError(
            f"data.order: column {column!r} has {texts[row]!r} (value {row + 1}), expected numbers throughout, or "
            "dates and times throughout as 2024-01-31 or 2024-01-31T08:30:00; convert them"
        )
    found = [time for time in times if time is not None]
    zones = {time.tzinfo is None for time in found}
    if len(zones) > 1:
        raise DataError(
            f"data.order: column {column!r} has times with and without a zone; write all with one, such as +00:00"
        )
    beginning = datetime(1970, 1, 1, tzinfo=None if zones == {True} else found[0].tzinfo)
    return np.array([(time - beginning).total_seconds() for time in found])


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None
