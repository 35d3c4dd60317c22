"""The settings of a worker on a node that does not share the run folder: it keeps checkpoints in a folder of its own.

That folder lies beside the node's prepared data and has the run's own name, so that no checkpoint of another run, which
may have trained the same variant on other images, is taken for one of this run. The storage has all of it as well.
"""

import os
import socket
from dataclasses import replace
from pathlib import Path

from trainables.checkpoints.fence import claim_on_node
from trainables.data.cache.storage_choice import cache_folder
from trainables.errors import DataError
from trainables.sharing.marks import sees_mark
from trainables.specs.worker import WorkerSpec

#: Below the folder of prepared data.
_FOLDER = ".runs"
#: How long a trial looks for the run folder without which it would lose its checkpoints.
_LOOK_SECONDS = 3.0


def shares_run_folder(worker: WorkerSpec, *, wait_seconds: float = 0.0) -> bool:
    """Returns whether this node finds the driver's run folder and may write into it.

    Args:
        worker: What the driver sends.
        wait_seconds: For how long the node looks.
    """
    if not worker.mark:
        return True
    return sees_mark(worker.mark, wait_seconds=wait_seconds) and os.access(Path(worker.mark).parent, os.W_OK)


def worker_on_this_node(worker: WorkerSpec) -> WorkerSpec:
    """Returns the settings of a worker on this node: the driver's, or with folders of this node's own.

    Args:
        worker: What the driver sends.
    """
    if worker.remote is None or shares_run_folder(worker):
        return worker
    own = cache_folder(worker.data) / _FOLDER / worker.run_id
    checkpoints = own / "checkpoints"
    claim_on_node(checkpoints, session=worker.session)
    picture = None if worker.picture is None else str(own / Path(worker.picture).name)
    return replace(worker, checkpoints=str(checkpoints), picture=picture, mark="")


def own_picture(worker: WorkerSpec) -> bytes:
    """Returns the picture of augmentation that a worker has written on this node; nothing where there is none.

    Args:
        worker: As `worker_on_this_node` returns it.
    """
    try:
        return b"" if worker.picture is None else Path(worker.picture).read_bytes()
    except OSError:
        return b""


def demand_run_folder(worker: WorkerSpec) -> None:
    """Makes sure that what this worker writes is not lost with its node.

    Args:
        worker: As `worker_on_this_node` returns it.

    Raises:
        DataError: The study has no storage, and this node does not share the run folder.
    """
    if worker.remote is None and not shares_run_folder(worker, wait_seconds=_LOOK_SECONDS):
        raise DataError(
            f"files: node {socket.gethostname()} does not share the run folder {Path(worker.checkpoints).parent}, so "
            "what it trains would be lost with it; mount the file system there, or give the study a storage "
            "(storage.uri)"
        )
