"""Yields the records of TFRecord files, each checked by its length and its checksums.

A reader of our own: TensorFlow's would bring TensorFlow into this process; tfrecord (1.14.6) registers messages of
TensorFlow's names and cannot be imported beside TensorFlow 2.21; grain (0.2.18) compares no checksum. The checksums are
google-crc32c's.

Source: TensorFlow, tensorflow/core/lib/io/record_writer.h: uint64 length, uint32 masked CRC-32C of the length, the
bytes, uint32 masked CRC-32C of the bytes; numbers with their smallest part first.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from trainables.errors import DataError

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_ADVICE = "copy or write the file again"


def frames(path: Path) -> Iterator[bytes]:
    """Yields the bytes of each record of a file, plain or compressed by gzip or zlib.

    Raises:
        DataError: If the file is cut off, or a checksum differs.
    """
    checksum = _crc32c()
    try:
        with path.open("rb") as raw:
            yield from _frames(_unpacked(raw), path=path, checksum=checksum)
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise DataError(f"{path}: its compressed bytes are damaged or cut off: {exc}; {_ADVICE}") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror or exc}; check the file and its permissions") from exc


def _frames(file: BinaryIO, *, path: Path, checksum: Callable[[bytes], int]) -> Iterator[bytes]:
    number = 0
    while header := file.read(_HEADER.size):
        where = f"{path} record {number}"
        if len(header) < _HEADER.size:
            raise DataError(f"{where}: is cut off inside its header; {_ADVICE}")
        length, expected = _HEADER.unpack(header)
        if _masked(checksum(header[:8])) != expected:
            what = "is no TFRecord file" if not number else "is damaged"
            raise DataError(f"{where}: {what}: the checksum of its length differs; {_ADVICE}")
        content = file.read(length)
        end = file.read(_CHECKSUM.size)
        if len(content) < length or len(end) < _CHECKSUM.size:
            raise DataError(f"{where}: is cut off: {len(content)} of {length} bytes follow; {_ADVICE}")
        if _masked(checksum(content)) != _CHECKSUM.unpack(end)[0]:
            raise DataError(f"{where}: is damaged: the checksum of its {length} bytes differs; {_ADVICE}")
        yield content
        number += 1


def _unpacked(raw: BinaryIO) -> BinaryIO:
    start = raw.read(2)
    raw.seek(0)
    if start == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if len(start) == 2 and start[0] == 0x78 and int.from_bytes(start, "big") % 31 == 0 and _is_zlib(raw):
        return io.BytesIO(zlib.decompress(raw.read()))
    return raw


def _is_zlib(raw: BinaryIO) -> bool:
    """Returns whether a stream of zlib begins; a record's length may look like its first two bytes."""
    try:
        return bool(zlib.decompressobj().decompress(raw.read(1024), 1))
    except zlib.error:
        return False
    finally:
        raw.seek(0)


def _masked(value: int) -> int:
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _crc32c() -> Callable[[bytes], int]:
    try:
        # Late: an extra, which this source alone needs.
        import google_crc32c
    except ImportError as exc:
        raise DataError("data.source: 'tfrecord' needs google-crc32c; pip install 'convfleet[tfrecord]'") from exc
    return google_crc32c.value
