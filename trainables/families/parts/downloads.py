"""Names the folder of weights that Keras downloads, and explains failed downloads."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainables.errors import DataError
from trainables.files.keras_home import keras_home

#: A download fails after this many seconds without a byte: a network that drops packets reports no error.
TIMEOUT_SECONDS = 20.0


@contextmanager
def explained_downloads(backbone: str) -> Iterator[None]:
    """Bounds the time of Keras's downloads in this context, runs one at a time, and explains their errors."""
    # Late: the driver imports this module too.
    import keras

    # The module that defines the function: the applications look it up in this module at each call.
    owner: Any = sys.modules[keras.utils.get_file.__module__]
    original, timeout = owner.get_file, socket.getdefaulttimeout()

    def get_file(fname: str, origin: str, **kwargs: Any) -> Any:
        target = keras_models() / fname
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Another trial on this machine must not find half a file.
            with FileLock(target.with_name(f".{fname}.lock")):
                return original(fname, origin, **kwargs)
        except Exception as exc:
            # Keras raises plain Exceptions here.
            raise DataError(_in_words(exc, backbone=backbone, origin=origin, target=target)) from exc

    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    owner.get_file = get_file
    try:
        yield
    finally:
        owner.get_file = original
        socket.setdefaulttimeout(timeout)


def keras_models() -> Path:
    """Returns Keras's folder of downloaded weights: a temporary one where its own cannot be written."""
    home = keras_home()
    # The rule of Keras's get_file.
    return (home if os.access(home, os.W_OK) else Path(tempfile.gettempdir()) / ".keras") / "models"


def _in_words(error: Exception, *, backbone: str, origin: str, target: Path) -> str:
    lines = str(error).strip().splitlines()
    reason = (lines[0] if lines else type(error).__name__).removeprefix(f"URL fetch failure on {origin}: ")
    return (
        f"weights: 'imagenet' for backbone {backbone} needs the file {target.name}, which is not on this machine and "
        f"cannot be fetched from {origin} ({reason.removeprefix('None -- ')}); fetch it elsewhere and place it at "
        f"{target}, or give a file of the backbone's weights (weights: path/to/file.weights.h5), or use weights: none"
    )
