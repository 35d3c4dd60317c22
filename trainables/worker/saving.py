"""The checkpoints of the trial that a worker trains: restored as it begins, written and uploaded after each epoch."""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.checkpoints.checkpoint import (
    Checkpoint,
    discard_checkpoint,
    prune_checkpoints,
    saved_epochs,
    valid_checkpoints,
)
from trainables.checkpoints.fence import leave_if_superseded
from trainables.checkpoints.model_difference import model_difference
from trainables.checkpoints.owner import Owner, leaving_by
from trainables.checkpoints.store import CheckpointStore
from trainables.checkpoints.writer import CheckpointWriter
from trainables.errors import CheckpointError, DataError
from trainables.patience import best_epoch
from trainables.reports import EpochReport, Note, NoteKind
from trainables.specs.worker import WorkerSpec

if TYPE_CHECKING:
    from trainables.training.training import Training

logger = logging.getLogger(__name__)


class TrialCheckpoints:
    """The checkpoints of one trial.

    Args:
        trial: The trial's name.
        variant_id: Of its variant, with its fold (`checkpoint_owner`); checkpoints of another count as damaged.
        spec: What all trials of the study share.
        on_note: Takes what readers should know.
        from_epoch: The epoch of the other trial's checkpoint that it began from; 0 without one.
        start: The number of the worker's start in its driver's session, from 1; 0: nobody else trains the trial.
    """

    def __init__(  # noqa: PLR0913 - a trial, and what is between it and its driver
        self,
        trial: str,
        *,
        variant_id: str,
        spec: WorkerSpec,
        on_note: Callable[[Note], None],
        from_epoch: int = 0,
        start: int = 0,
    ) -> None:
        self._trial = trial
        self._variant_id = variant_id
        self._from_epoch = from_epoch
        self._spec = spec
        self._on_note = on_note
        self._folder = Path(spec.checkpoints) / trial
        self._owner = Owner(self._folder, start=(spec.session, start)) if spec.session and start else None
        #: The worker's own folder.
        self._through = None if self._owner is None else self._owner.folder
        self._store = CheckpointStore(spec.remote, trial=trial, folder=self._folder, owner=self._owner)
        self._writer = CheckpointWriter(self._folder, through=self._through)
        #: The last epoch whose report the driver has, as the worker took the trial up.
        self._num_reported = 0
        #: Whether a note says that checkpoints are on this node alone.
        self._is_noted = False
        #: Seconds that the step waited for the checkpoint of this epoch so far.
        self._begin_seconds = 0.0

    def leave_if_superseded(self) -> None:
        """Ends this worker if a later session is at work on the study, or a later worker has the trial.

        Raises:
            SystemExit: That is so; it ends the worker's process and is no failure of the trial.
        """
        leave_if_superseded(Path(self._spec.checkpoints), session=self._spec.session)
        if self._owner is not None:
            self._owner.leave_if_superseded()
            if self._store.is_superseded:
                raise SystemExit(f"{self._trial}: a later worker has it")

    def fetch(self, *, num_reported: int) -> bool:
        """Makes the trial this worker's and downloads its newest checkpoint if this node lacks it.

        Earlier workers of the trial change none of its checkpoints from now on.

        Args:
            num_reported: The last epoch whose report the driver has: a training from the beginning would repeat these.

        Returns:
            Whether this node has any checkpoint.

        Raises:
            SystemExit: A later worker has the trial.
            OSError: One is needed, this node has none, and the storage does not answer; or the disk is full.
        """
        self._num_reported = num_reported
        if self._owner is not None:
            self._owner.claim()
        with leaving_by(self.leave_if_superseded):
            self._store.fetch(variant_id=self._variant_id, is_needed=num_reported > 0)
        return bool(saved_epochs(self._folder))

    def restore(self, training: "Training", *, num_micro_batches: int) -> None:
        """Sets a training to the newest checkpoint that it can go on from, and notes those that it cannot.

        Args:
            num_micro_batches: Pieces that each batch is trained in at least.

        Raises:
            DataError: A user's function builds another model than the one that a checkpoint is of.
            CheckpointError: The trial began from another's checkpoint, and has none of its own any more.
        """
        passed_over: dict[int, str] = {}
        for checkpoint in valid_checkpoints(
            self._folder, variant_id=self._variant_id, on_invalid=passed_over.__setitem__
        ):
            self._check_model(checkpoint, training)
            try:
                training.num_micro_batches = max(num_micro_batches, checkpoint.num_micro_batches)
                training.load_state(checkpoint.state, history=checkpoint.history, changed=checkpoint.changed)
                break
            except CheckpointError as exc:
                # Whole, but of a model that is built differently now, such as after an update of Keras.
                passed_over[checkpoint.epoch] = f"is of a model that is built differently now ({exc})"
        logger.info("trial=%s epoch=%d decision=continue", self._trial, training.epoch)
        if training.epoch < self._from_epoch:
            raise CheckpointError(
                f"no checkpoint of {self._trial} is whole any more, and it began from another trial's after epoch "
                f"{self._from_epoch}; from fresh weights it would be another trial"
            )
        with leaving_by(self.leave_if_superseded):
            self._note_invalid(passed_over, epoch=training.epoch)
            if training.epoch:
                # A worker may have been killed after a checkpoint and before it deleted those that it replaced.
                keep = self._kept(training, num_reported=self._num_reported)
                prune_checkpoints(self._folder, keep=keep, through=self._through)

    def begin(self, training: "Training") -> None:
        """Starts to write the arrays of an epoch that is trained and not validated yet, if that saves time."""
        started = time.perf_counter()
        self._begin_seconds = 0.0
        if not self._writer.pays_to_begin:
            return
        self._writer.begin(training.state(), epoch=training.epoch + 1)
        self._begin_seconds = time.perf_counter() - started

    def save(self, training: "Training") -> float:
        """Writes the checkpoint of the last epoch and returns the seconds that the step waited for it.

        Raises:
            OSError: The disk is full, or the like.
            SystemExit: A later session is at work on the study, or a later worker has the trial.
        """
        started = time.perf_counter()
        # Never more than one epoch ahead of remote storage, as long as that answers.
        self.wait_for_uploads()
        checkpoint = Checkpoint(
            variant_id=self._variant_id,
            state=training.state(),
            history=_without_overhead(training.history),
            num_micro_batches=training.num_micro_batches,
            model=training.signature,
        )
        # The driver has the reports of all epochs before: it asked for this one.
        keep = self._kept(training, num_reported=max(self._num_reported, training.epoch - 1))
        self.leave_if_superseded()
        with leaving_by(self.leave_if_superseded):
            self._writer.finish(checkpoint, keep=keep, is_last=training.history[-1].is_last)
        self._store.changed(keep=keep)
        return self._begin_seconds + time.perf_counter() - started

    def abandon(self) -> None:
        """Deletes the checkpoint that was begun and not finished."""
        self._writer.abandon()

    def wait_for_uploads(self) -> None:
        """Waits until the checkpoints are uploaded, if the run has remote storage, and notes once if they are not."""
        if (failure := self._store.wait_for_uploads()) and not self._is_noted:
            self._is_noted = True
            text = f"checkpoints were on {socket.gethostname()} alone for a while: {failure}"
            self._on_note(Note(kind=NoteKind.CHECKPOINT_HERE_ONLY, text=text))

    def _check_model(self, checkpoint: Checkpoint, training: "Training") -> None:
        if checkpoint.model is None or training.signature is None:
            return
        if what := model_difference(checkpoint.model, training.signature):
            raise DataError(
                f"function {training.variant.params['function']!r} builds another model than that of {self._trial}'s "
                f"checkpoint epoch-{checkpoint.epoch:04d}: {what}; restore what the function reads (a file, the "
                "network, the clock, the installed packages), or run the study anew in a new folder"
            )

    def _note_invalid(self, passed_over: dict[int, str], *, epoch: int) -> None:
        next_step = f"went on from epoch {epoch}" if epoch else "began anew from epoch 1"
        for damaged, reason in passed_over.items():
            text = f"checkpoint epoch-{damaged:04d} {reason}; {next_step}"
            logger.warning('trial=%s reason="%s"', self._trial, text)
            self._on_note(Note(kind=NoteKind.CHECKPOINT_INVALID, text=text))
            # Noted once: its epoch is trained and saved again.
            discard_checkpoint(self._folder, epoch=damaged, through=self._through)

    def _kept(self, training: "Training", *, num_reported: int) -> set[int]:
        """Returns the epochs whose checkpoints stay.

        Args:
            num_reported: The last epoch whose report the driver has; the best of those is what it would export.
        """
        spec = self._spec.training
        # The epochs before are another trial's, which keeps its own best one.
        own = training.history[self._from_epoch :] or training.history[-1:]
        reported = training.history[self._from_epoch : num_reported]
        best = {
            best_epoch(reports, metric=spec.metric, mode=spec.mode, ties=spec.ties)
            for reports in (own, reported)
            if reports
        }
        # Other trials may go on from these while the study trains.
        shared = range(spec.kept_every, training.epoch + 1, spec.kept_every) if spec.kept_every else ()
        # The one before the newest stays as well, in case the newest turns out to be damaged.
        return {*best, training.epoch, training.epoch - 1, *shared}


def _without_overhead(history: Sequence[EpochReport]) -> list[EpochReport]:
    # A report that is sent again cost nothing again; the first one has the seconds.
    return [replace(report, overhead_seconds={}) for report in history]
