"""Reads Parquet files with columns of images and of labels, as Hugging Face and others write them."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from trainables.data.images.arrays import ArrayImages
from trainables.data.images.decode import Encoded, EncodedImages
from trainables.data.images.images import Array, Images
from trainables.data.images.side_by_side import side_by_side
from trainables.data.sources.arrow_lists import is_list, stacked
from trainables.data.sources.base import SPLIT_NAMES, OpenedSource, RawDataset, RawSplit, content_hashes
from trainables.data.sources.parquet_labels import (
    column_type,
    hugging_face_names,
    label_columns,
    open_parquet_file,
    read_labels,
    read_values,
)
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: Rows read at once.
BATCH_ROWS = 256


def open_parquet(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the rows of each split's files, in the order of the files' names.

    The image column holds encoded bytes, Hugging Face's struct of bytes and path, or (nested) lists of pixels.
    """
    files = {name: _files(value, field=name) for name in SPLIT_NAMES if (value := getattr(spec, name)) is not None}
    flat = [(name, path) for name, paths in files.items() for path in paths]

    def read() -> RawDataset:
        splits = {
            name: _split(paths, spec, where=str(getattr(spec, name)), limit=spec.limit if name == "train" else None)
            for name, paths in files.items()
        }
        columns = label_columns(spec)
        names = {name: hugging_face_names(files["train"][0], column) for name, column in columns.items()}
        return RawDataset(splits=splits, class_names={name: text for name, text in names.items() if text is not None})

    return OpenedSource(content=content_hashes(flat, progress=progress), read=read)


def _files(value: str, *, field: str) -> list[Path]:
    path = Path(value)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.parquet") if not file.name.startswith((".", "_")))
    elif path.exists() or not glob.has_magic(value):
        return [path]
    else:
        # Not Path.glob, which refuses absolute patterns.
        files = [Path(file) for file in sorted(glob.glob(value, recursive=True))]  # noqa: PTH207
    if not files:
        raise DataError(f"data.{field}: no Parquet file matches {value}; relative paths start at the study file")
    return files


def _split(files: list[Path], spec: DataSpec, *, where: str, limit: int | None) -> RawSplit:
    labels = read_labels(files, spec)
    total = len(next(iter(labels.values())))
    count = total if limit is None else min(limit, total)
    columns = {f"column {name!r}": name for name in spec.inputs or (spec.image_column,)}
    images = {place: _images(files, column, spec, where=where, count=count) for place, column in columns.items()}
    return RawSplit(
        where=where,
        images=side_by_side(images, where=where),
        labels={name: values[:count] for name, values in labels.items()},
        all_labels=labels,
        columns={
            column: read_values(files, column, field=field)[:count] for field, column in spec.split_columns.items()
        },
    )


def _images(files: list[Path], column: str, spec: DataSpec, *, where: str, count: int) -> Images:
    image_type = column_type(files[0], column, field="inputs" if spec.inputs else "image_column")
    if is_list(image_type):
        pieces = partial(_pixel_batches, files, column, spec, count=count)
        return ArrayImages(f"{where}: column {column!r}", count=count, pieces=pieces)
    return EncodedImages(count=count, items=partial(_encoded, files, column, count=count))


def _batches(files: list[Path], column: str, *, count: int) -> Iterator[tuple[str, int, Any]]:
    """Yields (file name, number of the first row, Arrow array) until `count` rows are read."""
    left = count
    for file in files:
        first = 0
        with open_parquet_file(file) as opened:
            for batch in opened.iter_batches(batch_size=BATCH_ROWS, columns=[column]):
                if left <= 0:
                    return
                array = batch.column(0)[:left]
                yield str(file), first, array
                first += len(array)
                left -= len(array)


def _encoded(files: list[Path], column: str, *, count: int) -> Iterator[Encoded]:
    return chain.from_iterable(
        _encoded_batch(array, file=file, first=first, column=column)
        for file, first, array in _batches(files, column, count=count)
    )


def _encoded_batch(array: Any, *, file: str, first: int, column: str) -> Iterator[Encoded]:
    import pyarrow as pa

    payload = array
    if pa.types.is_struct(array.type) and (place := array.type.get_field_index("bytes")) >= 0:
        payload = array.flatten()[place]  # not field(): only flatten() makes the fields of a null struct null
    if not (pa.types.is_binary(payload.type) or pa.types.is_large_binary(payload.type)):
        raise DataError(
            f"data.image_column: {file}: column {column!r} has type {array.type}, expected bytes of encoded images, "
            "a struct with bytes, or lists of pixels; name another column"
        )
    for row, value in enumerate(payload.to_pylist(), start=first):
        if value is None:
            raise DataError(f"{file} row {row}: the image is missing (null); embed its bytes or remove the row")
        yield Encoded(where=f"{file} row {row}", content=value)


def _pixel_batches(files: list[Path], column: str, spec: DataSpec, *, count: int) -> Iterator[Array]:
    for file, first, array in _batches(files, column, count=count):
        yield stacked(
            array,
            where=f"{file} rows {first}..{first + len(array) - 1}",
            image_size=spec.image_size,
            channels=spec.channels,
        )
