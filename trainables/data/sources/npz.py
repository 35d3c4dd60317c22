"""Reads NumPy archives: one file with all splits, or one file a split."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from trainables.data.images.images import Array
from trainables.data.sources.array_splits import array_dataset, lone_split, named_classes
from trainables.data.sources.base import SPLIT_NAMES, OpenedSource, RawDataset, RawSplit, SplitName, content_hashes
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec


def open_npz(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the archives' splits: x_train, y_train[, x_test, y_test][, x_val, y_val][, class_names], or x, y."""
    roles = [role for role in ("path", *SPLIT_NAMES) if getattr(spec, role) is not None]
    files = [(role, Path(getattr(spec, role))) for role in roles]
    return OpenedSource(content=content_hashes(files, progress=progress), read=lambda: _read(spec))


def _read(spec: DataSpec) -> RawDataset:
    if spec.path is not None:
        return array_dataset(load_npz(Path(spec.path)), where=spec.path, spec=spec)
    splits: dict[SplitName, RawSplit] = {}
    class_names: dict[str, list[str]] = {}
    for name in SPLIT_NAMES:
        if (file := getattr(spec, name)) is not None:
            arrays = load_npz(Path(file))
            splits[name] = lone_split(arrays, name=name, where=file, spec=spec)
            class_names = class_names or named_classes(arrays, where=file, spec=spec)
    return RawDataset(splits=splits, class_names=class_names)


def load_npz(path: Path) -> dict[str, Array]:
    """Returns all arrays of an archive; pickled objects are refused.

    Raises:
        DataError: If the file is no archive of plain arrays.
    """
    try:
        # mmap_mode: without it, numpy would read a single .npy array whole before this refuses it.
        archive = np.load(path, allow_pickle=False, mmap_mode="r")
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(
                f"{path}: is a single array, expected an archive; save it with np.savez(path, x=..., y=...)"
            )
        with archive:
            return {key: _member(archive, key, path=path) for key in archive.files}
    except (OSError, EOFError, zipfile.BadZipFile, ValueError) as exc:
        raise DataError(
            f"{path}: is not a whole NumPy archive: {exc}; write it again with np.savez(path, x_train=..., y_train=...)"
        ) from exc


def _member(archive: np.lib.npyio.NpzFile, key: str, *, path: Path) -> Array:
    try:
        member: Array = archive[key]
    except ValueError as exc:
        if "allow_pickle" not in str(exc):
            raise
        raise DataError(
            f"{path}: {key}: is an array of Python objects (images of different sizes?), which are never unpickled; "
            "stack equal sizes: np.stack(images).astype('uint8')"
        ) from exc
    return member
