"""Writes folders of arrays in one pass with a manifest at the end, and checks them when they are opened."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError
from trainables.files.manifests import MANIFEST, OWN_HASH, hash_of, sealed
from trainables.files.whole import replace_file

SCHEMA_VERSION = 8
#: The errors that numpy raises for files with a damaged header.
_UNREADABLE = (OSError, ValueError, TypeError, OverflowError, EOFError, SyntaxError, MemoryError)
MOVE_CACHE = "set data.cache_dir or the environment's CONVFLEET_CACHE to a writable folder with enough space"


def cannot_write(folder: Path, exc: OSError) -> DataError:
    """Returns the error for a cache that cannot be written."""
    reason = "the disk is full" if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else exc.strerror or str(exc)
    return DataError(f"data.cache_dir: cannot write to {folder}: {reason}; {MOVE_CACHE}")


def demand_space(folder: Path, *, needed_bytes: int, what: str = "decoded") -> None:
    """Raises DataError if the disk has too little free space."""
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise DataError(
            f"data.cache_dir: the {what} images need {needed_bytes / 1e6:.0f} MB, but {folder} has only "
            f"{free / 1e6:.0f} MB free; {MOVE_CACHE}, or use a smaller image_size or limit"
        )


def write_array(path: Path, *, batches: Iterable[Array], dtype: Any, shape: tuple[int | None, ...]) -> dict[str, Any]:
    """Writes batches one after the other as one .npy file and returns its record for the manifest.

    The file is written sequentially, never through a memory map, which on a full disk would kill the process.

    Args:
        shape: The shape of all batches together; None as its first number: any number of rows.
    """
    digest = hashlib.sha256()
    rows = 0
    try:
        file = path.open("wb")
    except OSError as exc:
        raise cannot_write(path.parent, exc) from exc
    with file:
        _write_header(file, dtype=dtype, shape=(shape[0] or 0, *shape[1:]))
        for batch in batches:
            data = np.ascontiguousarray(batch, dtype=dtype)
            rows += len(data)
            digest.update(data.data)
            try:
                file.write(data.data)
            except OSError as exc:
                raise cannot_write(path.parent, exc) from exc
        try:
            if shape[0] is None:
                # numpy's header has space for any number of rows.
                file.seek(0)
                _write_header(file, dtype=dtype, shape=(rows, *shape[1:]))
            file.flush()
            os.fsync(file.fileno())
        except OSError as exc:
            raise cannot_write(path.parent, exc) from exc
    if shape[0] not in (None, rows):
        raise DataError(f"{path.stem}: expected {shape[0]} rows, got {rows}; did the files change meanwhile? Run again")
    return {
        "dtype": np.dtype(dtype).name,
        "shape": [rows, *shape[1:]],
        "size_bytes": path.stat().st_size,
        "sha256": digest.hexdigest(),
    }


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes the manifest whole: a folder without one is not finished."""
    text = json.dumps(sealed({"schema_version": SCHEMA_VERSION, **content}), indent=1)
    try:
        replace_file(folder / MANIFEST, text, is_durable=True)
    except OSError as exc:
        raise cannot_write(folder, exc) from exc


def read_manifest(folder: Path, *, verify: bool = False) -> dict[str, Any]:
    """Returns the manifest of a finished folder whose files have the sizes, and on demand the hashes, it names.

    Raises:
        DataError: If anything is missing or damaged.
    """
    try:
        if not (folder / MANIFEST).is_file():
            raise FileNotFoundError(f"there is no file {MANIFEST}")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, arrays = manifest["schema_version"], manifest["arrays"]
        own_hash = manifest.pop(OWN_HASH, None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise _damaged(folder, f"its manifest cannot be read ({exc})") from exc
    if version != SCHEMA_VERSION:
        raise _damaged(folder, f"its schema version is {version}, expected {SCHEMA_VERSION}")
    if own_hash != hash_of(manifest):
        raise _damaged(folder, "its manifest has changed")
    for name, record in arrays.items():
        path = folder / f"{name}.npy"
        size = path.stat().st_size if path.is_file() else -1
        if size != record["size_bytes"]:
            found = f"has {size} bytes" if size >= 0 else "is missing"
            raise _damaged(folder, f"{path.name} {found}, expected {record['size_bytes']}")
        if verify and _content_hash(path) != record["sha256"]:
            raise _damaged(folder, f"the content of {path.name} has changed")
    return manifest


def load_array(folder: Path, name: str, *, manifest: Mapping[str, Any]) -> Array:
    """Returns an array on the file's own pages; processes that only read it share one copy.

    The map is copy-on-write: a process that writes into it changes its own pages only, never the file.
    """
    record = manifest["arrays"][name]
    try:
        array: Array = np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
    except _UNREADABLE as exc:
        raise _damaged(folder, f"{name}.npy cannot be opened ({exc})") from exc
    if list(array.shape) != record["shape"] or array.dtype.name != record["dtype"]:
        raise _damaged(
            folder, f"{name}.npy is {array.dtype} {array.shape}, expected {record['dtype']} {record['shape']}"
        )
    return array


def _write_header(file: BinaryIO, *, dtype: Any, shape: tuple[int | None, ...]) -> None:
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


def _content_hash(path: Path) -> str:
    try:
        array = np.ascontiguousarray(np.load(path, mmap_mode="r", allow_pickle=False))
        return hashlib.sha256(array.data).hexdigest()
    except _UNREADABLE:
        return "unreadable"


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(f"cached data set {folder} is damaged: {what}; prepare the data again, which rebuilds it")
