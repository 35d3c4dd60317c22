"""Turns columns of text into labels; what is a number is decided over all splits, so that they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainables.data.images.images import Array
from trainables.data.labels.text import MISSING, is_number, is_whole, numbers_or_text
from trainables.data.sources.base import SplitName
from trainables.data.tables.reading import Table
from trainables.errors import DataError
from trainables.specs.data import DataSpec
from trainables.specs.targets import TargetSpec

#: What may part several labels in one value, if the study file does not say it.
_SEPARATORS = ("|", ";", ",", " ")
_FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1, "false": 0, "true": 1, "FALSE": 0, "TRUE": 1}

Tables = Mapping[SplitName, Table]


def columns_of(target: TargetSpec, *, name: str) -> tuple[str, ...]:
    """Returns the columns of a target's labels: several, or the one of its column's or its own name."""
    return target.columns or (target.column or name,)


def table_labels(name: str, target: TargetSpec, tables: Tables, *, spec: DataSpec) -> dict[SplitName, Array]:
    """Returns a target's labels by split.

    Raises:
        DataError: If a value is missing, or is none that the target's kind has.
    """
    columns = columns_of(target, name=name)
    if target.kind == "multilabel" and not target.columns:
        return {split: _lists(table, columns[0], spec=spec) for split, table in tables.items()}
    for table in tables.values():
        for column in columns:
            _demand_values(table, column)
    if target.kind == "regression":
        return {split: _numbers(table, columns, lone=not target.columns) for split, table in tables.items()}
    if target.columns:
        flags = {split: _flags(table, columns) for split, table in tables.items()}
        if target.kind == "multilabel":
            return flags
        return {split: _one_of(flags[split], table, columns) for split, table in tables.items()}
    return numbers_or_text({split: table.columns[columns[0]] for split, table in tables.items()})


def flag_notes(name: str, target: TargetSpec, tables: Tables) -> list[str]:
    """Returns a sentence for each table with rows that set no flag, because such a row may lack its label instead."""
    if target.kind != "multilabel" or target.columns:
        return []
    (column,) = columns_of(target, name=name)
    notes = []
    for table in tables.values():
        rows = [row for row, value in enumerate(table.columns[column]) if not value]
        if rows:
            notes.append(
                f"{table.path}: rows with nothing in column {column!r} set no flag: {len(rows)} ({_shown(rows)})"
            )
    return notes


def _demand_values(table: Table, column: str) -> None:
    rows = [row for row, value in enumerate(table.columns[column]) if value in MISSING]
    if rows:
        value = table.columns[column][rows[0]]
        raise DataError(
            f"{table.path}: column {column!r} has no value in {len(rows)} of {len(table.columns[column])} rows "
            f"({_shown(rows)}; the first is {value!r}); label them or remove the rows, and leave a table of unknown "
            "labels out"
        )


def _numbers(table: Table, columns: Sequence[str], *, lone: bool) -> Array:
    """Returns float64 (count,) of a lone column, (count, columns) of several."""
    numbers = np.empty((len(table.columns[columns[0]]), len(columns)))
    for place, column in enumerate(columns):
        for row, value in enumerate(table.columns[column]):
            if not is_number(value):
                fix = "write a point for the comma" if is_number(value.replace(",", ".")) else "convert it"
                raise DataError(f"{table.place(row)}: column {column!r} has {value!r}, expected a number; {fix}")
            numbers[row, place] = float(value)
    return numbers[:, 0] if lone else numbers


def _flags(table: Table, columns: Sequence[str]) -> Array:
    flags = np.empty((len(table.columns[columns[0]]), len(columns)), np.uint8)
    for place, column in enumerate(columns):
        for row, value in enumerate(table.columns[column]):
            if value not in _FLAGS:
                raise DataError(
                    f"{table.place(row)}: column {column!r} has {value!r}, expected 0 or 1; mark what is set with 1"
                )
            flags[row, place] = _FLAGS[value]
    return flags


def _one_of(flags: Array, table: Table, columns: Sequence[str]) -> Array:
    """Returns the number of the column that is set, int64 (count,)."""
    wrong = np.flatnonzero(flags.sum(axis=1, dtype=np.int64) != 1)
    if len(wrong):
        named = [column for column, flag in zip(columns, flags[wrong[0]].tolist(), strict=True) if flag]
        raise DataError(
            f"{table.place(int(wrong[0]))}: expected exactly one of {list(columns)} to be 1, got {named} "
            f"({len(wrong)} such rows); use kind: multilabel where several or none may hold"
        )
    return flags.argmax(axis=1)


def _lists(table: Table, column: str, *, spec: DataSpec) -> Array:
    """Returns an array of lists: of whole numbers where every value is one, else of text."""
    values = table.columns[column]
    separator = spec.label_separator
    if separator is None:
        found = [sign for sign in _SEPARATORS if any(sign in value for value in values)]
        if found:
            row = next(row for row, value in enumerate(values) if found[0] in value)
            raise DataError(
                f"{table.place(row)}: column {column!r} has {values[row]!r}, which may be one label or several; set "
                f"label_separator: {found[0]!r} if that parts labels, else a sign that no label has"
            )
    rows = [[value] if separator is None else _parts(value, separator) for value in values]
    rows = [[part for part in row if part] for row in rows]
    lists = np.empty(len(rows), object)
    if all(is_whole(part) for row in rows for part in row):
        lists[:] = [[int(part) for part in row] for row in rows]
    else:
        lists[:] = rows
    return lists


def _parts(value: str, separator: str) -> list[str]:
    return value.split() if separator == " " else [part.strip() for part in value.split(separator)]


def _shown(rows: Sequence[int]) -> str:
    return "row " + ", ".join(str(row + 1) for row in rows[:3]) + (", ..." if len(rows) > 3 else "")
