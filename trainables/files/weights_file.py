"""Files of weights that a study names: their paths and hashes; no TensorFlow."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from trainables.errors import DataError

#: Of Keras's `save_weights` (.weights.h5) and of its own downloads (_notop.h5).
SUFFIX = ".h5"


def weights_path(name: str, *, folder: str) -> Path:
    """Returns the path of a file of weights: `~` is expanded, a relative name starts at the study file's folder."""
    return Path(folder) / Path(name).expanduser()


def weights_sha256(path: Path) -> str:
    """Returns the hash of a file's content.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_weights_file(name: str, *, folder: str, known: Sequence[str] = ()) -> Path:
    """Returns the path of a file of weights after checking that it is the one the study was loaded with.

    Args:
        known: The hashes that it may have; empty: any.

    Raises:
        DataError: The file cannot be read, or has changed.
    """
    path = weights_path(name, folder=folder)
    try:
        found = weights_sha256(path)
    except OSError as exc:
        raise DataError(
            f"weights: cannot read {path} ({exc.strerror}); put the file there, on every node, or name another one"
        ) from exc
    if known and found not in known:
        raise DataError(
            f"weights: {path} was changed since the study was loaded (sha256 {found}, expected "
            f"{' or '.join(known)}); restore the file, or run the study anew"
        )
    return path
