"""What a worker makes for the run folder: in its place, or on the worker's node where that does not find the folder."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainables.data.cache.storage_choice import cache_folder
from trainables.files.folders import delete_draft, new_draft, remove_abandoned
from trainables.sharing.own_folder import shares_run_folder, worker_on_this_node
from trainables.specs.worker import PRIVATE, WorkerSpec

#: A small part of an object store of a hundred megabytes, through which pieces go.
PIECE_BYTES = 8 * 2**20
#: Below the folder of prepared data.
_SCRATCH = ".for-drivers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A folder that a worker has made for the run folder.

    Attributes:
        value: What the worker says of it.
        target: Its place, as the driver names it.
        source: Where it lies on the worker's node until the driver has it; empty: in its place.
        node: The worker's.
        folders: Folders below `source`, as relative paths.
        files: Sizes of files below `source`, by relative path.
    """

    value: Any
    target: str
    source: str = ""
    node: str = ""
    folders: Sequence[str] = ()
    files: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a file on a worker's node.

    Attributes:
        path: The file.
        offset: Where the part begins.
        num_bytes: How long it is.
    """

    path: str
    offset: int
    num_bytes: int


def made_for(target: str, *, worker: WorkerSpec, make: Callable[[str, WorkerSpec], Any]) -> Made:
    """Has a folder made, in its place or on this node, and returns what the driver needs to have it.

    Args:
        target: The folder's place in the run folder.
        worker: What the driver sends.
        make: Makes the folder at the path that it gets, whole or not at all, with the settings of a worker on this
            node, and returns what there is to say of it.
    """
    if shares_run_folder(worker):
        return Made(value=make(target, worker), target=target)
    os.umask(PRIVATE)
    scratch = cache_folder(worker.data) / _SCRATCH
    remove_abandoned(scratch)
    draft = new_draft(scratch / Path(target).name)
    source = draft / Path(target).name
    try:
        value = make(str(source), worker_on_this_node(worker))
        found = sorted(source.rglob("*"))
        return Made(
            value=value,
            target=target,
            source=str(source),
            node=socket.gethostname(),
            folders=[path.relative_to(source).as_posix() for path in found if path.is_dir()],
            files={path.relative_to(source).as_posix(): path.stat().st_size for path in found if path.is_file()},
        )
    except BaseException:
        delete_draft(draft)
        raise


def read_piece(piece: Piece) -> bytes:
    """Returns a part of a file on this node.

    Args:
        piece: The part.
    """
    with Path(piece.path).open("rb") as file:
        file.seek(piece.offset)
        return file.read(piece.num_bytes)


def let_go(source: str) -> None:
    """Removes what this node made for the driver.

    Args:
        source: As in `Made`.
    """
    delete_draft(Path(source).parent)
