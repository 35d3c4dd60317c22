"""Checkpoints: all that a trial needs to go on exactly where it was.

A checkpoint is a folder `epoch-0003/` with `state.npz` (arrays only, never unpickled), `history.json` (the reports up
to there) and `manifest.json` (sizes and sha256 of both). It is written under a temporary name and renamed when whole.
"""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.errors import CheckpointError
from trainables.reports import EpochReport

SCHEMA_VERSION = 1
_MANIFEST = "manifest.json"
_STATE = "state.npz"
_HISTORY = "history.json"
#: The name of an array of state.npz that is none of the training's.
_MICRO_BATCHES = "num_micro_batches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A trial's state after an epoch.

    Args:
        variant_id: Of which variant.
        state: Arrays by name, as `Training.state` gives them.
        history: The reports of all epochs up to this one.
        num_micro_batches: Pieces that each batch is trained in.
    """

    variant_id: str
    state: Mapping[str, np.ndarray]
    history: Sequence[EpochReport]
    num_micro_batches: int = 1

    @property
    def epoch(self) -> int:
        """The last finished epoch."""
        return len(self.history)


def checkpoint_folder(trial_folder: Path, *, epoch: int) -> Path:
    """Returns where the checkpoint of an epoch lies.

    >>> checkpoint_folder(Path("t0007"), epoch=3).as_posix()
    't0007/epoch-0003'
    """
    return trial_folder / f"epoch-{epoch:04d}"


def save_checkpoint(trial_folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint, whole or not at all, and returns its folder."""
    folder = checkpoint_folder(trial_folder, epoch=checkpoint.epoch)
    draft = trial_folder / f".{folder.name}.tmp"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    # Among the arrays, so that it is verified as they are.
    cut = {_MICRO_BATCHES: np.asarray(checkpoint.num_micro_batches)} if checkpoint.num_micro_batches > 1 else {}
    np.savez(draft / _STATE, allow_pickle=False, **dict(checkpoint.state), **cut)
    history = [report.to_json() for report in checkpoint.history]
    (draft / _HISTORY).write_text(json.dumps(history), encoding="utf-8")
    manifest = {
        "schema": SCHEMA_VERSION,
        "variant_id": checkpoint.variant_id,
        "epoch": checkpoint.epoch,
        "files": {name: _fingerprint(draft / name) for name in (_STATE, _HISTORY)},
    }
    (draft / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return folder


def load_checkpoint(folder: Path, *, variant_id: str) -> Checkpoint:
    """Returns a checkpoint after verifying every byte of it.

    Raises: CheckpointError: if it is missing, damaged, or of another variant.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["schema"] != SCHEMA_VERSION:
            raise CheckpointError(f"{folder}: schema {manifest['schema']!r} is not known, expected {SCHEMA_VERSION}")
        if manifest["variant_id"] != variant_id:
            raise CheckpointError(f"{folder}: belongs to variant {manifest['variant_id']}, expected {variant_id}")
        for name in (_STATE, _HISTORY):
            if manifest["files"][name] != _fingerprint(folder / name):
                raise CheckpointError(f"{folder / name}: size or sha256 differ from the manifest")
        history = [EpochReport.from_json(item) for item in json.loads((folder / _HISTORY).read_text(encoding="utf-8"))]
        if manifest["epoch"] != len(history):
            raise CheckpointError(f"{folder}: says epoch {manifest['epoch']!r}, but its history has {len(history)}")
        with np.load(folder / _STATE, allow_pickle=False) as arrays:
            state = {name: arrays[name] for name in arrays.files}
        num_micro_batches = int(state.pop(_MICRO_BATCHES, 1))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as exc:
        raise CheckpointError(f"{folder}: not readable as a checkpoint ({type(exc).__name__}: {exc})") from exc
    return Checkpoint(variant_id=variant_id, state=state, history=history, num_micro_batches=num_micro_batches)


def newest_checkpoint(trial_folder: Path, *, variant_id: str) -> Checkpoint | None:
    """Returns the newest valid checkpoint of a trial, passing over damaged ones; None if there is none."""
    for epoch in reversed(saved_epochs(trial_folder)):
        try:
            return load_checkpoint(checkpoint_folder(trial_folder, epoch=epoch), variant_id=variant_id)
        except CheckpointError:
            continue
    return None


def saved_epochs(trial_folder: Path) -> list[int]:
    """Returns the epochs that have a checkpoint, ascending."""
    names = [path.name.removeprefix("epoch-") for path in trial_folder.glob("epoch-*") if path.is_dir()]
    return sorted(int(name) for name in names if name.isdecimal())


def prune_checkpoints(trial_folder: Path, *, keep: Iterable[int]) -> None:
    """Deletes the checkpoints of all epochs but those to keep."""
    kept = set(keep)
    for epoch in saved_epochs(trial_folder):
        if epoch not in kept:
            shutil.rmtree(checkpoint_folder(trial_folder, epoch=epoch), ignore_errors=True)


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size_bytes": path.stat().st_size, "sha256": digest}
