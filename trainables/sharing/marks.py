"""Marks in a run folder: a node that finds the driver's mark sees the driver's folder, not one of its own by that path.

Each session has a mark of its own, so that no copy of a folder, and no folder of another session, passes for it.
"""

import os
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trainables.files.whole import write_whole

_FOLDER = ".nodes"
_POLL_SECONDS = 0.1


def write_mark(folder: Path) -> str:
    """Writes a new mark into a folder, in place of an earlier session's, and returns the mark's path.

    Args:
        folder: The folder, which need not exist yet.
    """
    marks = folder.absolute() / _FOLDER
    shutil.rmtree(marks, ignore_errors=True)
    path = marks / uuid.uuid4().hex
    write_whole(path, "")
    return str(path)


def remove_mark(mark: str) -> None:
    """Removes a mark and the answers to it.

    Args:
        mark: As `write_mark` returns it.
    """
    for path in Path(mark).parent.glob(f"{Path(mark).name}*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        Path(mark).parent.rmdir()


def sees_mark(mark: str, *, wait_seconds: float = 0.0) -> bool:
    """Returns whether this node finds a mark; where it does not, it looks again for a while.

    Args:
        mark: As `write_mark` returns it.
        wait_seconds: For how long: a network file system may show what it remembers of a folder.
    """
    return _until(lambda: Path(mark).is_file(), path=Path(mark), seconds=wait_seconds)


def answer_mark(mark: str, *, name: str) -> str:
    """Writes an answer beside a mark; returns why that is refused, or an empty text.

    Args:
        mark: The mark, which this node sees.
        name: Of the node, in letters that a file's name may have.
    """
    try:
        write_whole(Path(f"{mark}.{name}"), "")
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    return ""


def has_answer(mark: str, *, name: str, wait_seconds: float = 0.0) -> bool:
    """Returns whether a node's answer to a mark is seen, as `sees_mark` does."""
    answer = Path(f"{mark}.{name}")
    return _until(answer.is_file, path=answer, seconds=wait_seconds)


def look_anew(path: Path) -> None:
    """Lists the folders above a path, which makes a network file system ask its server for them.

    Args:
        path: It need not be there.
    """
    for folder in reversed(path.parents):
        with suppress(OSError), os.scandir(folder):
            pass


def _until(is_there: Callable[[], bool], *, path: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() >= deadline:
            return False
        look_anew(path)
        time.sleep(_POLL_SECONDS)
    return True
