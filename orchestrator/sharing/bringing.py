"""Has what a worker made in the run folder, whole and checked by its hashes, before anything names it."""

import os
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from orchestrator.cluster.processes import Ask
from orchestrator.sharing.handing import PIECE_BYTES, Made, Piece, let_go, read_piece
from trainables.errors import ModelExportError
from trainables.files.folders import put_in_place
from trainables.files.manifests import damage_of
from trainables.sharing.marks import look_anew

#: How long a network file system may take to show the driver what a worker has written.
ARRIVAL_SECONDS = 30.0
_POLL_SECONDS = 0.2


def brought(made: Made, ask: Ask) -> Generator[None, None, Any]:
    """Yields None until the run folder has what a worker made, and returns what the worker says of it.

    Args:
        made: What the worker answered.
        ask: Asks the worker's process for pieces of files.

    Raises:
        ModelExportError: The run folder does not have it, or not whole.
        LostProcessError: The worker's process is gone.
        OSError: The driver cannot write it.
    """
    if made.source:
        yield from _fetch(made, ask)
    else:
        yield from _wait_for(Path(made.target))
    return made.value


def _wait_for(target: Path) -> Generator[None, None, None]:
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while damage := damage_of(target):
        if time.monotonic() > deadline:
            raise ModelExportError(
                f"{target}: a worker has written it, and this driver does not find it whole ({damage}); check the file "
                "system of the run folder, and run `convfleet export` again"
            )
        look_anew(target)
        yield None
        time.sleep(_POLL_SECONDS)


def _fetch(made: Made, ask: Ask) -> Generator[None, None, None]:
    target = Path(made.target)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        for name in made.folders:
            (draft / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, size in made.files.items():
            yield from _fetch_file(f"{made.source}/{name}", draft / name, size=size, ask=ask)
        if damage := damage_of(draft):
            raise ModelExportError(
                f"{target}: did not come whole from node {made.node} ({damage}); run `convfleet export` again"
            )
        put_in_place(draft, target, is_durable=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    yield from ask(let_go, made.source)


def _fetch_file(source: str, path: Path, *, size: int, ask: Ask) -> Generator[None, None, None]:
    with path.open("xb") as file:
        for offset in range(0, size, PIECE_BYTES):
            piece = Piece(path=source, offset=offset, num_bytes=PIECE_BYTES)
            file.write((yield from ask(read_piece, piece)))
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o600)
