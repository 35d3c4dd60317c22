"""The journal: one JSON record a line, only ever appended to.

A record is with the operating system when `append` returns, so a driver that dies loses nothing it acted on. The last
line of a file may be torn; readers ignore it, and the next writer cuts it off.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.errors import JournalError
from orchestrator.records import Record, record_from_json, record_to_json


class Journal:
    """An open journal; use it as a context manager.

    Args:
        path: The file; made if missing, continued otherwise.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, _whole_length(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, record: Record) -> None:
        """Writes one record, through to the operating system."""
        line = json.dumps(record_to_json(record), separators=(",", ":"), allow_nan=False) + "\n"
        data = line.encode()
        start = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(f"wrote {written} of {len(data)} bytes")
        except OSError:
            # A full disk may take half a line: the journal must end with a whole one before anything else is written.
            os.ftruncate(self._file, start)
            raise

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
