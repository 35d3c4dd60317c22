"""Reads the images of a Parquet column: bytes in image formats, paths of image files, or lists of pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainables.data.images.arrays import ArrayImages
from trainables.data.images.decode import Encoded, EncodedImages, read_header
from trainables.data.images.images import Array, Images
from trainables.data.images.masks import EncodedMasks
from trainables.data.parquet.files import Rows, column_field, open_parquet_file, rows_of
from trainables.data.parquet.lists import FlatShape, is_list, stacked, tensor_shape
from trainables.errors import DataError
from trainables.specs.data import DataSpec

#: How many missing files an error names.
NUM_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The rows of a split that are wanted.

    Attributes:
        files: The split's files.
        rows: The first rows (a slice), or row numbers over all files, ascending.
        count: How many rows these are.
        where: The split's name in errors.
    """

    files: Sequence[Path]
    rows: slice | Array
    count: int
    where: str


def column_images(column: str, wanted: Wanted, *, spec: DataSpec) -> Images:
    """Returns the images of a column, of the wanted rows."""
    files, rows, count = wanted.files, wanted.rows, wanted.count
    field = column_field(files[0], column, field=_field(spec))
    for file in files[1:]:
        if is_list(column_field(file, column, field=_field(spec)).type) != is_list(field.type):
            raise DataError(
                f"data.{_field(spec)}: {file}: column {column!r} has lists of pixels, and in {files[0]} none, or the "
                "other way round; write the images of all files alike"
            )
    if is_list(field.type):
        flat = FlatShape(tensor=tensor_shape(field), image_size=spec.image_size, channels=spec.channels)
        pieces = partial(_pixel_batches, files, column, flat, rows=rows)
        return ArrayImages(f"{wanted.where}: column {column!r}", count=count, pieces=pieces)
    return EncodedImages(count=count, items=partial(_encoded, files, column, rows=rows))


def column_masks(column: str, wanted: Wanted, *, spec: DataSpec, target: str) -> EncodedMasks:
    """Returns the masks of a target's column, of the wanted rows."""
    files, rows = wanted.files, wanted.rows
    column_field(files[0], column, field=f"targets.{target}")
    image_column = next(iter(spec.inputs or (spec.image_column,)))

    def image_sizes() -> Iterator[tuple[int, int]]:
        return (read_header(item, pages=spec.pages).size for item in _encoded(files, image_column, rows=rows))

    has_arrays = is_list(column_field(files[0], image_column, field=_field(spec)).type)
    return EncodedMasks(
        count=wanted.count,
        items=partial(_encoded, files, column, rows=rows),
        image_sizes=None if has_arrays else image_sizes,
    )


def referenced_files(files: Sequence[Path], column: str, spec: DataSpec) -> list[Path]:
    """Returns the image files that rows name instead of holding an image, each once, in order.

    Hugging Face's `datasets` writes an image folder so: bytes null, and the path.

    Raises:
        DataError: If any of them is missing, with the first of all that are.
    """
    if not _may_hold_paths(column_field(files[0], column, field=_field(spec)).type):
        return []
    found: dict[Path, str] = {}
    for rows in rows_of([file for file in files if not _holds_all_bytes(file, column)], column, rows=slice(None)):
        for number, (content, path) in zip(rows.numbers.tolist(), _contents(rows, column=column), strict=True):
            if content is None and path is not None:
                found.setdefault(_beside(rows.file, path), f"{rows.file} row {number}")
    missing = [(path, place) for path, place in found.items() if not path.is_file()]
    if missing:
        shown = "; ".join(f"{path} ({place})" for path, place in missing[:NUM_NAMED])
        raise DataError(
            f"data.{_field(spec)}: column {column!r} holds paths of image files, and {len(missing)} of {len(found)} "
            f"are missing: {shown}; copy the folder of images beside the file (source: images reads it without the "
            "table), or embed them: datasets.table.embed_table_storage before writing"
        )
    return list(found)


def _holds_all_bytes(file: Path, column: str) -> bool:
    """Returns whether a file's own statistics say that no row lacks its bytes, which spares reading them."""
    with open_parquet_file(file) as opened:
        groups = [opened.metadata.row_group(number) for number in range(opened.metadata.num_row_groups)]
    parts = [part for group in groups for part in map(group.column, range(group.num_columns))]
    statistics = [part.statistics for part in parts if part.path_in_schema == f"{column}.bytes"]
    return bool(statistics) and all(found is not None and found.null_count == 0 for found in statistics)


def _field(spec: DataSpec) -> str:
    return "inputs" if spec.inputs else "image_column"


def _may_hold_paths(kind: Any) -> bool:
    import pyarrow as pa

    return (pa.types.is_struct(kind) and kind.get_field_index("path") >= 0) or _is_text(kind)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _beside(file: Path, path: str) -> Path:
    return file.parent / Path(path).expanduser()


def _encoded(files: Sequence[Path], column: str, *, rows: slice | Array) -> Iterator[Encoded]:
    for found in rows_of(files, column, rows=rows):
        for number, (content, path) in zip(found.numbers.tolist(), _contents(found, column=column), strict=True):
            where = f"{found.file} row {number}"
            if content is None and path is None:
                raise DataError(f"{where}: the image is missing (null); embed its bytes or remove the row")
            if content is not None:
                yield Encoded(where=where, content=content)
            elif path is not None:
                image = _beside(found.file, path)
                yield Encoded(where=f"{where} ({image})", content=image)


def _contents(rows: Rows, *, column: str) -> Iterator[tuple[bytes | None, str | None]]:
    """Yields each row's bytes and path, either or both None."""
    import pyarrow as pa

    array, count = rows.array, len(rows.numbers)
    none: list[None] = [None] * count
    if _is_text(array.type):
        yield from zip(none, array.to_pylist(), strict=True)
        return
    payload, paths = array, none
    if pa.types.is_struct(array.type) and (place := array.type.get_field_index("bytes")) >= 0:
        fields = array.flatten()  # not field(): only flatten() makes the fields of a null struct null
        payload = fields[place]
        path_place = array.type.get_field_index("path")
        paths = fields[path_place].to_pylist() if path_place >= 0 else none
    if pa.types.is_dictionary(payload.type):
        payload = payload.dictionary_decode()
    if pa.types.is_null(payload.type):
        payload = payload.cast(pa.binary())
    if not _is_binary(payload.type):
        raise DataError(
            f"{rows.file}: column {column!r} has type {array.type}, expected bytes of encoded "
            "images, a struct with bytes, paths of image files, or lists of pixels; name another column"
        )
    yield from zip(payload.to_pylist(), paths, strict=True)


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _pixel_batches(files: Sequence[Path], column: str, flat: FlatShape, *, rows: slice | Array) -> Iterator[Array]:
    for found in rows_of(files, column, rows=rows):
        numbers = found.numbers
        yield stacked(found.array, where=f"{found.file} rows {numbers[0]}..{numbers[-1]}", flat=flat)
