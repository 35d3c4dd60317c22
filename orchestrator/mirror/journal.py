"""The journal in the storage: segments, each named by its offset in the journal, as object stores cannot append.

The driver writes the last segment anew as it grows; from `SEGMENT_BYTES` on, it begins another one. A segment holds
whole lines, so that the segments are the beginning of the journal at any time.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import JournalError, RunFolderError
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import TrialProposed
from orchestrator.runs.paths import RunFolder
from trainables.files.remote import RemoteFolder
from trainables.files.uris import shown_uri
from trainables.files.whole import write_whole

SEGMENT_BYTES = 256 * 1024
_FOLDER = "journal"
_NAME = re.compile(rf"{_FOLDER}/(\d{{16}})\.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJournal:
    """A journal as the storage has it.

    Attributes:
        data: All segments, one after the other.
        starts: The offsets of the segments, ascending.
    """

    data: bytes = b""
    starts: tuple[int, ...] = ()


def segment_name(start: int) -> str:
    """Returns the name of the segment that begins at an offset.

    >>> segment_name(262144)
    'journal/0000000000262144.jsonl'
    """
    return f"{_FOLDER}/{start:016d}.jsonl"


def read_remote_journal(remote: RemoteFolder) -> RemoteJournal:
    """Returns the journal that the storage has of a run; an empty one if it has none.

    Raises:
        JournalError: If a segment is missing.
        RemoteError: If the storage does not answer.
    """
    found, starts, data = _starts(remote), [], bytearray()
    while len(data) in found and (segment := remote.read(segment_name(len(data)))):
        starts.append(len(data))
        data += segment
    if max(found, default=0) > len(data):
        raise JournalError(
            f"{shown_uri(remote.uri)}: {segment_name(len(data))} is missing or the one before was changed; restore it "
            "from a backup, or go on from the run folder of the machine that wrote it"
        )
    return RemoteJournal(data=bytes(data), starts=tuple(starts))


def take_longer(folder: RunFolder, remote: RemoteFolder) -> RemoteJournal:
    """Replaces the run folder's journal by the storage's if that is longer, and returns the storage's.

    The caller holds the run folder.

    Raises:
        RunFolderError: If neither journal begins with the other.
        JournalError: If the storage's journal is damaged.
        RemoteError: If the storage does not answer.
    """
    stored = read_remote_journal(remote)
    local = folder.journal.read_bytes() if folder.journal.is_file() else b""
    local = local[: local.rfind(b"\n") + 1]
    if not local.startswith(stored.data) and not stored.data.startswith(local):
        raise RunFolderError(
            f"{folder.root} and {shown_uri(remote.uri)} are not the same run: their journals differ after "
            f"{_common_lines(local, stored.data)} records; go on with one of them from a folder of its own: move "
            f"{folder.root} away, or give its study another storage.uri"
        )
    if len(stored.data) > len(local):
        write_whole(folder.journal, stored.data)
    for start in _starts(remote).difference(stored.starts):
        # A driver left this segment that worked at the same time and stopped.
        remote.delete(segment_name(start))
    return stored


class JournalUploader:
    """Uploads what the driver appends to a journal to the segments in the storage.

    Args:
        path: The journal in the run folder.
        remote: The run in the storage.
        known: The journal that the storage has already, which the other one begins with.
    """

    def __init__(self, path: Path, *, remote: RemoteFolder, known: RemoteJournal) -> None:
        self._path = path
        self._remote = remote
        self._start = known.starts[-1] if known.starts else 0
        self._end = len(known.data)
        self._has_trial = False

    def has_trial(self) -> bool:
        """Returns whether the journal on this machine records a trial."""
        if not self._has_trial and self._path.is_file():
            self._has_trial = any(isinstance(record, TrialProposed) for record in read_journal(self._path))
        return self._has_trial

    def flush(self) -> None:
        """Uploads all whole records.

        Raises:
            RemoteError: If the storage refuses them; records that it took are not uploaded again.
        """
        while self._path.is_file() and self._path.stat().st_size > self._end:
            start = self._start if self._end - self._start < SEGMENT_BYTES else self._end
            with self._path.open("rb") as file:
                file.seek(start)
                data = file.read(SEGMENT_BYTES) + file.readline()
            data = data[: data.rfind(b"\n") + 1]
            if start + len(data) <= self._end:
                return
            self._remote.write(segment_name(start), data)
            self._start, self._end = start, start + len(data)

    def num_waiting(self) -> int:
        """Returns how many records the storage lacks."""
        if not self._path.is_file():
            return 0
        with self._path.open("rb") as file:
            file.seek(self._end)
            return file.read().count(b"\n")


def _starts(remote: RemoteFolder) -> set[int]:
    found = [_NAME.fullmatch(name) for name in remote.files(_FOLDER)]
    return {int(match[1]) for match in found if match}


def _common_lines(left: bytes, right: bytes) -> int:
    pairs = zip(left.split(b"\n"), right.split(b"\n"), strict=False)
    return next((number for number, (one, other) in enumerate(pairs) if one != other), 0)
