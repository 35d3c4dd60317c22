"""One run of a variant inside a worker: from its configuration to reports, with failures told apart; no Ray."""

import functools
import logging
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.checkpoints.checkpoint import (
    Checkpoint,
    discard_checkpoint,
    prune_checkpoints,
    saved_epochs,
    valid_checkpoints,
)
from trainables.checkpoints.fence import leave_if_superseded
from trainables.checkpoints.store import CheckpointStore
from trainables.checkpoints.writer import CheckpointWriter
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.in_process import dataset_on_this_node
from trainables.errors import CheckpointError, DataError, DivergedError, InfeasibleError, MicroBatchError, UserCodeError
from trainables.machine.imports import import_tensorflow, spare_imports
from trainables.machine.out_of_memory import (
    BatchSplit,
    given_up,
    is_out_of_memory,
    micro_batches_note,
    num_micro_batches,
)
from trainables.patience import best_epoch
from trainables.reports import EpochReport, Failure, FailureKind, Note, NoteKind
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import WorkerSpec
from trainables.user_code import in_words, user_error
from trainables.worker.failures import kind_of, ran_out_of_memory
from trainables.worker.trace_cache import TracedTrainings

if TYPE_CHECKING:
    from trainables.data.batches.tensors import SplitTensors
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
    """

    def __init__(
        self,
        *,
        trial: str,
        variant: Variant,
        first_epoch: int,
        spec: WorkerSpec,
        traced: TracedTrainings | None = None,
    ) -> None:
        self.trial = trial
        self.variant = variant
        self.spec = spec
        self._next_epoch = first_epoch
        self._training: Training | None = None
        self._traced = TracedTrainings() if traced is None else traced
        #: Whether the last epoch left nothing behind that another trial would feel.
        self._is_sound = True
        self._folder = Path(spec.checkpoints) / trial
        self._store = CheckpointStore(spec.remote, trial=trial, folder=self._folder)
        self._is_here_only = False
        self._writer = CheckpointWriter(self._folder)
        #: Seconds that the step waited for the checkpoint of this epoch so far.
        self._saving_seconds = 0.0
        self._notes: list[Note] = []
        #: Pieces that each batch is trained in.
        self._num_micro_batches = 1
        self._why_not_cut = ""

    def take_notes(self) -> list[Note]:
        """Returns what there is to note about the trial since the last time."""
        notes, self._notes = self._notes, []
        return notes

    def step(self) -> EpochReport | Failure:
        """Returns the next epoch's report, or why there is none and never will be.

        What runs out of memory is tried once more, without what earlier trials of this process left there, and then in
        smaller pieces of its batches.

        Raises:
            SystemExit: If a later session is at work on the study.
        """
        self._leave_if_superseded()
        outcome = self._try_step()
        if ran_out_of_memory(outcome) and len(self._traced):
            self._forget_trainings()
            outcome = self._try_step()
        if ran_out_of_memory(outcome):
            outcome = self._step_in_micro_batches(outcome)
        self._is_sound = not isinstance(outcome, Failure) or outcome.kind is FailureKind.DIVERGED
        return outcome

    def _try_step(self) -> EpochReport | Failure:
        try:
            return self._next_report()
        except (InfeasibleError, DivergedError) as exc:
            is_infeasible = isinstance(exc, InfeasibleError)
            return Failure(kind=FailureKind.INFEASIBLE if is_infeasible else FailureKind.DIVERGED, reason=str(exc))
        except DataError as exc:
            return Failure(kind=FailureKind.DATA_ERROR, reason=str(exc), details=traceback.format_exc())
        except MicroBatchError as exc:
            # TensorFlow puts the traced lines before the message.
            self._why_not_cut = str(exc).rpartition(f"{MicroBatchError.__name__}: ")[2].strip()
            return Failure(kind=FailureKind.OUT_OF_MEMORY, reason=self._why_not_cut, details=traceback.format_exc())
        except Exception as exc:  # noqa: BLE001 - a failed trial is data: whatever a variant raises is its result
            if message := self._told_by_user_code(exc):
                return Failure(kind=FailureKind.CODE_ERROR, reason=message.partition("\n")[0], details=message)
            kind = kind_of(exc)
            return Failure(kind=kind, reason=in_words(exc), details=traceback.format_exc())
        finally:
            # Whatever came of the epoch: what is begun by now will not be finished.
            self._writer.abandon()

    def _told_by_user_code(self, exc: Exception) -> str:
        """Returns an error of the user's own code with their lines, not ours; empty where it is another one."""
        if is_out_of_memory(exc) or not FAMILIES[self.variant.family].has_own_parameters:
            return ""
        if isinstance(exc, UserCodeError):
            return str(exc)
        return user_error(exc, folder=Path(self.spec.training.study_dir).absolute())

    def _step_in_micro_batches(self, failure: Failure) -> EpochReport | Failure:
        # What a checkpoint, or an epoch before, began in micro-batches has no other try.
        was_cut = self._num_micro_batches > 1
        batch_size = min(self._batch_size, self.spec.dataset.num_train)
        pieces = self._num_micro_batches if was_cut else num_micro_batches(batch_size)
        cut = BatchSplit(batch_size=batch_size, pieces=pieces)
        memory_mb = self._estimated_memory_mb()
        epoch = self._training.epoch + 1 if self._training is not None else self._next_epoch
        self._forget_trainings()
        outcome: EpochReport | Failure = failure
        if pieces > 1 and not was_cut:
            logger.info('trial=%s epoch=%d decision=micro-batches reason="%s"', self.trial, epoch, failure.reason)
            self._num_micro_batches = pieces
            outcome = self._try_step()
        if ran_out_of_memory(outcome):
            self._forget_trainings()
            return replace(outcome, reason=given_up(cut, memory_mb=memory_mb, why=self._why_not_cut))
        self._notes.append(Note(kind=NoteKind.MICRO_BATCHES, text=micro_batches_note(cut, epoch=epoch)))
        return outcome

    @property
    def _batch_size(self) -> int:
        return int(FAMILIES[self.variant.family].with_defaults(self.variant.params)["batch_size"])

    def _estimated_memory_mb(self) -> float | None:
        """Returns what a training step of a whole batch needs; None where that cannot be told."""
        try:
            return None if self._training is None else self._training.estimated_memory_mb()
        except Exception as exc:  # noqa: BLE001 - only words depend on it, and memory is short
            logger.info('trial=%s memory not estimated reason="%s"', self.trial, exc)
            return None

    def _forget_trainings(self) -> None:
        """Frees what this trial and earlier ones hold of TensorFlow's memory."""
        if self._training is None and not len(self._traced):
            return
        # Late, because it imports TensorFlow.
        from trainables.families.building import forget_models

        self._training = None
        self._traced.clear()
        forget_models()

    def _next_report(self) -> EpochReport:
        if self._training is None:
            self._training = self._begin()
        # Epochs that a checkpoint already holds are told again, not trained again: the driver may have missed them.
        if self._next_epoch <= self._training.epoch:
            report = self._training.history[self._next_epoch - 1]
        else:
            report = self._train_and_save(self._training)
            while report.epoch < self._next_epoch:
                # The checkpoint was older than the last report: these epochs are known, but their checkpoints are
                # lost, and the best of them may be exported.
                report = self._train_and_save(self._training)
        self._next_epoch += 1
        if report.is_last:
            # What is told as ended is elsewhere, too: nobody takes this trial up again to upload it.
            self.wait_for_uploads()
        return report

    def leave(self) -> None:
        """Hands what can be reused on to the next trial of this process, which begins."""
        if self._training is not None and self._is_sound:
            self._training.on_trained = _nothing
            self._traced.keep(self._training)
        self._training = None

    def wait_for_uploads(self) -> None:
        """Waits until the checkpoints are kept elsewhere, too, where they are to be, and notes once if they are not."""
        if (failure := self._store.wait_for_uploads()) and not self._is_here_only:
            self._is_here_only = True
            text = f"checkpoints were on {socket.gethostname()} alone for a while: {failure}"
            self._notes.append(Note(kind=NoteKind.CHECKPOINT_HERE_ONLY, text=text))

    def _train_and_save(self, training: "Training") -> EpochReport:
        report = training.run_epoch()
        seconds = self._save(training)
        # The checkpoint knows nothing of it: a report that is told again cost nothing again.
        return replace(report, overhead_seconds={**report.overhead_seconds, "checkpoint": seconds})

    def _begin(self) -> "Training":
        started = time.perf_counter()
        # Not before the first step, unless the process waited for trials with it: TensorFlow costs seconds and hundreds
        # of MB, and a failure here can be retried, which Ray Tune does not do for one in setup() or reset_config().
        import_tensorflow()
        from trainables.steps.replicas import own_replicas
        from trainables.training.devices import configure_devices, missing_gpus, rewrite_graphs_once
        from trainables.training.precision import demand_precision
        from trainables.training.training import Training, TrainingRequest

        spare_imports()
        configure_devices(self.spec.device)
        rewrite_graphs_once(self.spec.device)
        if text := missing_gpus(self.spec.device):
            self._notes.append(Note(kind=NoteKind.GPUS_NOT_SEEN, text=text))
        demand_precision(str(self.variant.params.get("precision", "float32")), self.spec.device)
        overhead = {"import": time.perf_counter() - started}
        started = time.perf_counter()
        train, validation = _open_splits(self.spec)
        overhead["data"] = time.perf_counter() - started
        self._store.fetch(variant_id=self.variant.variant_id, is_needed=self._next_epoch > 1)
        # A checkpoint may be of a training in micro-batches, which is traced otherwise.
        is_new = self._num_micro_batches == self._next_epoch == 1 and not saved_epochs(self._folder)
        training = (self._traced.take(self.variant) if is_new else None) or Training(
            TrainingRequest(
                variant=self.variant,
                train=train,
                validation=validation,
                task=self.spec.dataset.task,
                spec=self.spec.training,
                statistics=self.spec.dataset.statistics,
                num_micro_batches=self._num_micro_batches,
                replicas=own_replicas(self.spec.device),
            )
        )
        training.overhead_seconds.update(overhead)
        _show_augmentation(self.spec, train)
        self._continue(training)
        training.on_trained = lambda: self._begin_to_save(training)
        return training

    def _continue(self, training: "Training") -> None:
        """Takes over the newest checkpoint that this training can go on from, and notes those that it cannot."""
        passed_over: dict[int, str] = {}
        for checkpoint in valid_checkpoints(
            self._folder, variant_id=self.variant.variant_id, on_invalid=passed_over.__setitem__
        ):
            try:
                training.num_micro_batches = max(self._num_micro_batches, checkpoint.num_micro_batches)
                training.load_state(checkpoint.state, history=checkpoint.history)
                break
            except CheckpointError as exc:
                # Whole, but of a model that is built differently now, such as after an update of Keras.
                passed_over[checkpoint.epoch] = f"is of a model that is built differently now ({exc})"
        self._num_micro_batches = training.num_micro_batches
        logger.info("trial=%s epoch=%d decision=continue", self.trial, training.epoch)
        next_step = f"went on from epoch {training.epoch}" if training.epoch else "began anew from epoch 1"
        for epoch, reason in passed_over.items():
            text = f"checkpoint epoch-{epoch:04d} {reason}; {next_step}"
            logger.warning('trial=%s reason="%s"', self.trial, text)
            self._notes.append(Note(kind=NoteKind.CHECKPOINT_INVALID, text=text))
            # Told once: its epoch is trained and saved again.
            discard_checkpoint(self._folder, epoch=epoch)
        if training.epoch:
            # A kill may have come between a checkpoint and the deletion of those that it made needless.
            prune_checkpoints(self._folder, keep=self._kept(training))

    def _begin_to_save(self, training: "Training") -> None:
        started = time.perf_counter()
        self._saving_seconds = 0.0
        if not self._writer.pays_to_begin:
            return
        self._writer.begin(training.state(), epoch=training.epoch + 1)
        self._saving_seconds = time.perf_counter() - started

    def _save(self, training: "Training") -> float:
        """Returns the seconds that the step waited for it."""
        started = time.perf_counter()
        # Never more than one epoch ahead of what is kept elsewhere, as long as that answers.
        self.wait_for_uploads()
        checkpoint = Checkpoint(
            variant_id=self.variant.variant_id,
            state=training.state(),
            history=_without_overhead(training.history),
            num_micro_batches=training.num_micro_batches,
        )
        keep = self._kept(training)
        self._leave_if_superseded()
        self._writer.finish(checkpoint, keep=keep, is_last=training.history[-1].is_last)
        self._store.changed(keep=keep)
        return self._saving_seconds + time.perf_counter() - started

    def _kept(self, training: "Training") -> set[int]:
        """Returns the epochs whose checkpoints stay."""
        best = best_epoch(training.history, metric=self.spec.training.metric, mode=self.spec.training.mode)
        # The one before the newest stays as well, in case the newest turns out to be damaged.
        return {best, training.epoch, training.epoch - 1}

    def _leave_if_superseded(self) -> None:
        leave_if_superseded(Path(self.spec.checkpoints), session=self.spec.session)


def _show_augmentation(spec: WorkerSpec, train: "SplitTensors") -> None:
    """Writes the study's picture of augmented images, unless a trial before did."""
    if spec.picture is None or not spec.training.augment.is_active or Path(spec.picture).exists():
        return
    # Late, because it imports TensorFlow.
    from trainables.data.augment.picture import write_picture

    try:
        num_inputs = len(spec.dataset.task.inputs)
        write_picture(
            Path(spec.picture), spec.training.augment, train=train, seed=spec.split_seed, num_inputs=num_inputs
        )
    except OSError as exc:
        # A trial is worth more than a picture.
        logger.warning('picture=%s decision=skip reason="%s"', spec.picture, exc)


def _nothing() -> None:
    """Is what a training does between training and validation when it belongs to no trial."""


def _without_overhead(history: Sequence[EpochReport]) -> list[EpochReport]:
    # A report told again cost nothing again; the first telling has the seconds.
    return [replace(report, overhead_seconds={}) for report in history]


@functools.lru_cache(maxsize=1)
def _splits_of(dataset: DatasetInfo) -> tuple["SplitTensors", "SplitTensors"]:
    # Late, because pipeline imports TensorFlow.
    from trainables.data.batches.tensors import split_tensors

    data = open_dataset(dataset)
    return split_tensors(data.train), split_tensors(data.validation)


def _open_splits(spec: WorkerSpec) -> tuple["SplitTensors", "SplitTensors"]:
    return _splits_of(dataset_on_this_node(spec))
