"""The journal: one JSON record a line, only ever appended to.

A record is with the operating system when `append` returns, so a driver that dies loses nothing it acted on. The last
line of a file may be torn; readers ignore it, and the next writer cuts it off.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.errors import JournalError, StudyPausedError
from orchestrator.records import Record, record_from_json, record_to_json


class Journal:
    """An open journal; use it as a context manager.

    Args:
        path: The file; made if missing, continued otherwise.
        check: Raises where this process may write no more; asked before every record.
    """

    def __init__(self, path: Path, *, check: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._check = check
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._length = _whole_length(path)
        os.ftruncate(self._file, self._length)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, record: Record) -> None:
        """Writes one record, through to the operating system.

        Raises: StudyPausedError: as `check`.
        """
        self.check()
        line = json.dumps(record_to_json(record), separators=(",", ":"), allow_nan=False) + "\n"
        data = line.encode()
        start = self._length
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(f"wrote {written} of {len(data)} bytes")
        except OSError:
            # A full disk may take half a line: the journal must end with a whole one before anything else is written.
            os.ftruncate(self._file, start)
            raise
        self._length += len(data)

    def check(self) -> None:
        """Makes sure that this process may write, and that nobody else wrote: what it knows would be outdated.

        Raises: StudyPausedError: if another driver has taken over.
        """
        self._check()
        length = os.fstat(self._file).st_size
        if length != self._length:
            raise StudyPausedError(
                f"{self.path}: another program wrote to it (it has {length:,} bytes, expected {self._length:,}), so "
                "this driver stops and writes no more; see with `convfleet status` whether another one is at work"
            )

    def close(self) -> None:
        """Makes all records durable and closes the file."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1


def read_journal(path: Path) -> Iterator[Record]:
    """Yields all whole records, oldest first, passing over a torn last line.

    Raises: JournalError: if a line before the last one is not a record.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise JournalError(f"{path}: cannot be read ({exc.strerror or exc})") from exc
    # What follows the last line break is either nothing or torn.
    for number, line in enumerate(lines[:-1], start=1):
        try:
            yield record_from_json(json.loads(line))
        except (ValueError, RecursionError, JournalError) as exc:
            raise JournalError(
                f"{path}, line {number}: not a record ({exc}); the journal was changed by something else; restore it "
                "from a backup, or start the study again in a new folder"
            ) from exc


def _whole_length(path: Path) -> int:
    """Returns the length of the file up to its last line break."""
    return path.read_bytes().rfind(b"\n") + 1
