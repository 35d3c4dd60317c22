"""Writes a trial's checkpoints beside its training: the arrays during validation; deletes old ones afterwards."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

from trainables.checkpoints.checkpoint import (
    Checkpoint,
    Draft,
    begin_draft,
    checkpoint_folder,
    finish_draft,
    prune_checkpoints,
)
from trainables.files.folders import delete_draft

#: Seconds of work that a power loss may cost a running trial. Flushing a checkpoint took 20 to 30 ms when measured, as
#: long as an epoch of a tiny network; a killed process loses nothing without it.
SYNC_SECONDS = 5.0
#: Smaller states are written in less time than another thread takes to begin.
BESIDE_BYTES = 1_000_000


class CheckpointWriter:
    """Writes the checkpoints of one trial, one after another.

    Args:
        trial_folder: The folder of the trial's checkpoints.
        through: The own folder of the worker that has the trial, through which all goes; None: nobody else trains it.
    """

    def __init__(self, trial_folder: Path, *, through: Path | None = None) -> None:
        self._folder, self._through = trial_folder, through
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._state: Mapping[str, np.ndarray] = {}
        self._draft: Future[Draft] | None = None
        self._pruning: Future[None] | None = None
        self._synced_at = -SYNC_SECONDS
        self._num_bytes = 0

    @property
    def pays_to_begin(self) -> bool:
        """Whether the last checkpoint was so large that it saves time to `begin` the next one before validation."""
        return self._num_bytes >= BESIDE_BYTES

    def begin(self, state: Mapping[str, np.ndarray], *, epoch: int) -> None:
        """Starts to write the arrays of an epoch before it is validated; they must not change meanwhile."""
        self.abandon()
        self._state = state
        folder, is_durable = checkpoint_folder(self._folder, epoch=epoch), self._is_sync_due()
        self._draft = self._pool.submit(begin_draft, folder, state, is_durable=is_durable, through=self._through)

    def finish(self, checkpoint: Checkpoint, *, keep: Iterable[int], is_last: bool) -> None:
        """Returns when the checkpoint is on disk, and starts to delete all but those of the epochs to keep.

        Args:
            is_last: Whether the trial ends with it; then the deletions are done as well on return.

        Raises:
            OSError: The disk is full, or the like; another worker has the trial now.
        """
        folder = checkpoint_folder(self._folder, epoch=checkpoint.epoch)
        is_durable = is_last or self._is_sync_due()
        draft = self._take_draft()
        if draft is not None and not same_arrays(self._state, checkpoint.state):
            # Validation changed a variable, such as the seed of a user's layer that draws in predictions as well.
            delete_draft(draft.folder)
            draft = None
        if draft is None:
            draft = begin_draft(folder, checkpoint.state, is_durable=is_durable, through=self._through)
        self._state = {}
        self._num_bytes = draft.state["size_bytes"]
        finish_draft(folder, checkpoint, draft=draft, is_durable=is_durable, through=self._through)
        if is_durable:
            self._synced_at = time.monotonic()
        self._pruning = self._pool.submit(prune_checkpoints, self._folder, keep=set(keep), through=self._through)
        if is_last:
            self.close()

    def abandon(self) -> None:
        """Deletes the checkpoint that was begun and not finished."""
        with suppress(OSError, ValueError):
            draft = self._take_draft()
            if draft is not None:
                delete_draft(draft.folder)
        self._state = {}

    def close(self) -> None:
        """Deletes a checkpoint that is not finished, and waits for the deletions."""
        self.abandon()
        if self._pruning is not None:
            self._pruning.result()
            self._pruning = None

    def _take_draft(self) -> Draft | None:
        future, self._draft = self._draft, None
        return None if future is None else future.result()

    def _is_sync_due(self) -> bool:
        return time.monotonic() - self._synced_at >= SYNC_SECONDS


def same_arrays(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> bool:
    """Returns whether both hold the same bits.

    >>> same_arrays({"a": np.zeros(2)}, {"a": np.zeros(2)}), same_arrays({"a": np.zeros(2)}, {"a": -np.zeros(2)})
    (True, False)
    """
    return left.keys() == right.keys() and all(_is_same(array, right[name]) for name, array in left.items())


def _is_same(left: np.ndarray, right: np.ndarray) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    # TensorFlow never writes into memory that an array still holds: the same address means the same bits.
    if left.__array_interface__["data"][0] == right.__array_interface__["data"][0]:
        return True
    return np.array_equal(_bits(left), _bits(right))


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
