"""Refuses what is no file of the run in a run folder: no link leads out of it, and no pipe keeps a reader waiting."""

import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import RunFolderError
from orchestrator.runs.paths import RunFolder
from orchestrator.text import printable


def refuse_foreign_files(folder: RunFolder) -> None:
    """Makes sure that all that a driver or a worker reads, writes or deletes is a file or a folder.

    Through a link, a driver could overwrite or delete files outside of the run folder; opening a pipe waits for a
    process that writes into it.

    Args:
        folder: The run folder.

    Raises:
        RunFolderError: If something is a link, a pipe, a socket or a device.
    """
    for path in (folder.journal, folder.study, folder.environment, folder.lock, folder.failures):
        if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
            raise _problem(path, is_link=path.is_symlink())
    for top in (folder.checkpoints, folder.exports, folder.predictions.parent):
        if top.is_symlink():
            raise _problem(top, is_link=True)
        for entry in _below(top):
            if not entry.is_file(follow_symlinks=False):
                raise _problem(Path(entry.path), is_link=entry.is_symlink())


def refuse_link(path: Path) -> None:
    """Makes sure that a file or a folder of a run is no link to another place.

    Args:
        path: It need not exist.

    Raises:
        RunFolderError: If it is a link.
    """
    if path.is_symlink():
        raise _problem(path, is_link=True)


def _problem(path: Path, *, is_link: bool) -> RunFolderError:
    # A name is bytes, which need not be text.
    name = printable(str(path))
    if is_link:
        return RunFolderError(
            f"{name}: is a link; a run writes and deletes in its own folder only: put what it leads to in its place, "
            "or keep runs elsewhere with --runs"
        )
    return RunFolderError(f"{name}: is neither a file nor a folder; remove it")


def _below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields everything below a folder but folders; follows no links."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return  # missing so far; any other problem is an error of the first one that writes into it
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
        else:
            yield entry
