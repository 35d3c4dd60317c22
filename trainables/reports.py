"""The report of a trial after every epoch, and the failures that end a trial."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

#: What a variant costs, as a trial's first report has it.
COSTS = ("parameters", "multiply_adds", "memory_mb", "latency_ms")


class FailureKind(StrEnum):
    """Why a trial ended without a usable result."""

    INFEASIBLE = "infeasible"
    DIVERGED = "diverged"
    CODE_ERROR = "code_error"
    DATA_ERROR = "data_error"
    STORAGE_ERROR = "storage_error"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_LOST = "worker_lost"
    TIMED_OUT = "timed_out"
    MOVED = "moved"


class NoteKind(StrEnum):
    """The subject of a note about a trial."""

    CHECKPOINT_INVALID = "checkpoint_invalid"
    CHECKPOINT_HERE_ONLY = "checkpoint_here_only"
    CHECKPOINT_EVICTED = "checkpoint_evicted"
    CHECKPOINT_TRAINED_AGAIN = "checkpoint_trained_again"
    MICRO_BATCHES = "micro_batches"
    GPUS_NOT_SEEN = "gpus_not_seen"
    OWN_MODEL = "own_model"
    CALLBACKS = "callbacks"
    NOT_REPLACED = "not_replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark for readers of a trial's numbers; the trial continues.

    Args:
        kind: The subject, for programs.
        text: One line for the user.
    """

    kind: NoteKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """The results of one epoch of a trial.

    Args:
        epoch: The epoch just finished, counted from 1.
        metrics: Metric name to finite value; `val_*` come from the validation split.
        train_seconds: Seconds spent in training steps of this epoch.
        images_per_second: Training images seen a second in those steps.
        overhead_seconds: Seconds since the last report that were not training, by kind:
            import, data, build, trace, validate, checkpoint, and the kinds that `worker_clock` adds.
        is_last: Whether the trial ends by itself with this report.
        reason: Why the trial ends before the study's last epoch, in words; else empty.
        cost: The variant's cost, in a trial's first report only: parameters, multiply_adds, memory_mb, latency_ms.
    """

    epoch: int
    metrics: Mapping[str, float]
    train_seconds: float
    images_per_second: float
    overhead_seconds: Mapping[str, float] = field(default_factory=dict)
    is_last: bool = False
    reason: str = ""
    cost: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        # By hand: a checkpoint has all reports of its trial, and `asdict` takes eight times as long.
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in _values(self)}

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "EpochReport":
        """Returns the report that `to_json` described.

        >>> report = EpochReport(epoch=1, metrics={"val_accuracy": 0.5}, train_seconds=1.0, images_per_second=8.0)
        >>> EpochReport.from_json(report.to_json()) == report
        True
        """
        return cls(**mapping)


def _values(report: EpochReport) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(report, name)) for name in _NAMES)


_NAMES = tuple(item.name for item in fields(EpochReport))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a trial ended without a usable result.

    Args:
        kind: The kind of failure, for programs.
        reason: One line for the user.
        details: The traceback; empty if it would add nothing.
    """

    kind: FailureKind
    reason: str
    details: str = ""
