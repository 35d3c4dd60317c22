"""Weights alone: the part of a checkpoint that an export needs, kept of trials that will not go on.

A folder `weights-0007/` has the files of a checkpoint, with the weights that were validated as its only arrays.
"""

from dataclasses import replace
from pathlib import Path

from trainables.checkpoints.checkpoint import Checkpoint, begin_draft, checkpoint_folder, finish_draft, load_checkpoint
from trainables.checkpoints.state_names import validated_weights
from trainables.errors import CheckpointError
from trainables.files.folders import discard, names_in_place

_PREFIX = "weights-"


def weights_folder(trial_folder: Path, *, epoch: int) -> Path:
    """Returns where the weights of an epoch lie.

    >>> weights_folder(Path("t0007"), epoch=3).as_posix()
    't0007/weights-0003'
    """
    return trial_folder / f"{_PREFIX}{epoch:04d}"


def reduced_epochs(trial_folder: Path) -> list[int]:
    """Returns the epochs of which the weights are kept alone, or are about to be, ascending."""
    names = [name.removeprefix(_PREFIX) for name in names_in_place(trial_folder) if name.startswith(_PREFIX)]
    return sorted({int(name) for name in names if name.isdecimal()})


def reduce_to_weights(trial_folder: Path, *, epoch: int, variant_id: str) -> Path:
    """Replaces a checkpoint by its weights and returns their folder; a kill leaves one of the two, or both.

    Raises:
        CheckpointError: The checkpoint is damaged; it stays as it is.
    """
    full, folder = checkpoint_folder(trial_folder, epoch=epoch), weights_folder(trial_folder, epoch=epoch)
    checkpoint = load_checkpoint(full, variant_id=variant_id)
    weights = replace(checkpoint, state=validated_weights(checkpoint.state), num_micro_batches=1)
    draft = begin_draft(folder, weights.state, is_durable=True)
    finish_draft(folder, weights, draft=draft, is_durable=True)
    discard(full)
    return folder


def load_validated(trial_folder: Path, *, epoch: int, variant_id: str) -> Checkpoint:
    """Returns an epoch's checkpoint, or its weights alone if only they are left.

    Raises:
        CheckpointError: Neither is whole.
    """
    try:
        return load_checkpoint(checkpoint_folder(trial_folder, epoch=epoch), variant_id=variant_id)
    except CheckpointError:
        # Read second: `reduce_to_weights` deletes a checkpoint only after it has written the weights.
        folder = weights_folder(trial_folder, epoch=epoch)
        if not folder.is_dir():
            raise
        return load_checkpoint(folder, variant_id=variant_id)


def discard_weights(trial_folder: Path, *, epoch: int) -> None:
    """Deletes the weights of an epoch."""
    discard(weights_folder(trial_folder, epoch=epoch))
