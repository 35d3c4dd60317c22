"""Finds the data section that reads a file or a folder, columns and all."""

from __future__ import annotations

from pathlib import Path

from trainables.data.guess.files import guess_file
from trainables.data.guess.folders import guess_folder
from trainables.data.guess.guess import DataGuess
from trainables.data.guess.tables import with_columns
from trainables.errors import DataError


def guess_place(path: Path, *, label: str | None = None) -> DataGuess:
    """Returns the data section that reads a file or a folder.

    Args:
        path: Of the user's.
        label: The column of the labels; None: the one that fits.

    Raises:
        DataError: If nothing fits, or several things do.
    """
    try:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; relative paths start at the current folder")
        guess = guess_folder(path) if path.is_dir() else guess_file(path)
    except OSError as exc:
        raise DataError(f"{path}: cannot be looked into ({exc.strerror}); check its permissions") from exc
    return with_columns(guess, label=label)
