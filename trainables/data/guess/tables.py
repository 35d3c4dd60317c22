"""Looks into tables, Parquet files and NumPy archives for the columns that are images, labels and groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.guess.columns import Column, Kind, image_column, is_mask_name, separator_of, target_of
from trainables.data.guess.guess import DataGuess
from trainables.data.images.images import Array
from trainables.data.labels.text import MISSING, is_number, is_whole
from trainables.data.parquet.files import files_of, num_rows, open_parquet_file, rows_of
from trainables.data.sources.array_keys import PLAIN_KEYS, SPLIT_KEYS
from trainables.data.sources.folder_tree import SUFFIXES, subfolders
from trainables.data.sources.npz import load_npz
from trainables.data.tables.reading import column_names, read_table
from trainables.errors import DataError

#: Rows whose names of images are looked for, and values of a Parquet column that are counted.
_LOOKED_AT, _COUNTED = 20, 100_000
_FLAGS = ({"0", "1"}, {"0.0", "1.0"}, {"False", "True"}, {"false", "true"}, {"FALSE", "TRUE"})


def with_columns(guess: DataGuess, *, label: str | None) -> DataGuess:
    """Returns a guess of a source of columns with those of the images and labels.

    Args:
        guess: Of any source.
        label: The column that the user names.

    Raises:
        DataError: If no column fits, or several do.
    """
    source = guess.data["source"]
    if source == "csv":
        return _with_table(guess, label=label)
    if source == "parquet":
        return _with_parquet(guess, label=label)
    if source == "npz":
        return _with_arrays(guess, label=label)
    if label is not None:
        raise DataError(f"--label {label}: source {source} has no columns to choose from; leave it out")
    return guess


def _with_table(guess: DataGuess, *, label: str | None) -> DataGuess:
    path = Path(guess.data["train"])
    names = column_names(path, role="train")
    table = read_table(path, role="train", columns=dict.fromkeys(names, "label_column"))
    folders = {name: _folder_of(table.columns[name], beside=path.parent) for name in names}
    columns = [
        Column(name=name, kind="mask" if is_mask_name(name) else "image")
        if folders[name] is not None
        else _text_column(name, table.columns[name])
        for name in names
    ]
    image = image_column(columns, where=str(path))
    data: dict[str, Any] = {}
    reasons = {}
    if image.name != "image":
        data["image_column"] = image.name
        reasons["image_column"] = "its values are names of image files"
    folder = folders[image.name]
    if folder is not None and folder != path.parent:
        data["images"] = str(folder)
        reasons["images"] = "there lie the files that the table names"
    flags = [table.columns[column.name] for column in columns if column.kind == "flag" and column.may_be_label]
    one_hot = bool(flags) and all(sum(float(value.lower() in ("1", "1.0", "true")) for value in row) == 1
                                  for row in zip(*flags, strict=True))  # fmt: skip
    chosen, why = target_of(columns, label=label, one_hot=one_hot, where=str(path), joins=True)
    mask = next((column for column in columns if column.kind == "mask"), None)
    if mask is not None and "mask" in chosen.get("targets", {}) and folders[mask.name] not in (None, folder):
        chosen["masks"] = str(folders[mask.name])
        why["masks"] = "there lie the masks that the table names"
    grouped = _group(columns)
    return guess.plus({**data, **chosen, **grouped[0]}, {**reasons, **why, **grouped[1]})


def _group(columns: Sequence[Column]) -> tuple[dict[str, str], dict[str, str]]:
    group = next((column for column in columns if column.is_group), None)
    if group is None:
        return {}, {}
    reason = f"{group.num_distinct} different values: images of one are alike, so no two splits share them"
    return {"group": group.name}, {"group": reason}


def _folder_of(values: Sequence[str], *, beside: Path) -> Path | None:
    """Returns the folder in which the images that a column names lie; None if it names none."""
    looked_at = [value for value in values[:_LOOKED_AT] if value not in MISSING]
    # Labels such as 1 and 2 repeat themselves; names of images without endings do not.
    is_named = all(Path(value).suffix.lower() in SUFFIXES for value in looked_at)
    if (
        not looked_at
        or (not is_named and len(set(values)) < 0.9 * len(values))
        or any(value.startswith("/") or ".." in value for value in looked_at)
    ):
        return None
    for folder in (beside, *_below(beside)):
        if all(_is_image(folder, value) for value in looked_at):
            return folder
    return None


def _below(folder: Path) -> list[Path]:
    """Returns the folders in a folder, and those in these; folders for training first, those for tests last."""
    inner = subfolders(folder, role="train")
    every = [*inner, *(deeper for each in inner for deeper in subfolders(each, role="train"))]
    return sorted(every, key=lambda path: ("test" in path.name.lower(), "train" not in path.name.lower(), path))


def _is_image(folder: Path, name: str) -> bool:
    try:
        if Path(name).suffix.lower() in SUFFIXES:
            return (folder / name).is_file()
        return any((folder / f"{name}{suffix}").is_file() for suffix in SUFFIXES)
    except (OSError, ValueError):
        return False


def _text_column(name: str, values: Sequence[str]) -> Column:
    distinct = set(values)
    kind: Kind = "text"
    if any(distinct == flags for flags in _FLAGS):
        kind = "flag"
    elif all(map(is_whole, distinct)):
        kind = "whole"
    elif all(map(is_number, distinct)):
        kind = "number"
    separator = separator_of(values) if kind == "text" else ""
    return Column(name=name, kind=kind, num_distinct=len(distinct), num_rows=len(values), separator=separator)


def _with_parquet(guess: DataGuess, *, label: str | None) -> DataGuess:
    value = guess.data["train"]
    files = files_of(value, field="train")
    with open_parquet_file(files[0]) as opened:
        schema = opened.schema_arrow
    columns = [_parquet_column(field, files) for field in schema]
    image = image_column(columns, where=str(value))
    data = {"image_column": image.name} if image.name != "image" else {}
    reasons = {"image_column": "it holds images"} if data else {}
    folders = {part.partition("=")[0] for part in files[0].parent.parts if "=" in part}
    columns += [Column(name=name, kind="text") for name in sorted(folders) if name not in schema.names]
    chosen, why = target_of(columns, label=label, one_hot=False, where=str(value), joins=False)
    grouped = _group(columns)
    return guess.plus({**data, **chosen, **grouped[0]}, {**reasons, **why, **grouped[1]})


def _parquet_column(field: Any, files: Sequence[Path]) -> Column:
    # Late: pyarrow stays out of processes that only open decoded data.
    import pyarrow as pa

    types, kind = pa.types, field.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    is_picture = types.is_binary(kind) or types.is_large_binary(kind) or types.is_struct(kind)
    if is_picture or _is_nested(kind):
        return Column(name=field.name, kind="mask" if is_mask_name(field.name) else "image")
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return Column(name=field.name, kind="list")
    if types.is_temporal(kind) or types.is_null(kind):
        return Column(name=field.name, kind="other")
    values: list[Any] = []
    for rows in rows_of(files, field.name, rows=slice(0, _COUNTED)):
        values += rows.array.to_pylist()
    distinct = len(set(values))
    if types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind):
        name: Kind = "flag" if types.is_boolean(kind) else "text"
    elif types.is_integer(kind):
        name = "whole"
    else:
        name = "number" if types.is_floating(kind) or types.is_decimal(kind) else "other"
    # Parquet has lists for several labels: a sign within a name parts nothing.
    return Column(name=field.name, kind=name, num_distinct=distinct, num_rows=min(num_rows(files), _COUNTED))


def _is_nested(kind: Any) -> bool:
    """Returns whether a type is a list of lists, or a fixed shape: pixels."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return True
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and (pa.types.is_nested(kind.value_type)))


def _with_arrays(guess: DataGuess, *, label: str | None) -> DataGuess:
    path = Path(guess.data.get("path") or guess.data["train"])
    arrays = load_npz(path)
    if label is not None:
        raise DataError(f"--label {label}: is for columns of tables; write the study file with targets: ...")
    keys = next(
        (keys for keys in (*SPLIT_KEYS["train"], *PLAIN_KEYS) if keys.images in arrays and keys.labels in arrays), None
    )
    if keys is None:
        raise DataError(
            f"{path}: expected arrays x_train and y_train, or x and y, got {list(arrays)[:10]}; write it again with "
            "np.savez(path, x_train=..., y_train=...), or write the study file with targets: ..."
        )
    kind, words = _kind_of(arrays[keys.labels], images=arrays[keys.images])
    if kind == "classification":
        return guess
    return guess.plus({"targets": {"label": {"kind": kind}}}, {"targets": f"{keys.labels} holds {words}"})


def _kind_of(labels: Array, *, images: Array) -> tuple[str, str]:
    """Returns the kind of a target by its array, and what that is in words."""
    if labels.ndim >= 3 and labels.shape[1:3] == images.shape[1:3]:
        return "mask", "a class for each pixel"
    flat = labels.reshape(len(labels), -1)
    if labels.dtype.kind == "f" and not _are_classes(flat):
        return "regression", "numbers that are no classes"
    if flat.shape[1] > 1 and labels.dtype.kind in "biuf":
        is_flags = bool(np.isin(flat, (0, 1)).all())
        if is_flags and not (flat.sum(axis=1) == 1).all():
            return "multilabel", "several flags an image"
        return ("classification", "classes") if is_flags else ("regression", "several numbers an image")
    return "classification", "classes"


def _are_classes(flat: Array) -> bool:
    return bool((flat == np.round(flat)).all()) and len(np.unique(flat)) <= 50
