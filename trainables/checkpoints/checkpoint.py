"""Checkpoints: all that a trial needs to go on exactly where it was.

A checkpoint is a folder `epoch-0003/` with `state.safetensors` (arrays only), `history.json` (the reports up to this
epoch) and `manifest.json` (sizes and sha256 of both). It is written under a temporary name, the manifest last, and
renamed when whole, by `files/folders`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.checkpoints.state_names import validated_weights
from trainables.errors import CheckpointError
from trainables.files.arrays import read_arrays, write_arrays
from trainables.files.folders import (
    delete_draft,
    discard,
    existing,
    names_in_place,
    new_draft,
    put_in_place,
    remove_abandoned,
    sync,
    write_new,
)
from trainables.files.manifests import MANIFEST, fingerprint_of
from trainables.reports import EpochReport

SCHEMA_VERSION = 2
#: Key of a manifest that names what another trial, whose state it is, had other values of.
CHANGED = "changed"
_STATE = "state.safetensors"
_HISTORY = "history.json"
_PREFIX = "epoch-"

#: Takes the epoch of a checkpoint that cannot be used, and why, in words.
OnInvalid = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A trial's state after an epoch.

    Args:
        variant_id: The trial's variant, with its fold (`checkpoint_owner`).
        state: Arrays by name, as `Training.state` returns them.
        history: The reports of all epochs up to this one.
        num_micro_batches: Pieces that each batch is trained in.
        model: What a user's model is made of, as `families/parts/signature` has it; None: of no user's, or not known.
        changed: Parameters that another trial, whose state this is, had other values of; empty: it is the trial's own.
    """

    variant_id: str
    state: Mapping[str, np.ndarray]
    history: Sequence[EpochReport]
    num_micro_batches: int = 1
    model: Mapping[str, Any] | None = None
    changed: Sequence[str] = ()

    @property
    def epoch(self) -> int:
        """The last finished epoch."""
        return len(self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A checkpoint whose arrays are written, and which is not one yet.

    Args:
        folder: Its temporary folder.
        state: Size and sha256 of the arrays' file.
        is_durable: Whether that file outlives a power loss.
    """

    folder: Path
    state: Mapping[str, Any]
    is_durable: bool


def checkpoint_folder(trial_folder: Path, *, epoch: int) -> Path:
    """Returns where the checkpoint of an epoch lies.

    >>> checkpoint_folder(Path("t0007"), epoch=3).as_posix()
    't0007/epoch-0003'
    """
    return trial_folder / f"{_PREFIX}{epoch:04d}"


def checkpoint_owner(variant_id: str, *, fold: int = 0) -> str:
    """Returns what stands for a trial's variant in its checkpoints: no training of one fold goes on with another.

    >>> checkpoint_owner("a1b2"), checkpoint_owner("a1b2", fold=3)
    ('a1b2', 'a1b2-fold-3')

    Args:
        variant_id: The variant's.
        fold: The fold that the trial validates on; 0: the validation split of the study.
    """
    return f"{variant_id}-fold-{fold}" if fold else variant_id


def save_checkpoint(trial_folder: Path, checkpoint: Checkpoint, *, is_durable: bool = True) -> Path:
    """Writes a checkpoint, whole or not at all, and returns its folder.

    Args:
        is_durable: Whether it outlives a power loss after this function has returned.
    """
    folder = checkpoint_folder(trial_folder, epoch=checkpoint.epoch)
    draft = begin_draft(folder, checkpoint.state, is_durable=is_durable)
    return finish_draft(folder, checkpoint, draft=draft, is_durable=is_durable)


def begin_draft(
    folder: Path, state: Mapping[str, np.ndarray], *, is_durable: bool, through: Path | None = None
) -> Draft:
    """Writes the arrays of a checkpoint for `folder`, after deleting the drafts of killed processes.

    Args:
        through: The own folder of the worker that has the trial; None: nobody trains it.
    """
    remove_abandoned(folder.parent)
    draft = new_draft(folder, through=through)
    try:
        written = write_arrays(draft / _STATE, state, is_durable=is_durable)
    except Exception:
        delete_draft(draft)
        raise
    return Draft(folder=draft, state=written, is_durable=is_durable)


def finish_draft(
    folder: Path, checkpoint: Checkpoint, *, draft: Draft, is_durable: bool, through: Path | None = None
) -> Path:
    """Writes the rest of a checkpoint, moves it to `folder` and returns that.

    A checkpoint that is at `folder` stays readable until the new one takes its place.

    Args:
        through: As for `begin_draft`.

    Raises:
        FileNotFoundError: Another worker has the trial now.
    """
    reports = [report.to_json() for report in checkpoint.history]
    content = {"num_micro_batches": checkpoint.num_micro_batches, "reports": reports}
    history = json.dumps(content if checkpoint.model is None else {**content, "model": checkpoint.model}).encode()
    manifest = {
        "schema": SCHEMA_VERSION,
        "variant_id": checkpoint.variant_id,
        "epoch": checkpoint.epoch,
        "weights_bytes": _num_bytes(validated_weights(checkpoint.state)),
        "files": {_STATE: draft.state, _HISTORY: fingerprint_of(history)},
    }
    try:
        write_new(draft.folder / _HISTORY, history, is_durable=is_durable)
        write_new(draft.folder / MANIFEST, json.dumps(manifest).encode(), is_durable=is_durable)
        if is_durable and not draft.is_durable:
            sync(draft.folder / _STATE)
        put_in_place(draft.folder, folder, is_durable=is_durable, through=through)
    except Exception:
        delete_draft(draft.folder)
        raise
    return folder


def load_checkpoint(folder: Path, *, variant_id: str) -> Checkpoint:
    """Returns a checkpoint after verifying every byte of it.

    Raises:
        CheckpointError: It is missing, damaged, or of another variant.
    """
    place = existing(folder)
    try:
        manifest = json.loads((place / MANIFEST).read_bytes())
        if manifest["schema"] != SCHEMA_VERSION:
            raise CheckpointError(f"{folder}: schema {manifest['schema']!r} is not known, expected {SCHEMA_VERSION}")
        if manifest["variant_id"] != variant_id:
            raise CheckpointError(f"{folder}: belongs to variant {manifest['variant_id']}, expected {variant_id}")
        content = (place / _HISTORY).read_bytes()
        if manifest["files"][_HISTORY] != fingerprint_of(content):
            raise CheckpointError(f"{folder}: is damaged ({_HISTORY}: size or sha256 differ)")
        text = json.loads(content)
        history = [EpochReport.from_json(item) for item in text["reports"]]
        if manifest["epoch"] != len(history):
            raise CheckpointError(f"{folder}: says epoch {manifest['epoch']!r}, but its history has {len(history)}")
        state = read_arrays(place / _STATE, fingerprint=manifest["files"][_STATE])
        if manifest["weights_bytes"] != _num_bytes(validated_weights(state)):
            raise CheckpointError(f"{folder}: says {manifest['weights_bytes']!r} bytes of weights, but has others")
    except FileNotFoundError as exc:
        what = f"is damaged ({exc.filename and Path(exc.filename).name} is missing)" if place.is_dir() else "is missing"
        raise CheckpointError(f"{folder}: {what}") from exc
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise CheckpointError(f"{folder}: is damaged ({exc or type(exc).__name__})") from exc
    return Checkpoint(
        variant_id=variant_id,
        state=state,
        history=history,
        num_micro_batches=text["num_micro_batches"],
        model=text.get("model"),
        changed=[str(name) for name in manifest.get(CHANGED, ())],
    )


def newest_checkpoint(trial_folder: Path, *, variant_id: str, on_invalid: OnInvalid | None = None) -> Checkpoint | None:
    """Returns the newest valid checkpoint of a trial, passing over damaged ones; None if there is none."""
    return next(valid_checkpoints(trial_folder, variant_id=variant_id, on_invalid=on_invalid), None)


def valid_checkpoints(
    trial_folder: Path, *, variant_id: str, on_invalid: OnInvalid | None = None
) -> Iterator[Checkpoint]:
    """Yields the valid checkpoints of a trial, newest first, and reports the others to `on_invalid`."""
    for epoch in reversed(saved_epochs(trial_folder)):
        folder = checkpoint_folder(trial_folder, epoch=epoch)
        try:
            checkpoint = load_checkpoint(folder, variant_id=variant_id)
        except CheckpointError as exc:
            if on_invalid is not None:
                on_invalid(epoch, str(exc).removeprefix(f"{folder}: "))
            continue
        yield checkpoint


def saved_epochs(trial_folder: Path) -> list[int]:
    """Returns the epochs that have a checkpoint, ascending."""
    names = [name.removeprefix(_PREFIX) for name in names_in_place(trial_folder) if name.startswith(_PREFIX)]
    return sorted({int(name) for name in names if name.isdecimal()})


def prune_checkpoints(trial_folder: Path, *, keep: Iterable[int], through: Path | None = None) -> None:
    """Deletes the checkpoints of all epochs but those to keep, and of none that is newer than all of these.

    Args:
        through: As for `begin_draft`.

    Raises:
        FileNotFoundError: Another worker has the trial now.
    """
    kept = set(keep)
    newest = max(kept, default=0)
    for epoch in saved_epochs(trial_folder):
        # A newer one is of another worker, or of an epoch that this one will train again.
        if epoch < newest and epoch not in kept:
            discard_checkpoint(trial_folder, epoch=epoch, through=through)


def discard_checkpoint(trial_folder: Path, *, epoch: int, through: Path | None = None) -> None:
    """Deletes the checkpoint of one epoch; no reader ever sees a part of it.

    Args:
        through: As for `begin_draft`.

    Raises:
        FileNotFoundError: Another worker has the trial now.
    """
    discard(checkpoint_folder(trial_folder, epoch=epoch), through=through)


def _num_bytes(arrays: Mapping[str, np.ndarray]) -> int:
    return sum(array.nbytes for array in arrays.values())
