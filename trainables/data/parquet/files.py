"""Finds the Parquet files of a split, opens them, and reads rows of one column."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from search_spaces import nearest
from trainables.data.images.images import Array
from trainables.data.sources.array_keys import SPLIT_WORDS
from trainables.errors import DataError

#: Rows read at once.
BATCH_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some rows of one column of one file.

    Attributes:
        file: The file.
        numbers: The rows' numbers in the file.
        array: Their values, an Arrow array.
    """

    file: Path
    numbers: Array
    array: Any


def files_of(value: str, *, field: str) -> list[Path]:
    """Returns the files that a file, a folder or a glob names, in the order of their names.

    Raises:
        DataError: If there is none, or a folder holds files that are named for different splits.
    """
    path = Path(value)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.parquet") if not file.name.startswith((".", "_")))
        _demand_one_split(files, value=value, field=field)
    elif path.exists() or not glob.has_magic(value):
        return [path]
    else:
        # Not Path.glob, which refuses absolute patterns.
        files = [Path(file) for file in sorted(glob.glob(value, recursive=True))]  # noqa: PTH207
    if not files:
        raise DataError(f"data.{field}: no Parquet file matches {value}; relative paths start at the study file")
    return files


def open_parquet_file(file: Path) -> Any:
    """Returns the opened file.

    Raises:
        DataError: If it is not a whole Parquet file.
    """
    # Late: pyarrow stays out of processes that only open decoded data.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as exc:
        raise DataError(f"{file}: is not a whole Parquet file: {exc}; write it again") from exc


def num_rows(files: Sequence[Path]) -> int:
    """Returns the number of all files' rows."""
    total = 0
    for file in files:
        with open_parquet_file(file) as opened:
            total += int(opened.metadata.num_rows)
    return total


def column_field(file: Path, column: str, *, field: str) -> Any:
    """Returns the Arrow field of a column.

    Args:
        field: The field of the study file that names the column.

    Raises:
        DataError: If the file has no such column, or more than one.
    """
    with open_parquet_file(file) as opened:
        schema = opened.schema_arrow
    if schema.names.count(column) != 1:
        fix = nearest(column, schema.names) or "; name one"
        raise DataError(f"data.{field}: {file} has no single column {column!r}, its columns are {schema.names}{fix}")
    return schema.field(column)


def folder_value(file: Path, column: str) -> str | None:
    """Returns a column's value from a folder's name, as Hive writes it; None if no folder names the column.

    >>> folder_value(Path("data/label=big%20cat/part-0.parquet"), "label")
    'big cat'
    """
    values = [part.partition("=")[2] for part in file.parent.parts if part.startswith(f"{column}=")]
    return unquote(values[-1]) if values else None


def rows_of(files: Sequence[Path], column: str, *, rows: slice | Array) -> Iterator[Rows]:
    """Yields the values of rows, counted over all files, in order.

    Args:
        rows: The first rows (a slice), or row numbers, ascending.

    Raises:
        DataError: If a file cannot be read to its end.
    """
    begin = 0
    for file in files:
        in_file = 0
        for array in _batches(file, column):
            chosen = _chosen(rows, begin=begin, count=len(array))
            if chosen is None:
                return
            if len(chosen):
                # Not take(), which Arrow lacks for views.
                for run in np.split(chosen, np.flatnonzero(np.diff(chosen) != 1) + 1):
                    yield Rows(file=file, numbers=in_file + run, array=array[run[0] : run[-1] + 1])
            begin, in_file = begin + len(array), in_file + len(array)


def _batches(file: Path, column: str) -> Iterator[Any]:
    import pyarrow as pa

    with open_parquet_file(file) as opened:
        try:
            for batch in opened.iter_batches(batch_size=BATCH_ROWS, columns=[column]):
                yield batch.column(0)
        except (pa.ArrowException, OSError) as exc:
            raise DataError(f"{file}: column {column!r} cannot be read: {exc}; write the file again") from exc


def _chosen(rows: slice | Array, *, begin: int, count: int) -> Array | None:
    """Returns the chosen rows among the `count` from `begin` on, counted from `begin`; None where none follows."""
    if isinstance(rows, slice):
        left = count if rows.stop is None else min(count, rows.stop - begin)
        return np.arange(left) if left > 0 else None
    first, last = np.searchsorted(rows, [begin, begin + count])
    return None if first == len(rows) else rows[first:last] - begin


def _demand_one_split(files: Sequence[Path], *, value: str, field: str) -> None:
    """Raises DataError if files of a folder are named for different splits, as the Hugging Face Hub names them."""
    by_split: dict[str, list[str]] = {}
    for file in files:
        word = file.stem.replace("_", "-").replace(".", "-").partition("-")[0].lower()
        for split, words in SPLIT_WORDS.items():
            if word in words:
                by_split.setdefault(split, []).append(file.name)
    if len(by_split) > 1:
        shown = ", ".join(f"{names[0]} ({split})" for split, names in by_split.items())
        word = next(iter(by_split[field]), "").partition("-")[0] if field in by_split else field
        raise DataError(
            f"data.{field}: the folder {value} has files of several splits: {shown}; name those of one split, for "
            f"example {field}: {value}/{word}-*.parquet, or all of them: {value}/*.parquet"
        )
