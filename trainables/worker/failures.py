"""Which kind of failure an error of a training is."""

from typing import TypeGuard

from trainables.machine.out_of_memory import is_out_of_memory
from trainables.reports import EpochReport, Failure, FailureKind


def ran_out_of_memory(outcome: EpochReport | Failure) -> TypeGuard[Failure]:
    """Returns whether an epoch ended because memory ran out."""
    return isinstance(outcome, Failure) and outcome.kind is FailureKind.OUT_OF_MEMORY


def kind_of(exc: Exception) -> FailureKind:
    """Returns which kind of failure an error of a training is."""
    if isinstance(exc, OSError):
        return FailureKind.STORAGE_ERROR
    return FailureKind.OUT_OF_MEMORY if is_out_of_memory(exc) else FailureKind.CODE_ERROR
