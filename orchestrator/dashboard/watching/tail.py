"""Reads what was added to a journal since the last time, with the checks of whoever reads it whole."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.errors import JournalError
from orchestrator.journal.checksums import LONGEST_LINE_BYTES, checksum_of, is_right
from orchestrator.journal.file import next_step
from orchestrator.journal.records import Record, record_from_json

_BLOCK_BYTES = 1 << 20
_BATCH_LINES, _HEAD_BYTES = 256, 300


class JournalReplacedError(JournalError):
    """The file is not the one that was read before: it is another one, or shorter."""


class JournalTail:
    """The records of a journal that were not read yet; a torn last line is left for the next time.

    Args:
        path: The journal.

    Attributes:
        num_records: How many records were read.
        num_bytes: Up to where the file was read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.num_records = 0
        self.num_bytes = 0
        self._checksum = 0
        self._identity: tuple[int, int] | None = None
        #: How the file begins: a file system gives the number of a removed file to the next one.
        self._head = b""

    def has_grown(self) -> bool:
        """Returns whether the file has more, or something else, than was read; this opens nothing.

        Raises:
            OSError: If the file cannot be looked at.
        """
        facts = self.path.stat()
        return facts.st_size != self.num_bytes or self._identity not in (None, (facts.st_dev, facts.st_ino))

    def new_records(self) -> Iterator[Record]:
        """Yields the whole records after those that were read before, oldest first.

        Raises:
            JournalReplacedError: If the file is another one now, or shorter than what was read.
            JournalError: If a line is no record, or has a wrong checksum.
            OSError: If the file cannot be read.
        """
        with self.path.open("rb") as file:
            facts = os.fstat(file.fileno())
            identity = (facts.st_dev, facts.st_ino)
            if self._identity not in (None, identity) or facts.st_size < self.num_bytes:
                raise JournalReplacedError(f"{self.path}: is another file than before, or shorter")
            head = file.read(_HEAD_BYTES)
            if not head.startswith(self._head):
                raise JournalReplacedError(f"{self.path}: is another file than before")
            self._identity, self._head = identity, head
            file.seek(self.num_bytes)
            rest = b""
            while block := file.read(_BLOCK_BYTES):
                *lines, rest = (rest + block).split(b"\n")
                if len(rest) > LONGEST_LINE_BYTES:
                    raise self._damaged("it is longer than any record")
                for at in range(0, len(lines), _BATCH_LINES):
                    batch = lines[at : at + _BATCH_LINES]
                    for line, content in zip(batch, _contents(batch), strict=True):
                        yield self._record(line, content)

    def _record(self, line: bytes, content: object) -> Record:
        try:
            record = record_from_json(json.loads(line.decode()) if content is None else content)
        except (ValueError, RecursionError, JournalError) as exc:
            raise self._damaged(str(exc)) from exc
        if not is_right(line, before=self._checksum):
            raise self._damaged("its checksum is wrong, or a line before it is missing")
        self._checksum = checksum_of(line) or 0
        self.num_records += 1
        self.num_bytes += len(line) + 1
        return record

    def _damaged(self, why: str) -> JournalError:
        whole = f"{self.num_records} records before it are whole"
        return JournalError(
            f"{self.path}, line {self.num_records + 1}: not a record ({why}); {whole}; {next_step(self.path)}"
        )


def _contents(lines: Sequence[bytes]) -> Sequence[object]:
    """Returns what lines hold, or None for each where one of them is no JSON.

    Together they are read in half the time, and share the texts of their keys, which are most of their memory.
    """
    try:
        found = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        return [None] * len(lines)
    return found if len(found) == len(lines) else [None] * len(lines)
