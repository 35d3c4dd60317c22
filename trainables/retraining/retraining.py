"""Trains a trial once more, up to an epoch whose checkpoint is lost, and puts that checkpoint in its place.

The training goes on from the newest whole checkpoint before that epoch, or begins anew, in a folder of its own beside
the trial's checkpoints. It is the trial's own training, so it must report what the trial reported: where one number is
another, nothing is put in place.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from trainables.checkpoints.build_record import copy_build_record
from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint, saved_epochs
from trainables.checkpoints.inheriting import inherit_checkpoint, link_or_copy
from trainables.checkpoints.store import CheckpointStore
from trainables.errors import CheckpointError, LostCheckpointError, RemoteError
from trainables.files.folders import delete_draft, new_draft, put_in_place, sync
from trainables.reports import EpochReport, Failure
from trainables.retraining.requests import RetrainingAnswer, RetrainingRequest
from trainables.specs.worker import PRIVATE
from trainables.worker.trial_run import TrialRun


def train_again(request: RetrainingRequest) -> RetrainingAnswer:
    """Trains a trial up to an epoch, and puts the checkpoint of that epoch in its place.

    Raises:
        LostCheckpointError: The trial cannot be trained again, or reports other numbers than before.
    """
    os.umask(PRIVATE)
    try:
        return _train_again(request)
    except (CheckpointError, OSError, RemoteError) as exc:
        raise LostCheckpointError(f"it cannot be trained again: {exc}") from exc


def _train_again(request: RetrainingRequest) -> RetrainingAnswer:
    scratch = new_draft(_folder_of(request.trial, request) / "again")
    try:
        begun = _begin(request, scratch)
        report = _trained(request, scratch, begun=begun)
        if differs := _difference(request.metrics, report.metrics):
            raise LostCheckpointError(
                f"trained again {_since(begun)}, its epoch {request.epoch} has {differs}: what is installed here, or "
                "this machine, computes otherwise than what trained it, and another model is not exported in its place"
            )
        _put_in_place(request, scratch)
    finally:
        delete_draft(scratch)
    return RetrainingAnswer(trial=request.trial, epoch=request.epoch, from_epoch=begun)


def _begin(request: RetrainingRequest, scratch: Path) -> int:
    """Puts the checkpoint to go on from into the scratch folder and returns its epoch; 0 where there is none."""
    copy_build_record(Path(request.worker.checkpoints), scratch)
    store, folder = _store_of(request.trial, request), _folder_of(request.trial, request)
    variant_id = request.variant.variant_id
    known = {*saved_epochs(folder), *store.epochs()}
    for epoch in sorted(known, reverse=True):
        if not request.from_epoch <= epoch < request.epoch:
            continue
        source = checkpoint_folder(folder, epoch=epoch)
        try:
            _fetched(source, store, epoch=epoch, variant_id=variant_id)
        except CheckpointError:
            continue
        target = checkpoint_folder(scratch / request.trial, epoch=epoch)
        shutil.copytree(source, target, copy_function=link_or_copy)
        return epoch
    if request.parent_variant is not None:
        _begin_from_parent(request, scratch)
    return request.from_epoch


def _begin_from_parent(request: RetrainingRequest, scratch: Path) -> None:
    parent, epoch = request.parent_variant, request.from_epoch
    if parent is None:
        return
    folder = _folder_of(request.parent, request)
    names = dict.fromkeys([*parent.params, *request.variant.params])
    try:
        _fetched(
            checkpoint_folder(folder, epoch=epoch),
            _store_of(request.parent, request),
            epoch=epoch,
            variant_id=parent.variant_id,
        )
        inherit_checkpoint(
            folder,
            epoch=epoch,
            variant_id=parent.variant_id,
            heir_folder=scratch / request.trial,
            heir_id=request.variant.variant_id,
            changed=[name for name in names if parent.params.get(name) != request.variant.params.get(name)],
        )
    except CheckpointError as exc:
        raise CheckpointError(
            f"it began from {request.parent}'s checkpoint of epoch {epoch}, and that is lost as well ({exc})"
        ) from exc


def _fetched(source: Path, store: CheckpointStore, *, epoch: int, variant_id: str) -> None:
    """Makes sure that a whole checkpoint is on this node.

    Raises:
        CheckpointError: It is neither here nor in the study's storage, or is damaged.
    """
    try:
        load_checkpoint(source, variant_id=variant_id)
    except CheckpointError:
        store.fetch_epoch(epoch, variant_id=variant_id)
        load_checkpoint(source, variant_id=variant_id)


def _trained(request: RetrainingRequest, scratch: Path, *, begun: int) -> EpochReport:
    """Returns the report of the epoch, after training up to it."""
    spec = replace(request.worker, checkpoints=str(scratch), session=0, remote=None, picture=None)
    run = TrialRun(
        trial=request.trial,
        variant=request.variant,
        first_epoch=begun + 1,
        spec=spec,
        from_epoch=request.from_epoch,
    )
    while True:
        outcome = run.step()
        if isinstance(outcome, Failure):
            raise LostCheckpointError(f"trained again {_since(begun)}, it failed ({outcome.kind}): {outcome.reason}")
        if outcome.epoch == request.epoch:
            return outcome
        if outcome.is_last:
            raise LostCheckpointError(f"trained again {_since(begun)}, it ends with epoch {outcome.epoch} already")


def _difference(then: Mapping[str, float], now: Mapping[str, float]) -> str:
    """Returns the first metric that is another one, with both values; an empty text where all are equal.

    >>> _difference({"loss": 0.5, "val_loss": 0.25}, {"loss": 0.5, "val_loss": 0.125})
    'val_loss 0.125 where the journal has 0.25'
    """
    for name in dict.fromkeys([*then, *now]):
        if then.get(name) != now.get(name):
            return f"{name} {now.get(name, 'missing')} where the journal has {then.get(name, 'none')}"
    return ""


def _put_in_place(request: RetrainingRequest, scratch: Path) -> None:
    made = checkpoint_folder(scratch / request.trial, epoch=request.epoch)
    load_checkpoint(made, variant_id=request.variant.variant_id)
    for file in made.iterdir():
        # The worker of a trial flushes its files only now and then.
        sync(file)
    folder = _folder_of(request.trial, request)
    put_in_place(made, checkpoint_folder(folder, epoch=request.epoch), is_durable=True)
    _store_of(request.trial, request).upload()


def _since(begun: int) -> str:
    return f"from epoch {begun}" if begun else "from the beginning"


def _folder_of(trial: str, request: RetrainingRequest) -> Path:
    return Path(request.worker.checkpoints) / trial


def _store_of(trial: str, request: RetrainingRequest) -> CheckpointStore:
    return CheckpointStore(request.worker.remote, trial=trial, folder=_folder_of(trial, request))
