"""A run folder's files are its own: no link leads elsewhere, and no pipe keeps a reader waiting."""

import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import RunFolderError
from orchestrator.runs.paths import RunFolder
from orchestrator.text import printable


def refuse_foreign_files(folder: RunFolder) -> None:
    """Raises RunFolderError if anything that a driver or a worker reads, writes or deletes is no file or folder.

    Through a link something elsewhere could be overwritten or deleted; opening a pipe waits for whoever writes into it.
    """
    for path in (folder.journal, folder.study, folder.environment, folder.lock, folder.failures):
        if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
            raise _problem(path, is_link=path.is_symlink())
    for top in (folder.checkpoints, folder.exports):
        if top.is_symlink():
            raise _problem(top, is_link=True)
        for entry in _below(top):
            if not entry.is_file(follow_symlinks=False):
                raise _problem(Path(entry.path), is_link=entry.is_symlink())


def _problem(path: Path, *, is_link: bool) -> RunFolderError:
    # A name may be anything, also no text at all.
    name = printable(str(path))
    if is_link:
        return RunFolderError(
            f"{name}: is a link; a run writes and deletes in its own folder only: put what it leads to in its place, "
            "or keep runs elsewhere with --runs"
        )
    return RunFolderError(f"{name}: is neither a file nor a folder; remove it")


def _below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields everything below a folder but folders, without following links."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return  # not there yet; what else is wrong with it is told by whoever writes there
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
        else:
            yield entry
