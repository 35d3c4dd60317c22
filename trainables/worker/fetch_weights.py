"""ImageNet weights that Keras downloads: fetched before any trial begins, in a process of their own."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainables.catalog.backbones import PretrainedBackbone
from trainables.data.errors import DataError
from trainables.data.images.images import Progress, no_progress
from trainables.machine.child_process import answer_caller, ask_child

#: Seconds without a single byte after which a download is given up: a network that swallows packets never says so.
TIMEOUT_SECONDS = 20.0


def fetch_in_process(backbones: Sequence[PretrainedBackbone], *, on_progress: Progress | None = None) -> None:
    """Fetches all weights that are not on this machine yet, into Keras's own cache.

    Raises: DataError: if some can neither be found nor fetched, with the ways out.
    """
    if not backbones:
        return
    ask_child(
        "trainables.worker.fetch_weights",
        {"backbones": [asdict(backbone) for backbone in backbones]},
        what="weights: the process that fetches pretrained weights",
        on_progress=on_progress or no_progress,
    )


@contextmanager
def explained_downloads(backbone: str) -> Iterator[None]:
    """Makes a download that Keras begins meanwhile end in bounded time, one at a time, and fail in words."""
    # Late: this module is also the driver's.
    import keras

    # The function's own module: the applications look it up there at each call.
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
    """Returns the folder that Keras keeps downloaded weights in: a temporary one where its own cannot be written."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
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


def main() -> int:
    """Answers one request of `fetch_in_process`."""
    return answer_caller(_fetch)


def _fetch(request: Any, progress: Progress) -> None:
    # Late, because it imports TensorFlow.
    from trainables.families.transfer import make_backbone

    backbones = [PretrainedBackbone(**item) for item in request["backbones"]]
    for number, backbone in enumerate(backbones):
        progress(f"fetching pretrained weights of {backbone.name}", number, len(backbones))
        make_backbone(backbone.name, size=(backbone.side, backbone.side), alpha=backbone.alpha, imagenet=True)


if __name__ == "__main__":
    sys.exit(main())
