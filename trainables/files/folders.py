"""Folders that appear whole: made under a hidden name, renamed into place, and replaced without a gap.

With `is_durable`, files that a power loss would leave empty are flushed to the disk; a killed process loses nothing
that it has written, flushed or not.
"""

import itertools
import os
import re
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

#: A draft of another machine counts as abandoned after so long: this machine cannot see whether its process lives.
STRANGER_SECONDS = 600.0
_ATTEMPTS = 3
_DRAFT = re.compile(r"\..+@(?P<host>.+)\.(?P<pid>\d+)\.\d+\.tmp")
_REPLACED = ".replaced"
_numbers = itertools.count()
#: Names that this process has given: a restarted container may have the same process number.
_own: set[str] = set()


def new_draft(target: Path) -> Path:
    """Makes an empty folder beside a target, with a name that no other process or thread takes."""
    draft = _hidden(target)
    draft.mkdir(parents=True)
    return draft


def write_new(path: Path, content: bytes, *, is_durable: bool) -> None:
    """Writes a new file."""
    with path.open("xb") as file:
        file.write(content)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())


def put_in_place(draft: Path, target: Path, *, is_durable: bool) -> None:
    """Renames a finished draft to its target; an old folder stays readable until then and is deleted afterwards."""
    aside = _aside(target)
    for _ in range(_ATTEMPTS):
        try:
            draft.rename(target)
            break
        except OSError:
            if not os.path.lexists(target):
                raise
        # The target exists already. A kill between the two renames leaves the old folder where `existing` finds it. A
        # worker that was taken for dead may do the same at this moment; hence several attempts.
        with suppress(OSError):
            _delete(aside)
            target.rename(aside)
    else:
        draft.rename(target)
    if is_durable:
        sync(target.parent)
    if os.path.lexists(aside):
        _delete(aside)
    _own.discard(draft.name)


def existing(target: Path) -> Path:
    """Returns where a target's content is: at the target, or at a hidden name while it is being replaced."""
    aside = _aside(target)
    return aside if not target.is_dir() and aside.is_dir() else target


def names_in_place(folder: Path) -> list[str]:
    """Returns the names of the folders that were put in place; none where the folder itself is missing."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    plain = [name for name in names if not name.startswith(".")]
    asides = [name for name in names if name.startswith(".") and name.endswith(_REPLACED)]
    return plain + [name.removeprefix(".").removesuffix(_REPLACED) for name in asides]


def delete_draft(draft: Path) -> None:
    """Deletes a draft that its process will not finish."""
    _delete(draft)
    _own.discard(draft.name)


def discard(target: Path) -> None:
    """Deletes a folder that was put in place; a kill leaves it whole, or a draft for `remove_abandoned`."""
    for place in (_aside(target), target):
        # Renamed first, so that no reader sees it with half of its files.
        hidden = _hidden(target)
        with suppress(OSError):
            place.rename(hidden)
        delete_draft(hidden)


def remove_abandoned(folder: Path) -> None:
    """Deletes the drafts in a folder that no living process is writing."""
    try:
        with os.scandir(folder) as entries:
            drafts = [Path(entry.path) for entry in entries if entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return
    for draft in drafts:
        if draft.name.endswith(".tmp") and _is_abandoned(draft):
            _delete(draft)


def sync(path: Path) -> None:
    """Flushes a file's content, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hidden(target: Path) -> Path:
    name = f".{target.name}@{socket.gethostname()}.{os.getpid()}.{next(_numbers)}.tmp"
    _own.add(name)
    return target.with_name(name)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_REPLACED}")


def _is_abandoned(draft: Path) -> bool:
    name = _DRAFT.fullmatch(draft.name)
    if name is None:
        return True
    if name["host"] != socket.gethostname():
        with suppress(OSError):
            return time.time() - draft.stat().st_mtime > STRANGER_SECONDS
        return False
    pid = int(name["pid"])
    return draft.name not in _own if pid == os.getpid() else not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
