"""Finds the files of a split, and makes splits of records that are read one after the other, several times."""

from __future__ import annotations

import glob
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Protocol

import numpy as np

from trainables.data.images.decode import Encoded, EncodedImages
from trainables.data.images.images import Array, Images
from trainables.data.images.side_by_side import side_by_side
from trainables.data.labels.limits import kept_rows
from trainables.data.labels.weights import weights_of
from trainables.data.records.values import label_arrays
from trainables.data.sources.base import SPLIT_NAMES, RawDataset, RawSplit, SplitName
from trainables.errors import DataError
from trainables.specs.data import DataSpec

_NUMBERED = re.compile(r"-(\d+)-of-(\d+)")


class Record(Protocol):
    """One example of a shard, whose parts are read when asked for."""

    @property
    def where(self) -> str:
        """The record's place in errors."""
        ...

    @property
    def name(self) -> str:
        """The record's name in its shard."""
        ...

    def image(self, column: str) -> bytes:
        """Returns an image in an image format."""
        ...

    def demand_image(self, column: str) -> None:
        """Raises DataError if the record has no such image, without reading it."""
        ...

    def image_place(self, column: str) -> tuple[int, int] | None:
        """Returns where an image begins in the shard and its bytes, if the shard has it as it is."""
        ...

    def label(self, column: str) -> object:
        """Returns a label: text, a number, or a list of either."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    """The records of a split's files, one after the other."""

    where: str
    files: Sequence[Path]
    read: Callable[[Path], Iterator[Record]]

    def __iter__(self) -> Iterator[Record]:
        for file in self.files:
            yield from self.read(file)


def shards_of(spec: DataSpec, *, fits: Callable[[Path], bool], what: str) -> dict[SplitName, list[Path]]:
    """Returns the files of each split, sorted by name: of a folder those that fit, of a pattern all that match.

    Raises:
        DataError: If a split has no file.
    """
    return {
        split: _files(value, field=split, fits=fits, what=what)
        for split in SPLIT_NAMES
        if (value := getattr(spec, split)) is not None
    }


def _files(value: str, *, field: str, fits: Callable[[Path], bool], what: str) -> list[Path]:
    path = Path(value)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if fits(file) and not file.name.startswith((".", "_")))
    elif path.exists() or not glob.has_magic(value):
        return [path]
    else:
        # Not Path.glob, which refuses absolute patterns.
        files = [Path(file) for file in sorted(glob.glob(value, recursive=True))]  # noqa: PTH207
    if not files:
        raise DataError(f"data.{field}: no {what} matches {value}; relative paths start at the study file")
    return files


def shard_notes(shards: Mapping[SplitName, Sequence[Path]]) -> tuple[str, ...]:
    """Returns a sentence for each numbered set (name-00000-of-00005) of which shards are not among a split's files."""
    notes = []
    for files in shards.values():
        sets: dict[tuple[str, int], set[int]] = {}
        for file in files:
            if match := _NUMBERED.search(file.name):
                first = str(file.with_name(file.name[: match.start()]))
                sets.setdefault((first, int(match[2])), set()).add(int(match[1]))
        notes += [
            f"{name}: {len(numbers)} of {total} numbered shards are read"
            for (name, total), numbers in sets.items()
            if len(numbers) < total
        ]
    return tuple(notes)


def records_dataset(
    shards: Mapping[SplitName, Sequence[Path]],
    read: Callable[[Path], Iterator[Record]],
    *,
    spec: DataSpec,
    class_names: Mapping[str, Sequence[str]],
) -> RawDataset:
    """Returns the splits of all shards; labels are read once, images whenever they are asked for.

    With a limit, classes take turns.

    Args:
        shards: The files of each split.
        read: Yields the records of a file in order, each time it is called.
        spec: The data section.
        class_names: By target, the names that the source knows.

    Raises:
        DataError: If a shard is damaged, or a record lacks an image or a label.
    """
    streams = {
        split: _Stream(where=str(getattr(spec, split)), files=files, read=read) for split, files in shards.items()
    }
    scans = {
        split: _scan(stream, spec, weight=spec.sample_weight if split == "train" else None)
        for split, stream in streams.items()
    }
    labels = {
        name: label_arrays(
            {split: scan.labels[name] for split, scan in scans.items()},
            kind=target.kind,
            where={split: stream.where for split, stream in streams.items()},
            column=target.column or name,
        )
        for name, target in spec.target_specs.items()
    }
    carved = {
        column: label_arrays(
            {split: scan.columns[column] for split, scan in scans.items()},
            kind="classification",
            where={split: stream.where for split, stream in streams.items()},
            column=column,
        )
        for column in spec.split_columns.values()
    }
    splits: dict[SplitName, RawSplit] = {}
    for split, stream in streams.items():
        own = {name: by_split[split] for name, by_split in labels.items()}
        kept = _kept(own, spec=spec, limit=spec.limit if split == "train" else None)
        splits[split] = RawSplit(
            where=stream.where,
            images=_images(stream, scans[split].places, kept, spec=spec),
            labels={name: values[kept] for name, values in own.items()},
            all_labels=own,
            columns={column: by_split[split][kept] for column, by_split in carved.items()},
            weights=_weights(stream, scans[split], spec)[kept] if split == "train" and spec.sample_weight else None,
        )
    return RawDataset(splits=splits, class_names=class_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """What one pass over a split's records finds.

    Attributes:
        labels: By target, a label a record.
        columns: The values of the columns that splits are carved by, one a record.
        weights: Of the column that says how much images count, one value a record.
        places: By image column, each image's place in its file.
    """

    labels: Mapping[str, list[object]]
    columns: Mapping[str, list[object]]
    weights: Sequence[object]
    places: Mapping[str, _Places]


@dataclass(slots=True, kw_only=True)
class _Places:
    """Where each record's image lies: numbers rather than objects, as there may be millions.

    Attributes:
        is_known: Whether every image so far lies in its file as it is.
    """

    shards: array[int] = field(default_factory=lambda: array("q"))
    starts: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    names: list[str] = field(default_factory=list)
    is_known: bool = True

    def add(self, shard: int, record: Record, column: str) -> None:
        """Notes the place of a record's image."""
        place = record.image_place(column)
        self.is_known = self.is_known and place is not None
        if self.is_known and place is not None:
            self.shards.append(shard)
            self.starts.append(place[0])
            self.sizes.append(place[1])
            self.names.append(record.name)


def _scan(stream: _Stream, spec: DataSpec, *, weight: str | None) -> _Scan:
    """Reads every record's labels; its images are looked for on the way.

    Args:
        weight: The column that says how much images count; None: none.
    """
    columns = {name: target.column or name for name, target in spec.target_specs.items()}
    labels: dict[str, list[object]] = {name: [] for name in columns}
    carved: dict[str, list[object]] = {column: [] for column in spec.split_columns.values()}
    places = {column: _Places() for column in _image_columns(spec)}
    weights: list[object] = []
    for shard, file in enumerate(stream.files):
        for record in stream.read(file):
            for column, found in places.items():
                record.demand_image(column)
                found.add(shard, record, column)
            for name, column in columns.items():
                labels[name].append(record.label(column))
            for column, values in carved.items():
                values.append(record.label(column))
            if weight is not None:
                weights.append(record.label(weight))
    return _Scan(labels=labels, columns=carved, weights=weights, places=places)


def _weights(stream: _Stream, scan: _Scan, spec: DataSpec) -> Array:
    """Returns how much each record's image counts in the training loss."""
    values = np.empty(len(scan.weights), object)
    values[:] = [label[0] if isinstance(label, list) and len(label) == 1 else label for label in scan.weights]

    def place(row: int) -> str:
        # Read again: names of millions of records would take more memory than their weights.
        return next(islice(stream, row, None)).where

    return weights_of(values, count=len(values), where=f"data.sample_weight {spec.sample_weight!r}", place=place)


def _kept(labels: Mapping[str, Array], *, spec: DataSpec, limit: int | None) -> Array:
    count = len(next(iter(labels.values())))
    classes = [labels[name] for name, target in spec.target_specs.items() if target.kind == "classification"]
    lone = classes[0] if classes and classes[0].ndim == 1 and classes[0].dtype != object else None
    return kept_rows(lone, count=count, limit=limit)


def _images(stream: _Stream, places: Mapping[str, _Places], rows: Array, *, spec: DataSpec) -> Images:
    def encoded(column: str) -> Iterator[Encoded]:
        if places[column].is_known:
            return _from_places(stream.files, places[column], rows)
        return _from_records(stream, column, rows)

    def images(column: str) -> EncodedImages:
        return EncodedImages(count=len(rows), items=lambda: encoded(column))

    return side_by_side({f"image {column!r}": images(column) for column in _image_columns(spec)}, where=stream.where)


def _from_places(files: Sequence[Path], places: _Places, rows: Array) -> Iterator[Encoded]:
    for shard, group in groupby(rows.tolist(), key=lambda row: places.shards[row]):
        with files[shard].open("rb") as file:
            for row in group:
                file.seek(places.starts[row])
                content = file.read(places.sizes[row])
                yield Encoded(where=f"{files[shard]}: {places.names[row]}", content=content)


def _from_records(stream: _Stream, column: str, rows: Array) -> Iterator[Encoded]:
    kept = frozenset(rows.tolist())
    for row, record in enumerate(stream):
        if row in kept:
            yield Encoded(where=record.where, content=record.image(column))


def _image_columns(spec: DataSpec) -> tuple[str, ...]:
    return spec.inputs or (spec.image_column,)
