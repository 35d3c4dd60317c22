"""Opens the Parquet files of each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trainables.data.images.side_by_side import side_by_side
from trainables.data.labels.limits import limited_rows
from trainables.data.parquet.files import files_of, folder_value, num_rows
from trainables.data.parquet.images import Wanted, column_images, column_masks, referenced_files
from trainables.data.parquet.labels import hugging_face_names, known_names, label_columns, read_labels, read_values
from trainables.data.parquet.weights import read_weights
from trainables.data.sources.array_splits import classes_of
from trainables.data.sources.base import (
    SPLIT_NAMES,
    OpenedSource,
    RawDataset,
    RawSplit,
    content_hashes,
    demand_different_files,
)
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec


def open_parquet(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the rows of each split's files, in the order of the files' names.

    The image column holds encoded bytes, Hugging Face's struct of bytes and path, paths of image files relative to the
    Parquet file, or (nested) lists of pixels. A label column that the files lack may be a folder's name: `label=cat`.
    """
    files = {name: files_of(value, field=name) for name in SPLIT_NAMES if (value := getattr(spec, name)) is not None}
    flat = [(name, path) for name, paths in files.items() for path in paths]
    content = content_hashes(flat, progress=progress)
    demand_different_files(flat, content, spec=spec)
    masks = {name: target.column or name for name, target in spec.target_specs.items() if target.kind == "mask"}
    columns = (*(spec.inputs or (spec.image_column,)), *masks.values())
    images = [
        (f"{name} {column}", path)
        for name, paths in files.items()
        for column in columns
        for path in referenced_files(paths, column, spec)
    ]
    folders = [
        f"{name} {column}={value}"
        for name, path in flat
        for column in label_columns(spec).values()
        if (value := folder_value(path, column)) is not None
    ]

    def read() -> RawDataset:
        known = known_names(files["train"], spec)
        splits = {
            name: _split(paths, spec, names=known, where=str(getattr(spec, name)), is_train=name == "train")
            for name, paths in files.items()
        }
        names = {name: text for name, text in known.items() if text is not None}
        return RawDataset(splits=splits, class_names=names, notes=_nameless(flat, spec, known=known))

    return OpenedSource(content=(*content, *content_hashes(images, progress=progress), *folders), read=read)


def _split(
    files: Sequence[Path], spec: DataSpec, *, names: Mapping[str, Sequence[str] | None], where: str, is_train: bool
) -> RawSplit:
    labels = read_labels(files, spec, names=names)
    total = num_rows(files)
    rows = limited_rows(classes_of(labels, spec), count=total, limit=spec.limit if is_train else None)
    wanted = Wanted(files=files, rows=rows, count=len(np.arange(total)[rows]), where=where)
    columns = {f"column {name!r}": name for name in spec.inputs or (spec.image_column,)}
    images = {place: column_images(column, wanted, spec=spec) for place, column in columns.items()}
    return RawSplit(
        where=where,
        images=side_by_side(images, where=where),
        labels={name: values[rows] for name, values in labels.items()},
        all_labels=labels,
        masks={
            name: column_masks(target.column or name, wanted, spec=spec, target=name)
            for name, target in spec.target_specs.items()
            if target.kind == "mask"
        },
        columns={column: read_values(files, column, field=field)[rows] for field, column in spec.split_columns.items()},
        weights=read_weights(files, spec.sample_weight)[rows] if is_train and spec.sample_weight is not None else None,
    )


def _nameless(
    files: Sequence[tuple[str, Path]], spec: DataSpec, *, known: Mapping[str, Sequence[str] | None]
) -> tuple[str, ...]:
    """Returns a sentence for each target whose classes have names in some of the files only."""
    notes = []
    for target, column in label_columns(spec).items():
        without = [path for _, path in files if hugging_face_names(path, column) is None]
        if known[target] is not None and without:
            notes.append(
                f"column {column!r} of {len(without)} file(s) has no class names (for example {without[0]}): its "
                "numbers count the names of the other files"
            )
    return tuple(notes)
