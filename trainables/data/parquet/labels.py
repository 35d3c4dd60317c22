"""Reads label columns of Parquet files: one value an image, or a list of values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.data.labels.names import joined_names, renumbered
from trainables.data.labels.plain import plain_labels
from trainables.data.parquet.files import column_field, folder_value, open_parquet_file
from trainables.data.parquet.lists import is_list
from trainables.errors import DataError
from trainables.specs.data import DataSpec
from trainables.specs.targets import TargetKind

#: The values that a column of each kind may hold, for messages.
_EXPECTED: dict[TargetKind, str] = {
    "classification": "whole numbers or strings",
    "multilabel": "lists of 0 and 1, or lists of strings or numbers",
    "regression": "numbers, or lists of numbers",
    "mask": "PNG images",
}


def label_columns(spec: DataSpec) -> dict[str, str]:
    """Returns the column of each target's labels."""
    return {name: target.column or name for name, target in spec.target_specs.items()}


def read_labels(
    files: Sequence[Path], spec: DataSpec, *, names: Mapping[str, Sequence[str] | None]
) -> dict[str, Array]:
    """Returns the labels of all files' rows by target, but for masks.

    Lists of numbers of one length become (count, length); other lists become an array of Python lists. Class numbers of
    a file with other class names than the known ones are changed to theirs.

    Args:
        files: The files of one split.
        spec: The data section.
        names: The known class names by target.

    Raises:
        DataError: If a column is missing, of a type without labels, or a label is null.
    """
    labels = {}
    for name, column in label_columns(spec).items():
        kind = spec.target_specs[name].kind
        if kind == "mask":
            continue
        field = f"targets.{name}" if spec.targets else "label_column"
        parts = []
        for file in files:
            values = _labels(file, column, field=field, kind=kind)
            own = hugging_face_names(file, column)
            parts.append(renumbered(values, own, names[name], where=f"{file}: column {column!r}"))
        labels[name] = _joined(parts, files=files)
    return labels


def known_names(files: Sequence[Path], spec: DataSpec) -> dict[str, list[str] | None]:
    """Returns the class names of all training files by target, in the order of the first file that has them."""
    return {
        name: joined_names(hugging_face_names(file, column) for file in files)
        for name, column in label_columns(spec).items()
    }


def read_values(files: Sequence[Path], column: str, *, field: str) -> Array:
    """Returns a column of all files' rows: numbers, text, dates or times.

    Args:
        field: The field of the study file that names the column.

    Raises:
        DataError: If the column is missing, of another type, of several types, or a value is null.
    """
    import pyarrow as pa

    parts = []
    for file in files:
        kind = column_field(file, column, field=field).type
        chunked = _whole_column(file, column, what="value")
        if pa.types.is_dictionary(kind):
            chunked = chunked.cast(kind.value_type)
        if _is_text(chunked.type):
            parts.append(np.array(chunked.to_pylist(), dtype=np.str_))
        elif _is_number(chunked.type) or pa.types.is_timestamp(chunked.type) or pa.types.is_date(chunked.type):
            parts.append(np.asarray(chunked.to_numpy()))
        else:
            raise DataError(
                f"data.{field}: {file}: column {column!r} has type {chunked.type}, expected numbers, text, dates or "
                "times; name another column"
            )
    kinds = {"number" if part.dtype.kind in "iufb" else part.dtype.kind for part in parts}
    if len(kinds) > 1:
        shown = ", ".join(dict.fromkeys(str(part.dtype) for part in parts))
        raise DataError(f"data.{field}: column {column!r} has other types by file: {shown}; write all files alike")
    return np.concatenate(parts)


def hugging_face_names(file: Path, column: str) -> list[str] | None:
    """Returns the class names that Hugging Face's `datasets` keeps in the file's metadata, if any."""
    with open_parquet_file(file) as opened:
        metadata = opened.schema_arrow.metadata or {}
    try:
        feature = json.loads(metadata[b"huggingface"])["info"]["features"][column]
        # A list of classes has the class names in its inner feature.
        names = feature.get("feature", feature)["names"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _labels(file: Path, column: str, *, field: str, kind: TargetKind) -> Array:
    import pyarrow as pa

    with open_parquet_file(file) as opened:
        is_in_file = column in opened.schema_arrow.names
        value = None if is_in_file else folder_value(file, column)
        if value is not None:
            return _of_folder(value, count=opened.metadata.num_rows)
    column_field(file, column, field=field)
    chunked = _whole_column(file, column, what="label")
    if pa.types.is_dictionary(chunked.type):
        chunked = chunked.cast(chunked.type.value_type)
    if _is_number(chunked.type):
        return np.asarray(chunked.to_numpy())
    if _is_text(chunked.type):
        return np.array(chunked.to_pylist(), dtype=np.str_)
    if _is_bytes(chunked.type) and kind == "classification":
        return plain_labels(np.array([*chunked.to_pylist(), None], object)[:-1], where=str(file))
    if is_list(chunked.type):
        item = chunked.type.value_type if hasattr(chunked.type, "value_type") else None
        if item is not None and (_is_number(item) or _is_text(item)):
            lists = _lists(chunked.to_pylist(), file=file)
            # Rows of classes may be one-hot, never lists of names.
            if kind != "classification" or (lists.ndim == 2 and lists.shape[1] > 1):
                return lists
    hint = "; cast whole numbers to int64" if pa.types.is_decimal(chunked.type) else ""
    raise DataError(
        f"data.{field}: {file}: column {column!r} has type {chunked.type}, expected {_EXPECTED[kind]}; "
        f"name another column{hint}"
    )


def _whole_column(file: Path, column: str, *, what: str) -> Any:
    import pyarrow as pa

    with open_parquet_file(file) as opened:
        try:
            chunked = opened.read(columns=[column]).column(column)
        except (pa.ArrowException, OSError) as exc:
            raise DataError(f"{file}: column {column!r} cannot be read: {exc}; write the file again") from exc
    if chunked.null_count:
        row = chunked.is_null().to_pylist().index(True)
        fix = "label every row or remove it" if what == "label" else "fill it or remove the row"
        raise DataError(f"{file} row {row}: the {what} is missing (null); {fix}")
    return chunked


def _of_folder(value: str, *, count: int) -> Array:
    """Returns a folder's value for every row: numbers where it is one as programs write it, so not 007."""
    is_whole = value.isascii() and value.isdigit() and value == str(int(value)) and len(value) < 19
    return np.full(count, int(value)) if is_whole else np.array([value] * count, dtype=np.str_)


def _lists(rows: list[list[Any]], *, file: Path) -> Array:
    for number, row in enumerate(rows):
        if None in row:
            raise DataError(f"{file} row {number}: a value of the label is missing (null); fill it or remove the row")
    lengths = {len(row) for row in rows}
    if len(lengths) == 1 and lengths != {0} and not isinstance(rows[0][0], str):
        return np.array(rows)
    ragged = np.empty(len(rows), object)
    ragged[:] = rows
    return ragged


def _joined(parts: Sequence[Array], *, files: Sequence[Path]) -> Array:
    """Returns the files' labels one after the other; rows become lists where files have different lengths."""
    texts = {part.dtype.kind == "U": file for part, file in zip(parts, files, strict=True) if len(part)}
    if len(texts) > 1:
        # NumPy would make text of the numbers.
        raise DataError(f"{texts[True]}: the labels are text, those of {texts[False]} are not; write all files alike")
    shapes = {(part.dtype == object, part.shape[1:]) for part in parts if len(part)}
    if len(shapes) <= 1:
        return np.concatenate([part for part in parts if len(part)] or list(parts))
    rows = [row for part in parts for row in part.tolist()]
    ragged = np.empty(len(rows), object)
    ragged[:] = rows
    return ragged


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(check(kind) for check in checks)
