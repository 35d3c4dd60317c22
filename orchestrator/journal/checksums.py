"""Writes and checks lines that carry a checksum of themselves and of all lines before.

A line is one JSON object whose last key is `crc`, so that any JSON tool reads it:

    {"type":"study_finished","at":1.0,"crc":"5a3f09c1"}

The checksum is CRC-32 over the line before the key `crc`, continued from the line before. It finds a changed byte, and
a line that was removed, inserted or moved. It protects against disk errors and mistakes, not against an attacker.
"""

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import JournalError

#: No record is nearly as long: another program wrote a longer line, so a reader does not load it into memory.
LONGEST_LINE_BYTES = 16_000_000
_ENDING = re.compile(rb',"crc":"([0-9a-f]{8})"\}\Z')
_ENDING_BYTES = len(b',"crc":"5a3f09c1"}')
_BLOCK_BYTES = 65_536
_BREAKS_AROUND_A_LINE = 2


def with_checksum(content: bytes, *, before: int) -> tuple[bytes, int]:
    """Returns a JSON object with its checksum and a line break, and the checksum.

    Args:
        content: A JSON object of at least one key, as one line without a break.
        before: The checksum of the line before; 0 for the first.

    >>> with_checksum(b'{"a":1}', before=0)
    (b'{"a":1,"crc":"a702fc6e"}\\n', 2801990766)
    """
    body = content[:-1]
    checksum = zlib.crc32(body, before)
    return b'%b,"crc":"%08x"}\n' % (body, checksum), checksum


def checksum_of(line: bytes) -> int | None:
    """Returns the checksum that a line carries, right or wrong; None for a line without one."""
    found = _ending(line)
    return int(found[1], 16) if found else None


def is_right(line: bytes, *, before: int) -> bool:
    """Returns whether a line carries its own checksum, after one with the checksum `before`."""
    found = _ending(line)
    return found is not None and int(found[1], 16) == zlib.crc32(line[: found.start()], before)


def _ending(line: bytes) -> re.Match[bytes] | None:
    return _ENDING.match(line, max(0, len(line) - _ENDING_BYTES))


def whole_lines(path: Path, *, start: int = 0) -> Iterator[bytes]:
    """Yields the lines that end in a line break, without it; a torn last line is left out.

    Args:
        path: The file.
        start: The offset of the first line to yield.

    Raises:
        OSError: If the file cannot be read.
        JournalError: If it is no file of lines.
    """
    if path.exists() and not path.is_file():
        # Opening a pipe would wait for a writer.
        raise JournalError(f"{path}: is not a file; put the journal back in its place")
    with path.open("rb") as file:
        file.seek(start)
        while (line := file.readline(LONGEST_LINE_BYTES)).endswith(b"\n"):
            yield line[:-1]
        if len(line) >= LONGEST_LINE_BYTES:
            raise JournalError(f"a line of more than {LONGEST_LINE_BYTES:,} bytes")


def end_of_lines(file: int) -> tuple[int, bytes]:
    """Returns where the last line break of an open file ends, and the line that it ends; (0, b"") if it has none.

    Raises:
        JournalError: If what follows that line, or the line itself, is longer than any record.
    """
    start = os.fstat(file).st_size
    tail, step = b"", _BLOCK_BYTES
    while start > 0 and tail.count(b"\n") < _BREAKS_AROUND_A_LINE:
        if len(tail) > 2 * LONGEST_LINE_BYTES:
            raise JournalError(f"its end has a line of more than {LONGEST_LINE_BYTES:,} bytes")
        step = min(2 * step, start)
        start -= step
        tail = os.pread(file, step, start) + tail
    last = tail.rfind(b"\n")
    if last < 0:
        return 0, b""
    return start + last + 1, tail[tail.rfind(b"\n", 0, last) + 1 : last]
