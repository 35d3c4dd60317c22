"""One run of a variant inside a worker: from its configuration to reports and failures; no Ray."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces import Variant
from trainables.checkpoints.checkpoint import checkpoint_owner
from trainables.checkpoints.early_notes import leave_early_note
from trainables.machine.generated_code import GeneratedCode
from trainables.machine.imports import import_tensorflow
from trainables.reports import EpochReport, Failure, FailureKind, Note, NoteKind
from trainables.sharing.own_folder import demand_run_folder
from trainables.specs.worker import WorkerSpec
from trainables.worker.failures import MicroBatches, failure_of, ran_out_of_memory
from trainables.worker.saving import TrialCheckpoints
from trainables.worker.setup import (
    check_sources,
    further_splits,
    note_own_model,
    open_splits,
    set_up_devices,
    show_augmentation,
)
from trainables.worker.trace_cache import TracedTrainings

if TYPE_CHECKING:
    from trainables.training.training import Training

logger = logging.getLogger(__name__)


class TrialRun:
    """One trial in this process; nothing heavy happens before the first `step`.

    Args:
        trial: The trial's name, such as `t0007`.
        variant: What to train.
        first_epoch: The first epoch whose report is still wanted, from 1.
        spec: What all trials of the study share.
        traced: Trainings of earlier trials in this process.
        fold: The fold that it validates on, from 1; 0: the validation split of the study.
        from_epoch: The epoch of another trial's checkpoint that it begins from; 0: it begins with fresh weights.
        start: The number of the worker's start in its driver's session, from 1; 0: nobody else trains the trial.
    """

    def __init__(  # noqa: PLR0913 - what a driver says of a trial, and what a process has
        self,
        *,
        trial: str,
        variant: Variant,
        first_epoch: int,
        spec: WorkerSpec,
        traced: TracedTrainings | None = None,
        fold: int = 0,
        from_epoch: int = 0,
        start: int = 0,
    ) -> None:
        self.trial = trial
        self.variant = variant
        self.spec = spec = spec.on_fold(fold)
        self._fold = fold
        self._next_epoch = first_epoch
        self._training: Training | None = None
        self._traced = TracedTrainings() if traced is None else traced
        self._generated = GeneratedCode()
        #: Whether the last epoch left nothing behind that could change another trial.
        self._is_sound = True
        self._notes: list[Note] = []
        owner = checkpoint_owner(variant.variant_id, fold=fold)
        self._checkpoints = TrialCheckpoints(
            trial, variant_id=owner, spec=spec, on_note=self._note, from_epoch=from_epoch, start=start
        )
        self._micro_batches = MicroBatches(trial=trial, variant=variant, spec=spec, on_note=self._note)

    def take_notes(self) -> list[Note]:
        """Returns the notes since the last call, and keeps none of them."""
        notes, self._notes = self._notes, []
        return notes

    def step(self) -> EpochReport | Failure:
        """Returns the next epoch's report, or the failure that ends the trial.

        An epoch that runs out of memory is tried again without the trainings that this process keeps, and then with
        batches in smaller pieces.

        Raises:
            SystemExit: A later session is at work on the study, or a later worker has the trial.
        """
        self._checkpoints.leave_if_superseded()
        outcome = self._try_step()
        if ran_out_of_memory(outcome) and self._traced.holds_memory:
            self._forget_trainings()
            outcome = self._try_step()
        if ran_out_of_memory(outcome):
            memory_mb = self._estimated_memory_mb()
            epoch = self._training.epoch + 1 if self._training is not None else self._next_epoch
            self._forget_trainings()
            outcome = self._micro_batches.retry(outcome, epoch=epoch, memory_mb=memory_mb, attempt=self._try_step)
            if ran_out_of_memory(outcome):
                self._forget_trainings()
        self._is_sound = not isinstance(outcome, Failure) or outcome.kind is FailureKind.DIVERGED
        return outcome

    def leave(self) -> None:
        """Keeps the training for the next trial of this process, if it can be reused."""
        if self._training is not None and self._is_sound:
            self._training.on_trained = _nothing
            self._traced.keep(self._training, fold=self._fold)
        self._training = None

    def wait_for_uploads(self) -> None:
        """Waits until the checkpoints are uploaded, if the run has remote storage, and notes once if they are not."""
        self._checkpoints.wait_for_uploads()

    def _note(self, note: Note) -> None:
        # What is noted of a model is noted once a trial: a worker that takes the trial up finds the same.
        if note.kind is not NoteKind.OWN_MODEL or (self._next_epoch == 1 and note not in self._notes):
            self._notes.append(note)
            if note.kind is NoteKind.OWN_MODEL:
                # The user need not wait for the first epoch's end to read it.
                leave_early_note(Path(self.spec.checkpoints), note.text)

    def _try_step(self) -> EpochReport | Failure:
        try:
            return self._next_report()
        except Exception as exc:  # noqa: BLE001 - a failed trial is data: whatever a variant raises is its result
            return failure_of(exc, variant=self.variant, spec=self.spec.training)
        finally:
            # Whatever the epoch ended with: a checkpoint that is only begun will not be finished.
            self._checkpoints.abandon()
            self._generated.remove()

    def _estimated_memory_mb(self) -> float | None:
        """Returns what a training step of a whole batch needs; None where no estimate can be made."""
        try:
            return None if self._training is None else self._training.estimated_memory_mb()
        except Exception as exc:  # noqa: BLE001 - a message alone depends on it, and memory is short
            logger.info('trial=%s memory not estimated reason="%s"', self.trial, exc)
            return None

    def _forget_trainings(self) -> None:
        """Frees what this trial and earlier ones hold of TensorFlow's memory."""
        if self._training is None and not self._traced.holds_memory:
            return
        # Late, because it imports TensorFlow.
        from trainables.families.building import forget_models

        self._training = None
        self._traced.clear()
        forget_models()

    def _next_report(self) -> EpochReport:
        if self._training is None:
            self._training = self._begin()
        # Epochs that a checkpoint already holds are reported again, not trained again: the driver may have missed them.
        if self._next_epoch <= self._training.epoch:
            report = self._training.history[self._next_epoch - 1]
        else:
            report = self._train_and_save(self._training)
            while report.epoch < self._next_epoch:
                # The checkpoint was older than the last report: the driver has these epochs, but their checkpoints are
                # lost, and the best of them may be exported.
                report = self._train_and_save(self._training)
        self._next_epoch += 1
        if report.is_last:
            # No worker takes up a trial that has ended to upload the rest of it.
            self.wait_for_uploads()
        return report

    def _train_and_save(self, training: "Training") -> EpochReport:
        report = training.run_epoch()
        seconds = self._checkpoints.save(training)
        # The checkpoint does not have these seconds: a report that is sent again cost nothing again.
        return replace(report, overhead_seconds={**report.overhead_seconds, "checkpoint": seconds})

    def _begin(self) -> "Training":
        started = time.perf_counter()
        # Not before the first step, unless it is preloaded: Ray Tune retries no failure in setup() or reset_config().
        import_tensorflow()
        from trainables.steps.replicas import own_replicas
        from trainables.training.training import Training, TrainingRequest

        set_up_devices(self.spec, self.variant, on_note=self._note)
        overhead = {"import": time.perf_counter() - started}
        started = time.perf_counter()
        demand_run_folder(self.spec)
        train, validation = open_splits(self.spec)
        overhead["data"] = time.perf_counter() - started
        has_checkpoint = self._checkpoints.fetch(num_reported=self._next_epoch - 1)
        # A checkpoint may be of a training in micro-batches, which is traced otherwise.
        is_new = self._micro_batches.count == self._next_epoch == 1 and not has_checkpoint
        training = (self._traced.take(self.variant, fold=self._fold) if is_new else None) or Training(
            TrainingRequest(
                variant=self.variant,
                train=train,
                validation=validation,
                task=self.spec.dataset.task,
                spec=self.spec.training,
                statistics=self.spec.dataset.statistics,
                repeats=further_splits(self.spec, train=train, validation=validation),
                num_micro_batches=self._micro_batches.count,
                replicas=own_replicas(self.spec.device),
                graphs=self._traced.graphs,
                on_note=lambda text: self._note(Note(kind=NoteKind.OWN_MODEL, text=text)),
                on_callback_note=lambda text: self._note(Note(kind=NoteKind.CALLBACKS, text=text)),
            )
        )
        training.overhead_seconds.update(overhead)
        check_sources(training.model, self.spec, self.variant)
        show_augmentation(self.spec, train)
        if is_new:
            note_own_model(training, self.spec, on_note=self._note)
        self._checkpoints.restore(training, num_micro_batches=self._micro_batches.count)
        self._micro_batches.count = training.num_micro_batches
        training.on_trained = lambda: self._checkpoints.begin(training)
        return training


def _nothing() -> None:
    """Does nothing between training and validation, for a training of no trial."""
