"""Trials and the study as a fold of journal records: states are computed from facts, never set."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.errors import JournalError
from orchestrator.facts import check_fact
from orchestrator.records import (
    JOURNAL_SCHEMA,
    EpochReported,
    ModelExported,
    Record,
    SessionStarted,
    StudyFinished,
    StudyOpened,
    StudyPaused,
    TrialFailed,
    TrialNoted,
    TrialProposed,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from search_spaces import Variant
from trainables.reports import EpochReport, FailureKind


class TrialState(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"  # proposed, no worker has taken it up
    RUNNING = "running"  # with a worker
    PAUSED = "paused"  # not ended, and no driver is at work
    COMPLETED = "completed"  # trained to its last epoch, or to the one at which its patience ended
    STOPPED = "stopped"  # ended early by the scheduler
    INFEASIBLE = "infeasible"  # cannot be built for these images
    FAILED = "failed"  # ended without a usable result


@dataclass(slots=True, kw_only=True)
class Trial:
    """One run of a variant: the facts of the journal about it.

    Attributes:
        reports: One an epoch, epochs ascending, each once.
        started_at: When each worker took it up, seconds since 1970; ascending.
        stop: The scheduler's decision to end it, if there was one.
        failure: Why it ended without a result, if it did.
        worker: Facts of the last worker heard from: node, worker_pid, cpus, gpus, gpu_ids.
    """

    name: str
    number: int
    variant: Variant
    proposed_at: float
    reports: list[EpochReport] = field(default_factory=list)
    reported_at: list[float] = field(default_factory=list)
    started_at: list[float] = field(default_factory=list)
    stop: TrialStopped | None = None
    failure: TrialFailed | None = None
    losses: list[WorkerLost] = field(default_factory=list)
    notes: list[TrialNoted] = field(default_factory=list)
    worker: dict[str, Any] = field(default_factory=dict)
    is_with_worker: bool = False

    @property
    def state(self) -> TrialState:
        """Where the trial stands, apart from whether a driver is at work."""
        if self.failure is not None:
            is_infeasible = self.failure.kind == FailureKind.INFEASIBLE
            return TrialState.INFEASIBLE if is_infeasible else TrialState.FAILED
        if self.reports and self.reports[-1].is_last:
            return TrialState.COMPLETED
        if self.stop is not None:
            return TrialState.STOPPED
        if self.is_with_worker:
            return TrialState.RUNNING
        return TrialState.PAUSED if self.started_at else TrialState.WAITING

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in {TrialState.WAITING, TrialState.RUNNING, TrialState.PAUSED}

    @property
    def epoch(self) -> int:
        """The last reported epoch; 0 before the first."""
        return self.reports[-1].epoch if self.reports else 0

    @property
    def ended_at(self) -> float | None:
        """When it ended, seconds since 1970; None if it has not."""
        if not self.has_ended:
            return None
        ending = self.failure or (self.stop if not self.reported_at else None)
        return ending.at if ending is not None else self.reported_at[-1]

    @property
    def reason(self) -> str:
        """Why it ended, in words; empty for a trial that is unfinished or trained to the study's last epoch."""
        if self.failure is not None:
            return self.failure.reason
        if self.state is TrialState.STOPPED and self.stop is not None:
            return self.stop.reason
        return self.reports[-1].reason if self.reports else ""

    def best_report(self, *, metric: str, mode: str) -> EpochReport | None:
        """Returns the report with the best value of a metric, the earliest of equals; None without reports."""
        sign = 1.0 if mode == "max" else -1.0
        known = [report for report in self.reports if metric in report.metrics]
        return max(known, key=lambda report: (sign * report.metrics[metric], -report.epoch), default=None)


@dataclass(slots=True, kw_only=True)
class StudyState:
    """The whole study, as the journal tells it.

    Attributes:
        num_records: How many records were folded in.
        trials: By name, in the order they were proposed.
        report_order: (trial, epoch) of every report, in the order they came.
        is_active: Whether the last session ended neither paused nor finished (its driver may still have died).
    """

    opened: StudyOpened | None = None
    trials: dict[str, Trial] = field(default_factory=dict)
    sessions: list[SessionStarted] = field(default_factory=list)
    paused: StudyPaused | None = None
    finished: StudyFinished | None = None
    exports: list[ModelExported] = field(default_factory=list)
    report_order: list[tuple[str, int]] = field(default_factory=list)
    num_records: int = 0
    last_at: float = 0.0

    @property
    def header(self) -> StudyOpened:
        """The study's first record.

        Raises: JournalError: if the journal is empty.
        """
        if self.opened is None:
            raise JournalError("the journal is empty: the study was never opened; run it again in a new folder")
        return self.opened

    @property
    def is_active(self) -> bool:
        """Whether the last session is not known to have ended."""
        return bool(self.sessions) and self.paused is None and self.finished is None

    @property
    def unfinished(self) -> list[Trial]:
        """The trials that can still go on, in the order they were proposed."""
        return [trial for trial in self.trials.values() if not trial.has_ended]

    def apply(self, record: Record) -> None:
        """Folds one record in.

        Raises: JournalError: if it contradicts the records before it.
        """
        check_fact(record)
        if isinstance(record, StudyOpened) == (self.opened is not None):
            twice = "the study is opened twice" if self.opened else "the first record does not open the study"
            raise JournalError(twice)
        match record:
            case StudyOpened():
                if record.schema != JOURNAL_SCHEMA:
                    raise JournalError(
                        f"the journal has schema {record.schema!r}, expected {JOURNAL_SCHEMA}; use the version of "
                        "convfleet that wrote it (see environment.json)"
                    )
                self.opened = record
            case SessionStarted():
                self._start_session(record)
            case TrialProposed():
                self._propose(record)
            case StudyPaused():
                self.paused = record
                self._take_trials_from_workers()
            case StudyFinished():
                self.finished = record
            case ModelExported():
                kept = [item for item in self.exports if item.rank != record.rank]
                self.exports = [*kept, record]
            case _:
                trial = self._trial(record.trial)
                if isinstance(record, EpochReported) and self.header.metric not in record.report.get("metrics", ()):
                    raise JournalError(f"the metrics of trial {trial.name} lack the objective's, {self.header.metric}")
                _apply_to_trial(trial, record)
                if isinstance(record, EpochReported):
                    self.report_order.append((trial.name, trial.epoch))
        self.num_records += 1
        self.last_at = record.at

    def _start_session(self, record: SessionStarted) -> None:
        self.sessions.append(record)
        self.paused = self.finished = None
        self._take_trials_from_workers()

    def _propose(self, record: TrialProposed) -> None:
        if record.trial in self.trials:
            raise JournalError(f"trial {record.trial} is proposed twice")
        self.trials[record.trial] = Trial(
            name=record.trial,
            number=record.number,
            variant=Variant.from_json(record.variant),
            proposed_at=record.at,
        )

    def _take_trials_from_workers(self) -> None:
        for trial in self.trials.values():
            trial.is_with_worker = False

    def _trial(self, name: str) -> Trial:
        if name not in self.trials:
            raise JournalError(f"a record names trial {name!r}, which was never proposed")
        return self.trials[name]


def _apply_to_trial(
    trial: Trial, record: TrialStarted | EpochReported | TrialStopped | TrialFailed | WorkerLost | TrialNoted
) -> None:
    match record:
        case TrialStarted():
            trial.started_at.append(record.at)
            trial.is_with_worker = True
        case EpochReported():
            report = EpochReport.from_json(record.report)
            if report.epoch != trial.epoch + 1:
                raise JournalError(f"trial {trial.name} reports epoch {report.epoch} after epoch {trial.epoch}")
            trial.reports.append(report)
            trial.reported_at.append(record.at)
            trial.worker = dict(record.worker)
        case TrialStopped():
            trial.stop = record
        case TrialFailed():
            trial.failure = record
            trial.worker = dict(record.worker) or trial.worker
        case WorkerLost():
            trial.losses.append(record)
            trial.is_with_worker = False
        case TrialNoted():
            trial.notes.append(record)


def fold(records: Iterable[Record]) -> StudyState:
    """Returns the state of the study that the records tell of.

    Raises: JournalError: naming the record that contradicts those before it or makes no sense.
    """
    state = StudyState()
    for number, record in enumerate(records, start=1):
        try:
            state.apply(record)
        except (JournalError, TypeError, ValueError, AttributeError, KeyError, RecursionError) as exc:
            raise JournalError(
                f"record {number} cannot be true ({exc}); the journal was changed by something else; restore it from a "
                "backup, or run the study anew in a new folder"
            ) from exc
    return state
