"""A run folder's files are its own: no link leads elsewhere, where something could be overwritten or deleted."""

import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import RunFolderError
from orchestrator.paths import RunFolder


def demand_own_files(folder: RunFolder) -> None:
    """Raises RunFolderError if anything that a driver or a worker writes into or deletes is a link."""
    for path in _written(folder):
        if path.is_symlink():
            raise RunFolderError(
                f"{path}: is a link; a run writes and deletes in its own folder only: put what it leads to in its "
                "place, or keep runs elsewhere with --runs"
            )


def _written(folder: RunFolder) -> Iterator[Path]:
    yield from (folder.journal, folder.lock, folder.checkpoints, folder.exports, folder.failures)
    for parent in (folder.checkpoints, folder.exports):
        try:
            with os.scandir(parent) as entries:
                yield from (Path(entry.path) for entry in entries)
        except OSError:
            continue  # not there yet; what else is wrong with it is told by whoever writes there
