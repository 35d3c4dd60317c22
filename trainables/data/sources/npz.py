"""Reads NumPy archives: one file with all splits, or one file a split."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from trainables.data.images.images import Array
from trainables.data.labels.names import renumbered
from trainables.data.sources.array_keys import PLAIN_KEYS, SPLIT_KEYS, NamedArrays
from trainables.data.sources.array_splits import array_dataset, lone_split, named_classes
from trainables.data.sources.base import (
    SPLIT_NAMES,
    OpenedSource,
    RawDataset,
    RawSplit,
    SplitName,
    content_hashes,
    demand_different_files,
)
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: What zipfile, zlib and NumPy raise for files that are no whole archives, or that need a password.
_BROKEN = (
    OSError, EOFError, zipfile.BadZipFile, zlib.error, ValueError, TypeError, KeyError, SyntaxError, OverflowError,
    MemoryError, NotImplementedError, RuntimeError, tokenize.TokenError,
)  # fmt: skip

_FIX = "write it again with np.savez(path, x_train=..., y_train=...)"
#: How files begin that people take for archives -> what they are, and what to do.
_STRANGERS = {
    b"\x1f\x8b": "a gzip file; MNIST's *-ubyte.gz files are read by source: idx, others need unpacking first",
    b"\x00\x00\x08": "an IDX file as MNIST has them; read it by source: idx",
    b"MATLAB 5.0": "a MATLAB file; load it with scipy.io.loadmat in a function of yours (source: python)",
    b"\x89HDF": "an HDF5 file; load it with h5py in a function of yours (source: python)",
    b"PAR1": "a Parquet file; read it by source: parquet",
}


def open_npz(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the archives' splits: x_train, y_train[, x_test, y_test][, x_val, y_val][, class_names], or x, y.

    The names may be MedMNIST's (train_images, train_labels, val_images) as well, in capitals or not.
    """
    roles = [role for role in ("path", *SPLIT_NAMES) if getattr(spec, role) is not None]
    files = [(role, Path(getattr(spec, role))) for role in roles]
    content = content_hashes(files, progress=progress)
    if len(files) > 1:
        # One file may hold several splits, each under names of its own.
        read = [
            f"{text}:{_images_key(path, split)}" for text, (split, path) in zip(content, _splits(spec), strict=True)
        ]
        demand_different_files(files, read, spec=spec)
    return OpenedSource(content=content, read=lambda: _read(spec))


def _splits(spec: DataSpec) -> list[tuple[SplitName, Path]]:
    return [(name, Path(file)) for name in SPLIT_NAMES if (file := getattr(spec, name)) is not None]


def _images_key(path: Path, split: SplitName) -> str:
    """Returns the name of the images that a file has for a split, or an empty string."""
    arrays = load_npz(path)
    return next((keys.images for keys in (*SPLIT_KEYS[split], *PLAIN_KEYS) if keys.images in arrays), "")


def _read(spec: DataSpec) -> RawDataset:
    if spec.path is not None:
        arrays = load_npz(Path(spec.path))
        return replace(array_dataset(arrays, where=spec.path, spec=spec), notes=arrays.notes(where=spec.path))
    splits: dict[SplitName, RawSplit] = {}
    class_names: dict[str, list[str]] = {}
    notes: tuple[str, ...] = ()
    for name in SPLIT_NAMES:
        if (file := getattr(spec, name)) is not None:
            arrays = load_npz(Path(file))
            split = lone_split(arrays, name=name, where=file, spec=spec)
            own = named_classes(arrays, where=file, spec=spec)
            labels = {
                target: renumbered(values, own.get(target), class_names.get(target), where=split.where)
                for target, values in split.labels.items()
            }
            splits[name] = replace(split, labels=labels)
            class_names = class_names or own
            notes += arrays.notes(where=file)
    return RawDataset(splits=splits, class_names=class_names, notes=notes)


def load_npz(path: Path) -> NamedArrays:
    """Returns the arrays of an archive by name; pickled objects are refused when they are asked for.

    Raises:
        DataError: If the file is no archive of plain arrays.
    """
    try:
        # mmap_mode: without it, numpy would read a single .npy array whole before this refuses it.
        archive = np.load(path, allow_pickle=False, mmap_mode="r")
    except _BROKEN as exc:
        raise _not_whole(path, exc) from exc
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataError(f"{path}: is a single array, expected an archive; save it with np.savez(path, x=..., y=...)")
    with archive:
        return NamedArrays(archive.files, lambda key: _member(path, key))


def _member(path: Path, key: str) -> Array:
    try:
        with np.load(path, allow_pickle=False) as archive:
            member: object = archive[key]
    except _BROKEN as exc:
        if "allow_pickle" not in str(exc):
            raise _not_whole(path, exc, member=key) from exc
        raise DataError(
            f"{path}: {key}: is an array of Python objects (text, or images of different sizes?), which are never "
            "unpickled; store text as y.astype('U'), and images of one size as np.stack(images).astype('uint8')"
        ) from exc
    if not isinstance(member, np.ndarray):
        raise DataError(f"{path}: {key}: is a file that is no array; save arrays with np.savez")
    return member


def _not_whole(path: Path, exc: Exception, *, member: str = "") -> DataError:
    # NumPy takes what it does not know for a pickle, and advises to load it as one.
    reason = "it is neither a zip of arrays nor an array" if "pickle" in str(exc) else str(exc) or type(exc).__name__
    where = f"{path}: {member}" if member else str(path)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        start = b""
    what = next(
        (f" but {text}" for magic, text in _STRANGERS.items() if start.startswith(magic)), f": {reason}; {_FIX}"
    )
    return DataError(f"{where}: is not a whole NumPy archive{what}")
