"""Yields the files of a tar archive in order, and raises where tarfile of the standard library ends in silence.

At a damaged header, and behind the mark of its end, tarfile stops as at the end of the archive: the rest is lost
without a word: findings/webdataset-reads-the-first-of-joined-archives.sh. This module looks for both.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import DataError

BLOCK = 512
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive.

    Attributes:
        name: Its path in the archive.
        read: Returns its bytes; until the next member is asked for.
        place: Where its bytes begin in the archive's file, and how many they are; None where the archive is compressed.
    """

    name: str
    read: Callable[[], bytes]
    place: tuple[int, int] | None


def members(path: Path) -> Iterator[Member]:
    """Yields the regular files of an archive, plain or compressed; folders are passed over.

    Raises:
        DataError: If the archive is damaged, goes on behind its end, or has links or devices.
    """
    try:
        with tarfile.open(path, "r:*") as archive:
            while (entry := archive.next()) is not None:
                # tarfile keeps every entry it met: a shard may have hundreds of thousands.
                archive.members.clear()  # type: ignore[attr-defined] # unknown to the stubs
                if entry.isreg():
                    yield _member(archive, entry, path)
                elif not entry.isdir():
                    raise DataError(
                        f"{path}: {entry.name} is a link or a device, expected files; write the archive again with "
                        "copies (tar --dereference --hard-dereference)"
                    )
            _demand_end(archive, path)
    except _BROKEN as exc:
        raise _damaged(path, exc) from exc


def _member(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> Member:
    def read() -> bytes:
        try:
            file = archive.extractfile(entry)
            content = file.read() if file is not None else b""
        except _BROKEN as exc:
            raise DataError(f"{path}: {entry.name} cannot be read: {exc}; write the archive again") from exc
        if len(content) != entry.size:
            raise DataError(
                f"{path}: {entry.name} has {len(content)} bytes, its header says {entry.size}; the archive is cut off, "
                "copy or write it again"
            )
        return content

    is_plain = isinstance(archive.fileobj, io.BufferedReader) and not entry.issparse()
    return Member(name=entry.name, read=read, place=(entry.offset_data, entry.size) if is_plain else None)


def _demand_end(archive: tarfile.TarFile, path: Path) -> None:
    """Raises DataError unless a block of zeros follows the last file, and nothing but zeros that."""
    file = archive.fileobj
    file.seek(archive.offset)
    place = archive.offset
    if len(file.read(BLOCK)) < BLOCK:
        raise DataError(f"{path}: has no end mark: it is cut off, or its writer did not close it; write it again")
    file.seek(place)
    while chunk := file.read(BLOCK * 128):
        if chunk.strip(b"\0"):
            place += len(chunk) - len(chunk.lstrip(b"\0"))
            raise DataError(
                f"{path}: the archive ends before byte {place}, where more follows: a damaged header, or two archives "
                "in one file; write it again, or join archives with tar --concatenate"
            )
        place += len(chunk)


def _damaged(path: Path, exc: BaseException) -> DataError:
    reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return DataError(f"{path}: is not a whole tar archive: {reason}; copy or write it again")
