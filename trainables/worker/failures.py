"""Failures of a trial: which kind an error is, and the last try of batches that run out of memory."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.errors import DataError, DivergedError, InfeasibleError, MicroBatchError, UserCodeError
from trainables.machine.out_of_memory import (
    BatchSplit,
    given_up,
    is_out_of_memory,
    micro_batches_note,
    num_micro_batches,
)
from trainables.reports import EpochReport, Failure, FailureKind, Note, NoteKind
from trainables.specs.worker import TrainingSpec, WorkerSpec
from trainables.user_code import in_words, user_error

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndivisibleFailure(Failure):
    """A failure because batches cannot be trained in smaller pieces; its reason is the cause."""


def ran_out_of_memory(outcome: EpochReport | Failure) -> TypeGuard[Failure]:
    """Returns whether an epoch ended because memory ran out."""
    return isinstance(outcome, Failure) and outcome.kind is FailureKind.OUT_OF_MEMORY


def failure_of(exc: Exception, *, variant: Variant, spec: TrainingSpec) -> Failure:
    """Returns the failure that an error of a trial's epoch is.

    Args:
        variant: What was trained.
        spec: Names the user's own code, whose lines a failure shows.
    """
    if isinstance(exc, InfeasibleError):
        return Failure(kind=FailureKind.INFEASIBLE, reason=str(exc))
    if isinstance(exc, DivergedError):
        return Failure(kind=FailureKind.DIVERGED, reason=str(exc))
    details = "".join(traceback.format_exception(exc))
    if isinstance(exc, DataError):
        return Failure(kind=FailureKind.DATA_ERROR, reason=str(exc), details=details)
    if isinstance(exc, MicroBatchError):
        # TensorFlow puts the traced lines before the message.
        reason = str(exc).rpartition(f"{MicroBatchError.__name__}: ")[2].strip()
        return IndivisibleFailure(kind=FailureKind.OUT_OF_MEMORY, reason=reason, details=details)
    if message := _users_message(exc, variant=variant, spec=spec):
        return Failure(kind=FailureKind.CODE_ERROR, reason=message.partition("\n")[0], details=message)
    return Failure(kind=_kind_of(exc), reason=in_words(exc), details=details)


def _users_message(exc: Exception, *, variant: Variant, spec: TrainingSpec) -> str:
    """Returns an error of the user's own code with the user's lines, not ours; empty where it is another one."""
    if is_out_of_memory(exc) or not (spec.code or FAMILIES[variant.family].has_own_parameters):
        return ""
    if isinstance(exc, UserCodeError):
        return str(exc)
    return user_error(exc, folder=Path(spec.study_dir).absolute())


def _kind_of(exc: Exception) -> FailureKind:
    if isinstance(exc, OSError):
        return FailureKind.STORAGE_ERROR
    return FailureKind.OUT_OF_MEMORY if is_out_of_memory(exc) else FailureKind.CODE_ERROR


@dataclass(slots=True, kw_only=True)
class MicroBatches:
    """The pieces that a trial's batches are trained in: one, until memory runs out.

    Args:
        trial: The trial's name.
        variant: What it trains.
        spec: What all trials of the study share.
        on_note: Takes what readers should know of a trial that is trained in pieces.
        count: Pieces of each batch, as the trial or a checkpoint of it began.
    """

    trial: str
    variant: Variant
    spec: WorkerSpec
    on_note: Callable[[Note], None]
    count: int = 1

    def retry(
        self,
        failure: Failure,
        *,
        epoch: int,
        memory_mb: float | None,
        attempt: Callable[[], EpochReport | Failure],
    ) -> EpochReport | Failure:
        """Returns how an epoch that ran out of memory ends: as a try in smaller pieces does, if it has had none yet.

        Args:
            failure: What the last try ended with.
            epoch: The epoch that ran out of memory.
            memory_mb: What a step of a whole batch was estimated to need; None: not known.
            attempt: Trains the epoch, each batch in `count` pieces.
        """
        # A trial that a checkpoint, or an earlier epoch, made one of micro-batches has no other try.
        was_cut = self.count > 1
        batch_size: Any = FAMILIES[self.variant.family].with_defaults(self.variant.params)["batch_size"]
        batch_size = min(batch_size, self.spec.dataset.num_train)
        pieces = self.count if was_cut else num_micro_batches(batch_size)
        cut = BatchSplit(batch_size=batch_size, pieces=pieces)
        outcome: EpochReport | Failure = failure
        if pieces > 1 and not was_cut:
            logger.info('trial=%s epoch=%d decision=micro-batches reason="%s"', self.trial, epoch, failure.reason)
            self.count = pieces
            outcome = attempt()
        if ran_out_of_memory(outcome):
            why = outcome.reason if isinstance(outcome, IndivisibleFailure) else ""
            reason = given_up(cut, memory_mb=memory_mb, why=why)
            return Failure(kind=FailureKind.OUT_OF_MEMORY, reason=reason, details=outcome.details)
        self.on_note(Note(kind=NoteKind.MICRO_BATCHES, text=micro_batches_note(cut, epoch=epoch)))
        return outcome
