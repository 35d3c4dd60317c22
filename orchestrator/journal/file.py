"""Appends to and reads the journal: one JSON record a line, each with a checksum of all lines up to it.

The operating system has a record when `append` returns, so a driver that dies loses no record it acted on. The last
line of a file may be torn; readers ignore it, and the next writer removes it.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.errors import JournalError, StudyPausedError
from orchestrator.journal.checksums import checksum_of, end_of_lines, is_right, whole_lines, with_checksum
from orchestrator.journal.records import JOURNAL_SCHEMA, Record, StudyOpened, record_from_json, record_to_json

#: The advice of every message about a damaged journal.
NEXT_STEP = (
    "the journal was changed by something else, or its disk loses data; restore it from a backup, or let `convfleet "
    "repair {run}` keep what is whole, which goes on from the checkpoints"
)


class Journal:
    """An open journal; use it as a context manager.

    Args:
        path: The file; the constructor creates a missing one and continues an existing one.
        check: Raises if this process may no longer write; called before every record.

    Raises:
        JournalError: If it is a link, or ends in something that is no record.
    """

    def __init__(self, path: Path, *, check: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._check = check
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            raise JournalError(f"{path}: is a link; put the journal itself in its place: nothing is written elsewhere")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            self._length, last = end_of_lines(self._file)
            # A text after the last line break is torn: a driver died, or a disk was full, during the write.
            os.ftruncate(self._file, self._length)
        except BaseException as exc:
            os.close(self._file)
            if isinstance(exc, JournalError):
                raise JournalError(f"{path}: {exc}; {next_step(path)}") from exc
            raise
        self._checksum = checksum_of(last) or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, record: Record) -> None:
        """Writes one record to the operating system.

        Raises:
            StudyPausedError: If another driver has taken over.
            OSError: If the record cannot be written.
        """
        self.check()
        text = json.dumps(record_to_json(record), separators=(",", ":"), allow_nan=False)
        data, checksum = with_checksum(text.encode(), before=self._checksum)
        start = self._length
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, f"wrote {written} of {len(data)} bytes")
        except OSError as exc:
            # A full disk may take half a line: the journal must end with a whole line before the next write.
            os.ftruncate(self._file, start)
            raise OSError(exc.errno, exc.strerror or str(exc), str(self.path)) from exc
        self._length += len(data)
        self._checksum = checksum

    def check(self) -> None:
        """Checks that this process may write and that no other program wrote, which would make its state outdated.

        Raises:
            StudyPausedError: If another driver has taken over.
        """
        self._check()
        length = os.fstat(self._file).st_size
        if length != self._length:
            raise StudyPausedError(
                f"{self.path}: another program wrote to it (it has {length:,} bytes, expected {self._length:,}), so "
                "this driver stops and writes no more; see with `convfleet status` whether another one is at work"
            )

    def sync(self) -> None:
        """Makes all records durable: they outlive a power loss."""
        os.fsync(self._file)

    def close(self) -> None:
        """Makes all records durable and closes the file."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a journal between two records.

    Attributes:
        number: How many records lie before it.
        offset: How many bytes lie before it.
        checksum: That of the record before it; 0 at the beginning.
    """

    number: int = 0
    offset: int = 0
    checksum: int = 0


def read_journal(path: Path) -> Iterator[Record]:
    """Yields all whole records, oldest first, without a torn last line.

    Raises:
        JournalError: If a line before the last one is not a record, or has a wrong checksum.
    """
    return (record for record, _ in read_journal_from(path, after=Place()))


def read_journal_from(path: Path, *, after: Place) -> Iterator[tuple[Record, Place]]:
    """Yields the whole records after a place, each with the place behind it, without a torn last line.

    Args:
        path: The file.
        after: Where to begin.

    Raises:
        JournalError: If a line before the last one is not a record, or has a wrong checksum.
    """
    number, offset, before = after.number, after.offset, after.checksum
    lines = whole_lines(path, start=offset)
    while True:
        try:
            number += 1
            line = next(lines, None)
            if line is None:
                return
            record = record_from_json(_DECODER.decode(line.decode()))
            if not is_right(line, before=before) and not _is_of_another_version(record, number=number):
                found = "its checksum is wrong" if checksum_of(line) is not None else "it has no checksum"
                raise JournalError(f"{found}: it is not as it was written, or a line before it is missing")
        except OSError as exc:
            raise JournalError(f"{path}: cannot be read ({exc.strerror or exc})") from exc
        except (ValueError, RecursionError, JournalError) as exc:
            if str(exc).startswith(str(path)):
                raise
            whole = f"{number - 1} records before it are whole"
            raise JournalError(f"{path}, line {number}: not a record ({exc}); {whole}; {next_step(path)}") from exc
        before = checksum_of(line) or 0
        offset += len(line) + 1
        yield record, Place(number=number, offset=offset, checksum=before)


def next_step(path: Path) -> str:
    """Returns the advice for a damaged journal, with its run folder."""
    return NEXT_STEP.format(run=path.parent)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number that a journal holds")


#: One decoder for all lines: `json.loads` would make a decoder for each.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _is_of_another_version(record: Record, *, number: int) -> bool:
    """Returns whether a line without a checksum is the first of a journal that the fold will refuse for its schema."""
    return number == 1 and isinstance(record, StudyOpened) and record.schema != JOURNAL_SCHEMA
