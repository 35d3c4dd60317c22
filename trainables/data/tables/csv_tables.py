"""Tables beside folders of images, as competitions have them: train.csv with names and labels, and the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from trainables.data.images.decode import Encoded, EncodedImages, read_header
from trainables.data.images.images import Array
from trainables.data.images.masks import EncodedMasks
from trainables.data.images.side_by_side import side_by_side
from trainables.data.labels.limits import kept_rows
from trainables.data.labels.weights import weights_of
from trainables.data.sources.base import (
    SPLIT_NAMES,
    OpenedSource,
    RawDataset,
    RawSplit,
    SplitName,
    content_hashes,
)
from trainables.data.tables.image_files import ImageFolder, unnamed_notes
from trainables.data.tables.labels import columns_of, flag_notes, table_labels
from trainables.data.tables.reading import Table, read_table
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec
from trainables.specs.pixels import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """One split's rows: by input the images' paths below the folder, by target the labels, and the rows within a limit.

    Attributes:
        masks: By target of masks, their files' paths below the folder of masks.
        kept: The rows that are read, ascending.
        split_columns: The columns that splits are carved by.
        weights: How much each image counts in the training loss; None where nothing says it.
    """

    table: Table
    root: Path
    paths: Mapping[str, Sequence[str]]
    labels: Mapping[str, Array]
    kept: Array
    mask_root: Path
    masks: Mapping[str, Sequence[str]]
    split_columns: Sequence[str] = ()
    weights: Array | None = None


def open_csv(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the rows of each split's table, in the table's order.

    A name of an image is its path below the folder `images` (the table's own folder where that is not set), with or
    without its ending. Every name is text: `007` stays `007`. With a limit, classes take turns.

    Masks are files as well, in the folder `masks` or beside the images.

    Raises:
        DataError: If a table or its images do not fit each other.
    """
    tables = _tables(spec)
    folders: dict[Path, ImageFolder] = {}
    labels = {
        name: table_labels(name, target, tables, spec=spec)
        for name, target in spec.target_specs.items()
        if target.kind != "mask"
    }
    splits, notes = {}, []
    for split, table in tables.items():
        root = _root(spec, split=split, table=table)
        folder = folders.setdefault(root, ImageFolder(root, role="images" if spec.images else split))
        paths = {column: folder.paths(table, column) for column in _image_columns(spec)}
        mask_root, masks = _masks_of(table, folders, split=split, images=root, spec=spec)
        own = {name: by_split[split] for name, by_split in labels.items()}
        weights = _weights(table, spec) if split == "train" else None
        said = own | {name: np.array(names) for name, names in masks.items()}
        said |= {} if weights is None else {"": weights}
        kept, more = _kept(table, paths, said, spec=spec, limit=spec.limit if split == "train" else None)
        splits[split] = _Rows(
            table=table,
            root=root,
            paths=paths,
            labels=own,
            kept=kept,
            mask_root=mask_root,
            masks=masks,
            split_columns=[*spec.split_columns.values()],
            weights=weights,
        )
        notes += more
    for name, target in spec.target_specs.items():
        notes += flag_notes(name, target, tables)
    named = [(f"{split} {path}", file) for split, rows in splits.items() for path, file in _used(rows)]
    hashes = content_hashes([(split, table.path) for split, table in tables.items()] + named, progress=progress)
    return OpenedSource(
        content=(_settings(spec), *hashes),
        read=lambda: _read(splits, spec),
        notes=(*notes, *unnamed_notes(folders)),
    )


def _tables(spec: DataSpec) -> dict[SplitName, Table]:
    columns = dict.fromkeys(_image_columns(spec), "inputs" if spec.inputs else "image_column")
    for name, target in spec.target_specs.items():
        columns |= dict.fromkeys(columns_of(target, name=name), f"targets.{name}" if spec.targets else "label_column")
    columns |= {column: field for field, column in spec.split_columns.items() if column not in columns}
    tables = {}
    for split in SPLIT_NAMES:
        if (value := getattr(spec, split)) is not None:
            weight = {spec.sample_weight: "sample_weight"} if spec.sample_weight and split == "train" else {}
            tables[split] = read_table(Path(value), role=split, columns=weight | columns)
    return tables


def _weights(table: Table, spec: DataSpec) -> Array | None:
    """Returns how much each row's image counts in the training loss, if the study names a column of it."""
    if spec.sample_weight is None:
        return None
    values = np.array(table.columns[spec.sample_weight], np.str_)
    where = f"data.sample_weight {spec.sample_weight!r}"
    return weights_of(values, count=len(values), where=where, place=table.place)


def _image_columns(spec: DataSpec) -> tuple[str, ...]:
    return spec.inputs or (spec.image_column,)


def _root(spec: DataSpec, *, split: SplitName, table: Table) -> Path:
    folder = spec.image_folder(split)
    return Path(folder) if folder else table.path.parent


def _masks_of(
    table: Table, folders: dict[Path, ImageFolder], *, split: SplitName, images: Path, spec: DataSpec
) -> tuple[Path, dict[str, Sequence[str]]]:
    """Returns the folder of a split's masks, and by target of masks each row's path below it."""
    named = spec.mask_folder(split)
    root = Path(named) if named else images
    targets = {name: target for name, target in spec.target_specs.items() if target.kind == "mask"}
    columns = {name: columns_of(target, name=name)[0] for name, target in targets.items()}
    if columns and root not in folders:
        folders[root] = ImageFolder(root, role="masks")
    return root, {name: folders[root].paths(table, column, what="mask") for name, column in columns.items()}


def _settings(spec: DataSpec) -> str:
    columns = {name: columns_of(target, name=name) for name, target in spec.target_specs.items()}
    return f"columns {columns} separator {spec.label_separator!r}"


def _kept(
    table: Table, paths: Mapping[str, Sequence[str]], labels: Mapping[str, Array], *, spec: DataSpec, limit: int | None
) -> tuple[Array, list[str]]:
    """Returns the rows to read and sentences about the others.

    A row that says the same of the same images as an earlier one is left out: validation would meet images that
    training has seen.
    """
    beside = "" if spec.sample_weight is None else " or another weight"
    first: dict[tuple[str, ...], int] = {}
    repeated = []
    for row, names in enumerate(zip(*paths.values(), strict=True)):
        if row == (earlier := first.setdefault(names, row)):
            continue
        if any(not np.array_equal(values[row], values[earlier]) for values in labels.values()):
            raise DataError(
                f"{table.place(row)}: {' and '.join(names)} has other labels{beside} than in row {earlier + 1}; give "
                "every image one row (with kind: multilabel, all its labels in it)"
            )
        repeated.append(row)
    rows = np.array(sorted(first.values()))
    own = next((labels[name] for name, target in spec.target_specs.items() if target.kind == "classification"), None)
    kept = rows[kept_rows(None if own is None else own[rows], count=len(rows), limit=limit)]
    notes = []
    if repeated:
        shown = ", ".join(str(row + 1) for row in repeated[:3]) + (", ..." if len(repeated) > 3 else "")
        notes.append(f"{table.path}: rows that repeat earlier ones are left out: {len(repeated)} (row {shown})")
    if table.num_trimmed:
        notes.append(f"{table.path}: spaces around values are left out, in {table.num_trimmed} of them")
    return kept, notes


def _used(rows: _Rows) -> list[tuple[str, Path]]:
    """Returns the paths of all images and masks that are read, and their files."""
    listed = [(rows.root, "", paths) for paths in rows.paths.values()]
    listed += [(rows.mask_root, "mask ", paths) for paths in rows.masks.values()]
    return [(role + paths[row], root / paths[row]) for root, role, paths in listed for row in rows.kept.tolist()]


def _read(splits: Mapping[SplitName, _Rows], spec: DataSpec) -> RawDataset:
    named = {name: list(target.columns) for name, target in spec.target_specs.items() if target.columns}
    kinds = {name: target.kind for name, target in spec.target_specs.items()}
    return RawDataset(
        splits={split: _split(rows, pages=spec.pages) for split, rows in splits.items()},
        class_names={name: columns for name, columns in named.items() if kinds[name] != "regression"},
    )


def _split(rows: _Rows, *, pages: Pages) -> RawSplit:
    images = {f"column {column!r}": _images(rows, paths) for column, paths in rows.paths.items()}
    first = _items(rows, next(iter(rows.paths.values())), root=rows.root)

    def image_sizes() -> Iterator[tuple[int, int]]:
        return (read_header(item, pages=pages).size for item in first)

    return RawSplit(
        where=str(rows.table.path),
        images=side_by_side(images, where=str(rows.table.path)),
        labels={name: values[rows.kept] for name, values in rows.labels.items()},
        all_labels=rows.labels,
        columns={name: np.array(rows.table.columns[name])[rows.kept] for name in rows.split_columns},
        masks={
            name: EncodedMasks(
                count=len(first), items=partial(_items, rows, paths, root=rows.mask_root), image_sizes=image_sizes
            )
            for name, paths in rows.masks.items()
        },
        weights=None if rows.weights is None else rows.weights[rows.kept],
    )


def _images(rows: _Rows, paths: Sequence[str]) -> EncodedImages:
    items = _items(rows, paths, root=rows.root)
    return EncodedImages(count=len(items), items=lambda: items)


def _items(rows: _Rows, paths: Sequence[str], *, root: Path) -> list[Encoded]:
    return [Encoded(where=str(root / paths[row]), content=root / paths[row]) for row in rows.kept.tolist()]
