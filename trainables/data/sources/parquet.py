"""Parquet files with a column of images and one of labels, as Hugging Face and others write them."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.arrays import ArrayImages
from trainables.data.decode import Encoded, EncodedImages
from trainables.data.errors import DataError
from trainables.data.images import Array, Images, Progress
from trainables.data.sources.arrow_lists import is_list, stacked
from trainables.data.sources.base import SPLIT_NAMES, OpenedSource, RawDataset, RawSplit, content_hashes
from trainables.spec import DataSpec

#: Rows read at once.
BATCH_ROWS = 256


def open_parquet(spec: DataSpec, progress: Progress) -> OpenedSource:
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
        names = _hugging_face_names(files["train"][0], _label_column(spec))
        return RawDataset(splits=splits, class_names={} if names is None else {spec.lone_target: names})

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
    labels = np.concatenate([_labels(file, _label_column(spec)) for file in files])
    count = len(labels) if limit is None else min(limit, len(labels))
    image_type = _column_type(files[0], spec.image_column, field="image_column")
    images: Images
    if is_list(image_type):
        pieces = partial(_pixel_batches, files, spec, count=count)
        images = ArrayImages(f"{where}: column {spec.image_column!r}", count=count, pieces=pieces)
    else:
        images = EncodedImages(count=count, items=partial(_encoded, files, spec.image_column, count=count))
    target = spec.lone_target
    return RawSplit(where=where, images=images, labels={target: labels[:count]}, all_labels={target: labels})


def _label_column(spec: DataSpec) -> str:
    name, target = next(iter(spec.target_specs.items()))
    return target.column or name


def _open(file: Path) -> Any:
    # Late: pyarrow stays out of processes that only open decoded data.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as exc:
        raise DataError(f"{file}: is not a whole Parquet file: {exc}; write it again") from exc


def _column_type(file: Path, column: str, *, field: str) -> Any:
    with _open(file) as opened:
        schema = opened.schema_arrow
    if schema.names.count(column) != 1:
        raise DataError(
            f"data.{field}: {file} has no single column {column!r}, its columns are {schema.names}; name one"
        )
    return schema.field(column).type


def _labels(file: Path, column: str) -> Array:
    import pyarrow as pa

    _column_type(file, column, field="label_column")
    with _open(file) as opened:
        chunked = opened.read(columns=[column]).column(column)
    if chunked.null_count:
        row = chunked.to_pylist().index(None)
        raise DataError(f"{file} row {row}: the label is missing (null); label every row or remove it")
    if pa.types.is_dictionary(chunked.type):
        chunked = chunked.cast(chunked.type.value_type)
    if pa.types.is_integer(chunked.type) or pa.types.is_floating(chunked.type) or pa.types.is_boolean(chunked.type):
        return np.asarray(chunked.to_numpy())
    if pa.types.is_string(chunked.type) or pa.types.is_large_string(chunked.type):
        return np.array(chunked.to_pylist(), dtype=np.str_)
    raise DataError(
        f"data.label_column: {file}: column {column!r} has type {chunked.type}, expected whole numbers or strings; "
        "name another column"
    )


def _batches(files: list[Path], column: str, *, count: int) -> Iterator[tuple[str, int, Any]]:
    """Yields (file name, row number of the first, arrow array) until `count` rows came, and reads no further."""
    left = count
    for file in files:
        first = 0
        with _open(file) as opened:
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
        payload = array.flatten()[place]  # not field(): flatten() also hands down that the struct itself is null
    if not (pa.types.is_binary(payload.type) or pa.types.is_large_binary(payload.type)):
        raise DataError(
            f"data.image_column: {file}: column {column!r} has type {array.type}, expected bytes of encoded images, "
            "a struct with bytes, or lists of pixels; name another column"
        )
    for row, value in enumerate(payload.to_pylist(), start=first):
        if value is None:
            raise DataError(f"{file} row {row}: the image is missing (null); embed its bytes or remove the row")
        yield Encoded(where=f"{file} row {row}", content=value)


def _pixel_batches(files: list[Path], spec: DataSpec, *, count: int) -> Iterator[Array]:
    for file, first, array in _batches(files, spec.image_column, count=count):
        yield stacked(
            array,
            where=f"{file} rows {first}..{first + len(array) - 1}",
            image_size=spec.image_size,
            channels=spec.channels,
        )


def _hugging_face_names(file: Path, column: str) -> list[str] | None:
    """Returns the class names that Hugging Face's `datasets` keeps in the file's metadata, if any."""
    with _open(file) as opened:
        metadata = opened.schema_arrow.metadata or {}
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None
