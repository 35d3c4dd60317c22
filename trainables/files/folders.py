"""Folders that appear whole: made under a hidden name, renamed into place, and replaced without a gap.

A process may give all that it puts in place or deletes a way `through` a folder of its own: each such rename then needs
that folder to be there, which another process can end by `take_away`.

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
#: How often a folder is deleted anew into which a rename has just got.
_DELETIONS = 3
#: What the names of processes' own folders begin with.
OWN = ".owner-"
_numbers = itertools.count()
#: Names that this process has given: a restarted container may have the same process number.
_own: set[str] = set()


def new_draft(target: Path, *, through: Path | None = None) -> Path:
    """Makes an empty folder beside a target, with a name that no other process or thread takes.

    Args:
        target: What it will be renamed to.
        through: The folder to make it in instead, which must exist.
    """
    draft = _hidden(target, through)
    # An own folder that was taken away must not come back.
    draft.mkdir(parents=through is None)
    return draft


def write_new(path: Path, content: bytes, *, is_durable: bool) -> None:
    """Writes a new file."""
    with path.open("xb") as file:
        file.write(content)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())


def put_in_place(draft: Path, target: Path, *, is_durable: bool, through: Path | None = None) -> None:
    """Renames a finished draft to its target; an old folder stays readable until then and is deleted afterwards.

    Args:
        draft: The draft.
        target: Its place.
        is_durable: Whether the name outlives a power loss.
        through: The process's own folder; an old folder is then deleted just before.

    Raises:
        FileNotFoundError: The own folder was taken away: nothing was changed.
    """
    if through is not None:
        _put_through(draft, target, through=through)
        if is_durable:
            sync(target.parent)
        return
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


def discard(target: Path, *, through: Path | None = None) -> None:
    """Deletes a folder that was put in place; a kill leaves it whole, or a draft for `remove_abandoned`.

    Args:
        target: The folder.
        through: The process's own folder.

    Raises:
        FileNotFoundError: The own folder was taken away: nothing was changed.
    """
    for place in (_aside(target), target):
        # Renamed first, so that no reader sees it with half of its files.
        hidden = _hidden(target, through)
        with suppress(OSError):
            place.rename(hidden)
        delete_draft(hidden)
    if through is not None and not through.is_dir():
        raise FileNotFoundError(f"{through}: was taken away")


def take_away(folder: Path) -> None:
    """Deletes the own folder of another process, which from then on puts nothing in place and deletes nothing."""
    gone = _hidden(folder)
    try:
        folder.rename(gone)
    except FileNotFoundError:
        return  # A third process has done it.
    for _ in range(_DELETIONS):
        # On NFS a rename that was on its way may still get into the folder.
        delete_draft(gone)
        if not gone.exists():
            return


def remove_abandoned(folder: Path) -> None:
    """Deletes the drafts in a folder that no living process is writing."""
    try:
        with os.scandir(folder) as entries:
            drafts = [Path(entry.path) for entry in entries if entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return
    for draft in drafts:
        if draft.name.startswith(OWN) and not draft.name.endswith(".tmp"):
            remove_abandoned(draft)
        if draft.name.endswith(".tmp") and _is_abandoned(draft):
            _delete(draft)


def sync(path: Path) -> None:
    """Flushes a file's content, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_through(draft: Path, target: Path, *, through: Path) -> None:
    if draft.parent != through:
        draft = draft.rename(_hidden(target, through))
    try:
        draft.rename(target)
    except OSError:
        if not os.path.lexists(target):
            raise
        discard(target, through=through)
        draft.rename(target)
    _own.discard(draft.name)


def _hidden(target: Path, folder: Path | None = None) -> Path:
    name = f".{target.name.removeprefix('.')}@{socket.gethostname()}.{os.getpid()}.{next(_numbers)}.tmp"
    _own.add(name)
    return (folder or target.parent) / name


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


def user_cache() -> Path:
    """Returns the folder of what can be made again: the environment's CONVFLEET_CACHE, else in the user's cache."""
    if chosen := os.environ.get("CONVFLEET_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "convfleet"
