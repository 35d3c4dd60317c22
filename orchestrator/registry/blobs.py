"""Files by their content: stored once, checked whenever they are read, kept as long as a version has them."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import RegistryError
from orchestrator.registry.entries import ModelVersion
from orchestrator.registry.folder import RegistryFolder
from orchestrator.text import one_line
from trainables.files.folders import remove_abandoned, sync

_BLOCK_BYTES = 2**20


def copy_and_hash(source: Path, target: Path, *, is_durable: bool) -> dict[str, Any]:
    """Copies a file to a new one and returns the size and sha256 of what was copied.

    Raises:
        OSError: If the one cannot be read, or the other not be written.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as given, open(target, "xb", opener=_private) as file:
        while block := given.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
            file.write(block)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    return {"size_bytes": size, "sha256": digest.hexdigest()}


def put_blobs(folder: RegistryFolder, draft: Path, shas: set[str]) -> None:
    """Renames files of a draft, which are called by their sha256, to their places; only the holder of the lock may.

    A file of that content that is in its place already is replaced: were it damaged, it is whole again. Those of a
    registry in a bucket are uploaded instead, by whoever adds them and without the lock.
    """
    if folder.bucket is not None:
        return
    places = {folder.blob(sha256).parent for sha256 in shas}
    is_new = False
    for place in places:
        if not place.is_dir():
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_new = True
    for sha256 in sorted(shas):
        (draft / sha256).replace(folder.blob(sha256))
    for place in [*sorted(places), *([folder.blobs, folder.root] if is_new else [])]:
        sync(place)


def upload_blobs(folder: RegistryFolder, draft: Path, shas: Iterable[str]) -> None:
    """Writes files of a draft into the bucket of a registry that lies in one; writes those that are there anew.

    Raises:
        RegistryError: If the bucket cannot be written.
    """
    if folder.bucket is not None:
        folder.bucket.upload({_name_of(folder, sha256): draft / sha256 for sha256 in sorted(shas)})


def upload_missing_blobs(folder: RegistryFolder, draft: Path, shas: set[str]) -> None:
    """Makes sure that files of a version are in the bucket, now that its history names them.

    Raises:
        RegistryError: If the bucket cannot be used.
    """
    if folder.bucket is not None:
        missing = set(folder.bucket.missing(_name_of(folder, sha256) for sha256 in shas))
        upload_blobs(folder, draft, [sha256 for sha256 in shas if _name_of(folder, sha256) in missing])


def copy_out(folder: RegistryFolder, version: ModelVersion, *, names: list[str], target: Path) -> None:
    """Copies files of a version into a folder, each checked while it is copied.

    Raises:
        RegistryError: If a file is damaged or missing; names it.
    """
    for name in names:
        place = target / name
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_blob(folder, version, name=name, target=place)


def check_blob(folder: RegistryFolder, version: ModelVersion, *, name: str, target: Path) -> None:
    """Copies a file of a version to a new file and checks it.

    Raises:
        RegistryError: If it is damaged or missing.
    """
    expected = version.files[name]
    blob = folder.blob(expected["sha256"])
    try:
        found = _taken_out(folder, expected["sha256"], target)
    except FileNotFoundError:
        found = None
    if found != dict(expected):
        what = "is missing" if found is None else "is not as it was added"
        raise RegistryError(
            f"{folder.named(blob)}: {what}; it is {name} of {version.name} version {version.version}; restore it from "
            f"a backup, or add the export of trial {one_line(version.trial)} of {one_line(version.study)} once more, "
            "which writes it anew"
        )


def _taken_out(folder: RegistryFolder, sha256: str, target: Path) -> dict[str, Any] | None:
    """Copies the file of a content and returns the size and sha256 of what was copied; None where there is none."""
    if folder.bucket is not None:
        folder.bucket.download(_name_of(folder, sha256), target)
        with target.open("rb") as file:
            return {"size_bytes": target.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    blob = folder.blob(sha256)
    # Opening a pipe would wait for a writer.
    return copy_and_hash(blob, target, is_durable=False) if blob.is_file() else None


def sweep(folder: RegistryFolder, *, wanted: Callable[[], set[str]]) -> tuple[int, int]:
    """Deletes the files that no version has and returns how many, and their bytes; only the holder of the lock may.

    Args:
        wanted: Returns the sha256 of every file that a version has.

    Raises:
        RegistryError: If a history is damaged, or the bucket cannot be used.
    """
    if folder.bucket is not None:
        remove_abandoned(folder.incoming)
        return folder.bucket.sweep(lambda: {_name_of(folder, sha256) for sha256 in wanted()})
    kept, count, size = wanted(), 0, 0
    for path in _blob_files(folder):
        if path.name not in kept:
            with suppress(FileNotFoundError):
                size += path.stat().st_size
                path.unlink()
                count += 1
    remove_abandoned(folder.incoming)
    return count, size


def blobs_of(versions: Mapping[int, ModelVersion]) -> set[str]:
    """Returns the sha256 of all files of versions."""
    return {sha256 for version in versions.values() for sha256 in version.blobs}


def _name_of(folder: RegistryFolder, sha256: str) -> str:
    """Returns the name of a file in a registry's bucket."""
    return folder.blob(sha256).relative_to(folder.root).as_posix()


def _blob_files(folder: RegistryFolder) -> list[Path]:
    try:
        places = [entry.path for entry in os.scandir(folder.blobs) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [Path(entry.path) for place in places for entry in os.scandir(place)]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
