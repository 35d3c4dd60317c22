"""CIFAR-10 and CIFAR-100 in their binary version: records of labels and 3 x 32 x 32 bytes, and the classes' names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.data.images.arrays import array_images
from trainables.data.images.images import Array
from trainables.data.labels.limits import kept_rows
from trainables.data.sources.base import OpenedSource, RawDataset, RawSplit, SplitName, content_hashes, missing_file
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

_PIXELS = 3 * 32 * 32
_BATCH = re.compile(r"data_batch_(\d+)\.bin")
#: The Python version's files, which are pickles.
_PICKLES = frozenset({"data_batch_1", "batches.meta", "test_batch", "meta"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """One of the two sets.

    Attributes:
        columns: The label bytes of a record, in order, each with its file of names and its number of classes.
        default: The column that stands for `label`.
    """

    name: str
    columns: Mapping[str, tuple[str, int]]
    default: str


CIFAR10 = _Version(name="CIFAR-10", columns={"label": ("batches.meta.txt", 10)}, default="label")
CIFAR100 = _Version(
    name="CIFAR-100",
    columns={"coarse": ("coarse_label_names.txt", 20), "fine": ("fine_label_names.txt", 100)},
    default="fine",
)


def open_cifar_binary(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the records of a folder's files in order: data_batch_1.bin to ..._5.bin and test_batch.bin, or train.bin.

    CIFAR-10 has the column `label`; CIFAR-100 has `fine`, which `label` stands for, and `coarse`. The Python version's
    pickles are never opened.

    Raises:
        DataError: If the folder has neither set, or lacks a batch.
    """
    folder = Path(spec.path or ".")
    version, files = _found(folder)
    columns = {name: _column(target.column or name, version) for name, target in spec.target_specs.items()}
    names = {column: path for column, (file, _) in version.columns.items() if (path := folder / file).is_file()}
    listed = [
        (f"path {path.name}", path) for path in (*names.values(), *(path for part in files.values() for path in part))
    ]

    def read() -> RawDataset:
        class_names = {column: _names(path, count=version.columns[column][1]) for column, path in names.items()}
        return RawDataset(
            splits={
                split: _split(paths, version, columns, spec=spec, limit=spec.limit if split == "train" else None)
                for split, paths in files.items()
            },
            class_names={name: class_names[column] for name, column in columns.items() if column in class_names},
        )

    unnamed = [
        file for column, (file, _) in version.columns.items() if column not in names and column in columns.values()
    ]
    notes = [f"{folder}: {file} is missing, so classes are called by their numbers" for file in unnamed]
    return OpenedSource(content=content_hashes(listed, progress=progress), read=read, notes=tuple(notes))


def _found(folder: Path) -> tuple[_Version, dict[SplitName, list[Path]]]:
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as exc:
        raise missing_file("path", folder, exc) from exc
    if "train.bin" in present:
        files: dict[SplitName, list[Path]] = {"train": [folder / "train.bin"]}
        return CIFAR100, files | ({"test": [folder / "test.bin"]} if "test.bin" in present else {})
    numbers = sorted(int(match[1]) for name in present if (match := _BATCH.fullmatch(name)))
    if numbers:
        if missing := sorted(set(range(1, numbers[-1] + 1)) - set(numbers)):
            raise DataError(f"data.path: {folder} lacks data_batch_{missing[0]}.bin; unpack the archive again")
        files = {"train": [folder / f"data_batch_{number}.bin" for number in numbers]}
        return CIFAR10, files | ({"test": [folder / "test_batch.bin"]} if "test_batch.bin" in present else {})
    if _PICKLES & present:
        raise DataError(
            f"data.path: {folder} is CIFAR's Python version, whose files are pickles: they could run any code and are "
            "never opened; use the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz) or source: keras"
        )
    raise DataError(
        f"data.path: {folder} has neither data_batch_1.bin (CIFAR-10) nor train.bin (CIFAR-100), its files are "
        f"{sorted(present)[:8]}; name the folder that the archive of the binary version holds"
    )


def _column(asked: str, version: _Version) -> str:
    known = dict.fromkeys(("label", *version.columns))
    if asked not in known:
        raise DataError(f"data.targets: {version.name} has the columns {list(known)}, got {asked!r}; use one of them")
    return version.default if asked == "label" else asked


def _names(path: Path, *, count: int) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(f"{path}: cannot be read as text: {exc}; unpack the archive again") from exc
    names = [line for line in lines if line]
    if len(names) != count or len(set(names)) != count:
        raise DataError(f"{path}: expected {count} different names, got {len(set(names))}; unpack the archive again")
    return names


def _split(
    paths: Sequence[Path], version: _Version, columns: Mapping[str, str], *, spec: DataSpec, limit: int | None
) -> RawSplit:
    parts = [_records(path, version) for path in paths]
    records = np.concatenate(parts) if len(parts) > 1 else parts[0]
    places = {column: place for place, column in enumerate(version.columns)}
    labels = {name: records[:, places[column]] for name, column in columns.items()}
    kept = kept_rows(labels[next(iter(columns))], count=len(records), limit=limit)
    pixels = records[:, len(places) :] if len(kept) == len(records) else records[kept, len(places) :]
    where = str(paths[0] if len(paths) == 1 else paths[0].parent)
    return RawSplit(
        where=where,
        images=array_images(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), where=where),
        labels={name: values[kept] for name, values in labels.items()},
        all_labels=labels,
    )


def _records(path: Path, version: _Version) -> Array:
    size = len(version.columns) + _PIXELS
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}; check the file's permissions") from exc
    if not len(content) or len(content) % size:
        raise DataError(
            f"{path}: has {len(content)} bytes, expected a multiple of {size}, a record of {version.name}; unpack the "
            "archive again"
        )
    records = content.reshape(-1, size)
    for place, (column, (_, count)) in enumerate(version.columns.items()):
        wrong = np.flatnonzero(records[:, place] >= count)
        if len(wrong):
            raise DataError(
                f"{path}: record {wrong[0]} has the {column} label {records[wrong[0], place]}, {version.name} has 0 to "
                f"{count - 1}; unpack the archive again"
            )
    return records
