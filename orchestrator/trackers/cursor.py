"""How far a tracker got: `trackers/NAME.json` in the run folder, written whole."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from filelock import FileLock, Timeout

from orchestrator.errors import RunFolderError
from orchestrator.journal.file import Place
from orchestrator.runs.foreign_files import refuse_link
from orchestrator.runs.paths import RunFolder
from trainables.files.whole import write_whole

CURSOR_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """What a tracker has of a journal.

    Attributes:
        after: Behind the last record whose events have arrived.
        doubted_bytes: Up to where in the journal the tracker may have events that no cursor speaks of.
        place: Where they went, as the tracker names it.
        ids: The tracker's own ids, by the trial's name; the study's by an empty one.
    """

    after: Place = field(default_factory=Place)
    doubted_bytes: int = 0
    place: str = ""
    ids: dict[str, str] = field(default_factory=dict)


@contextmanager
def one_sender(folder: RunFolder, *, tracker: str) -> Iterator[None]:
    """Keeps other processes from sending a run to a tracker.

    Args:
        folder: The run folder.
        tracker: Its name.

    Raises:
        RunFolderError: If another process does, or the lock cannot be made.
    """
    refuse_link(folder.trackers)
    try:
        folder.trackers.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(folder.trackers / f".{tracker}.lock", timeout=0, mode=0o600)
        lock.acquire()
    except Timeout as exc:
        raise RunFolderError(
            f"{folder.root}: another `convfleet track` sends it to {tracker} already; let it, or end it first"
        ) from exc
    except OSError as exc:
        raise RunFolderError(f"{folder.trackers}: cannot be written ({exc.strerror}); mend its permissions") from exc
    try:
        yield
    finally:
        lock.release()


def read_cursor(folder: RunFolder, *, tracker: str) -> Cursor:
    """Returns how far a tracker got; the beginning of the journal where nothing is known.

    Args:
        folder: The run folder.
        tracker: Its name.

    Raises:
        RunFolderError: If the file is not one of this version's.
    """
    path = folder.tracker(tracker)
    if not path.is_file():
        return Cursor()
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != CURSOR_SCHEMA:
            raise ValueError(f"schema {content['schema']!r}, expected {CURSOR_SCHEMA}")
        after = Place(number=int(content["records"]), offset=int(content["bytes"]), checksum=int(content["crc"], 16))
        return Cursor(
            after=after,
            doubted_bytes=int(content["doubted_bytes"]),
            place=str(content["place"]),
            ids=dict(content["ids"]),
        )
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise RunFolderError(
            f"{path}: cannot be read ({exc}); remove it: the next `convfleet track` asks {tracker} for what it has"
        ) from exc


def write_cursor(folder: RunFolder, cursor: Cursor, *, tracker: str) -> None:
    """Writes how far a tracker got.

    Args:
        folder: The run folder.
        cursor: What the tracker has.
        tracker: Its name.

    Raises:
        RunFolderError: If it cannot be written.
    """
    content = {
        "schema": CURSOR_SCHEMA,
        "records": cursor.after.number,
        "bytes": cursor.after.offset,
        "crc": f"{cursor.after.checksum:08x}",
        "doubted_bytes": cursor.doubted_bytes,
        "place": cursor.place,
        "ids": cursor.ids,
    }
    path = folder.tracker(tracker)
    try:
        write_whole(path, json.dumps(content, indent=1))
    except OSError as exc:
        raise RunFolderError(f"{path}: cannot be written ({exc.strerror}); make room, or mend its permissions") from exc
