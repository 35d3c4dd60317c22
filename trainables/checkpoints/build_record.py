"""The record of the files that a run's models were built from, beside its checkpoints: other content, another model.

Each file has an entry of its own, which the first worker that used it writes: workers may build at the same time.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from trainables.errors import DataError

_FOLDER = ".built-from"


def check_build_files(checkpoints: Path, files: Mapping[str, str], *, where: str) -> None:
    """Raises DataError if a file is not what the run's models were built from so far, and records the others.

    Args:
        checkpoints: The folder of a run's checkpoints.
        files: A hash of the content by path.
        where: The user's function, for the error.
    """
    folder = checkpoints / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    changed = [name for name, found in files.items() if _recorded(folder, name, found) not in (None, found)]
    if changed:
        raise DataError(
            f"{where}: {', '.join(changed)}, which it imports or opens, changed while the study runs, and results of "
            "different code or data cannot be compared; restore it, or run the study anew in a new folder"
        )


def copy_build_record(checkpoints: Path, to: Path) -> None:
    """Copies the record, so that what is trained beside a run is built from the run's files.

    Args:
        checkpoints: The folder of a run's checkpoints.
        to: A folder without a record.
    """
    if (checkpoints / _FOLDER).is_dir():
        shutil.copytree(checkpoints / _FOLDER, to / _FOLDER)


def _recorded(folder: Path, name: str, found: str) -> str | None:
    """Returns the hash that was recorded for a file; None if this call records it, or the record is damaged."""
    path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump({"path": name, "sha256": found}, file)
    except FileExistsError:
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["sha256"])
        except (ValueError, KeyError, TypeError):
            # Torn by a kill: it says nothing.
            return None
    return None
