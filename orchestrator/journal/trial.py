"""Folds journal records into trials; a trial's state is computed from its records, never set."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from orchestrator.errors import JournalError
from orchestrator.journal.records import (
    EpochReported,
    TrialFailed,
    TrialHeld,
    TrialNoted,
    TrialPromoted,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from orchestrator.journal.steering_records import AnnotationAdded, TrialStopAsked
from search_spaces import Variant
from trainables.patience import report_key
from trainables.reports import EpochReport, FailureKind

TrialRecord = (
    TrialStarted | EpochReported | TrialStopped | TrialHeld | TrialPromoted | TrialFailed | WorkerLost | TrialNoted
)

#: A worker's node and process id.
Process = tuple[str, int]
_UNKNOWN_WORKER: Mapping[str, Any] = {}
#: Why a trial ends that a person asked to end.
STOPPED_BY_HAND = "stopped by hand"


class TrialState(StrEnum):
    """The state of a trial."""

    WAITING = "waiting"  # proposed, no worker has started it
    RUNNING = "running"  # with a worker
    PAUSED = "paused"  # not ended, and no driver is at work
    HELD = "held"  # waits at a rung until the scheduler lets it go on
    COMPLETED = "completed"  # trained to its last epoch, or to the one at which its patience ended
    STOPPED = "stopped"  # ended early by the scheduler
    INFEASIBLE = "infeasible"  # cannot be built for these images
    FAILED = "failed"  # ended without a usable result


@dataclass(slots=True, kw_only=True)
class TrialSteering:
    """What people asked of one trial, and wrote about it.

    Attributes:
        stop: The request that it ends; None without one.
        stop_after: After a report of which epoch it ends, where its end was asked for.
        keeps: (epoch that it had reported, whether it is kept from the next one on) of each such request, in order.
        is_starred: Whether it has a star.
        annotations: What people wrote about it, in order.
        is_asked: Whether a person asked for its variant.
    """

    stop: TrialStopAsked | None = None
    stop_after: int = 0
    keeps: list[tuple[int, bool]] = field(default_factory=list)
    is_starred: bool = False
    annotations: list[AnnotationAdded] = field(default_factory=list)
    is_asked: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether early stopping lets it go on now."""
        return bool(self.keeps) and self.keeps[-1][1]

    def is_kept_at(self, epoch: int) -> bool:
        """Returns whether early stopping lets it go on after its report of an epoch.

        A request that the journal has after the report does not count: a replay decides as the driver did then.

        >>> steering = TrialSteering(keeps=[(2, True), (5, False)])
        >>> [steering.is_kept_at(epoch) for epoch in (2, 3, 5, 6)]
        [False, True, True, False]

        Args:
            epoch: One that it has reported.
        """
        return next((keep for reported, keep in reversed(self.keeps) if reported < epoch), False)

    def go_on_from(self, epoch: int) -> None:
        """Lets a trial that goes to a worker get to its next report before it ends.

        Args:
            epoch: The last one that it has reported.
        """
        if self.stop is not None:
            self.stop_after = max(self.stop_after, epoch + 1)


@dataclass(slots=True, kw_only=True)
class Trial:
    """One run of a variant: the facts of the journal about it.

    Attributes:
        reports: One an epoch, epochs ascending, each once.
        started_at: When each worker started it, seconds since 1970; ascending.
        stop: The scheduler's decision to end it; None without one.
        held: The scheduler's decision to let it wait at its last epoch; None where it did not, or went on since.
        promoted: The scheduler's last decision to let it go on; None without one.
        waits: The scheduler's decisions to let it wait, and to let it go on, in their order.
        failure: Why it ended without a result; None if it did not.
        processes: Node and process of the worker that sent each report; an empty text and 0 where it did not say.
        worker: The last worker that reported: node, worker_pid, cpus, gpus, gpu_ids.
        reused_from: Another run's folder and trial, `runs/old:t0007`, if that run trained it; empty otherwise.
        num_losses_before: How many of the losses happened in earlier sessions.
        replicate_of: The trial whose variant this one trains with another seed; empty for a trial of the search.
        fold: The fold of the data that a replicate validates on, from 1; 0: the validation split of the search.
        num_others_before: How many replicates and trials that take others' places were added before it.
        parent: The trial whose checkpoint it began from; empty for a trial that began with fresh weights.
        from_epoch: The epoch of that checkpoint; 0 without one. Its reports begin with the next epoch.
        replaces: The trial whose place it took in the population; empty if it took none.
        replaced_by: The trial that took its place when it was stopped; empty if none did.
        inherited_cost: What its parent's variant costs, which has the same architecture.
        steering: What people asked of it, and wrote about it.
    """

    name: str
    number: int
    variant: Variant
    proposed_at: float
    reports: list[EpochReport] = field(default_factory=list)
    reported_at: list[float] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    started_at: list[float] = field(default_factory=list)
    stop: TrialStopped | None = None
    held: TrialHeld | None = None
    promoted: TrialPromoted | None = None
    waits: list[TrialHeld | TrialPromoted] = field(default_factory=list)
    failure: TrialFailed | None = None
    losses: list[WorkerLost] = field(default_factory=list)
    notes: list[TrialNoted] = field(default_factory=list)
    worker: dict[str, Any] = field(default_factory=dict)
    is_with_worker: bool = False
    reused_from: str = ""
    num_losses_before: int = 0
    replicate_of: str = ""
    fold: int = 0
    num_others_before: int = 0
    parent: str = ""
    from_epoch: int = 0
    replaces: str = ""
    replaced_by: str = ""
    inherited_cost: Mapping[str, float] = field(default_factory=dict)
    steering: TrialSteering = field(default_factory=TrialSteering)

    @property
    def place(self) -> int:
        """Its number among the trials that the search proposed, from 0."""
        return self.number - self.num_others_before

    @property
    def is_of_search(self) -> bool:
        """Whether the search proposed it: it is no replicate, and took no other trial's place."""
        return not (self.replicate_of or self.parent)

    @property
    def num_epochs(self) -> int:
        """How many epochs it was trained for itself: those of its parent do not count."""
        return max(0, self.epoch - self.from_epoch)

    @property
    def state(self) -> TrialState:
        """The trial's state, as if a driver is at work."""
        if self.failure is not None:
            is_infeasible = self.failure.kind == FailureKind.INFEASIBLE
            return TrialState.INFEASIBLE if is_infeasible else TrialState.FAILED
        if self.reports and self.reports[-1].is_last:
            return TrialState.COMPLETED
        if self.stop is not None:
            return TrialState.STOPPED
        if self.is_with_worker:
            return TrialState.RUNNING
        if self.held is not None:
            return TrialState.HELD
        return TrialState.PAUSED if self.started_at else TrialState.WAITING

    @property
    def has_ended(self) -> bool:
        """Whether the trial has ended."""
        # The same condition as in `state`, written out because it is evaluated several times a record.
        return self.failure is not None or self.stop is not None or (bool(self.reports) and self.reports[-1].is_last)

    @property
    def is_held(self) -> bool:
        """Whether the trial waits at a rung."""
        return self.held is not None and not self.is_with_worker and not self.has_ended

    @property
    def epoch(self) -> int:
        """The last reported epoch; before the first report that of the checkpoint it began from, or 0."""
        return self.reports[-1].epoch if self.reports else self.from_epoch

    @property
    def ended_at(self) -> float | None:
        """When the trial's training ended, seconds since 1970: at its failure, else at its last report.

        None if the trial has not ended, or another thread has applied half of its last report. The scheduler may stop
        a trial later than at its last report, such as at the replay of a resumed study: that time is `stop.at`.
        """
        if not self.has_ended:
            return None
        if self.failure is not None:
            return self.failure.at
        if self.stop is not None and not self.reports:
            return self.stop.at
        return self.reported_at[-1] if len(self.reported_at) == len(self.reports) else None

    @property
    def silent_since(self) -> float | None:
        """When its worker last started or reported, seconds since 1970; None if no report is awaited."""
        if self.has_ended or not self.is_with_worker:
            return None
        return max([*self.started_at[-1:], *self.reported_at[-1:]], default=None)

    @property
    def losses_of_session(self) -> list[WorkerLost]:
        """The workers that the trial lost since the session began."""
        return self.losses[self.num_losses_before :]

    @property
    def reason(self) -> str:
        """Why the trial ended or waits, in words; empty where it is on its way or trained to the study's last epoch."""
        if self.failure is not None:
            return self.failure.reason
        if self.held is not None and self.is_held:
            return self.held.reason
        if self.state is TrialState.STOPPED and self.stop is not None:
            return self.stop.reason
        return self.reports[-1].reason if self.reports else ""

    def best_report(self, *, metric: str, mode: str, ties: str = "") -> EpochReport | None:
        """Returns the report with the best value of a metric; None without reports.

        Args:
            metric: Its name.
            mode: `max` or `min`.
            ties: The metric whose lower value decides between equal ones, before the earlier epoch does.
        """
        known = [report for report in self.reports if metric in report.metrics]
        return max(known, key=lambda report: report_key(report, metric=metric, mode=mode, ties=ties), default=None)


def num_moves(trial: Trial) -> int:
    """Returns how often a trial moved off a node that was about to leave the cluster."""
    return sum(loss.kind == FailureKind.MOVED for loss in list(trial.losses))


def index_of(trial: Trial, epoch: int) -> int:
    """Returns the place of an epoch among its reports."""
    return epoch - trial.from_epoch - 1


def can_end_at_once(trial: Trial) -> bool:
    """Returns whether a trial ends without another report where a person asks for its end.

    No trial ends before its first report, as for a budget. One that lost its worker, or may go on from a rung, is on
    its way to a worker.
    """
    is_promoted = trial.promoted is not None and trial.promoted.epoch == trial.epoch
    is_on_its_way = bool(trial.losses_of_session) or is_promoted
    return bool(trial.reports) and not trial.is_with_worker and (trial.is_held or not is_on_its_way)


def is_to_stop(trial: Trial) -> bool:
    """Returns whether a trial ends now because a person asked for it."""
    return trial.steering.stop is not None and trial.epoch >= trial.steering.stop_after and not trial.has_ended


def is_stopped_by_hand(trial: Trial) -> bool:
    """Returns whether a trial ended because a person asked for it."""
    return trial.stop is not None and trial.stop.reason.startswith(STOPPED_BY_HAND)


def apply_to_trial(trial: Trial, record: TrialRecord) -> None:
    """Adds a record to the trial that it is about."""
    match record:
        case EpochReported():
            add_report(trial, EpochReport.from_json(record.report), at=record.at, worker=record.worker)
            trial.worker = dict(record.worker)
            trial.held = None
        case TrialStarted():
            trial.started_at.append(record.at)
            trial.is_with_worker = True
            trial.steering.go_on_from(trial.epoch)
        case TrialStopped():
            trial.stop = record
        case TrialHeld():
            trial.held = record
            trial.waits.append(record)
            trial.is_with_worker = False
            trial.steering.stop_after = min(trial.steering.stop_after, trial.epoch)
        case TrialPromoted():
            trial.held, trial.promoted = None, record
            trial.waits.append(record)
            trial.steering.go_on_from(trial.epoch)
        case TrialFailed():
            trial.failure = record
            trial.worker = dict(record.worker) or trial.worker
        case WorkerLost():
            trial.losses.append(record)
            trial.is_with_worker = False
        case TrialNoted():
            trial.notes.append(record)


def process_of(worker: Mapping[str, Any]) -> Process:
    """Returns a worker's node and process id.

    >>> process_of({"node": "n1", "worker_pid": 42, "cpus": 1.0}), process_of({})
    (('n1', 42), ('', 0))
    """
    return worker.get("node") or "", worker.get("worker_pid") or 0


def add_report(trial: Trial, report: EpochReport, *, at: float, worker: Mapping[str, Any] = _UNKNOWN_WORKER) -> None:
    """Adds a report to a trial.

    Args:
        trial: The trial.
        report: Its next report.
        at: When the journal got it.
        worker: The facts of the worker that sent it.

    Raises:
        JournalError: The report is not the one after the trial's last.
    """
    if report.epoch != trial.epoch + 1:
        raise JournalError(f"trial {trial.name} reports epoch {report.epoch} after epoch {trial.epoch}")
    if trial.reports and trial.reports[-1].is_last:
        raise JournalError(f"trial {trial.name} reports epoch {report.epoch} after its last one, {trial.epoch}")
    if trial.inherited_cost and not trial.reports and not report.cost:
        report = replace(report, cost=trial.inherited_cost)
    process = process_of(worker)
    trial.reports.append(report)
    # A study has many reports and few workers: equal ones are kept once.
    trial.processes.append(trial.processes[-1] if trial.processes[-1:] == [process] else process)
    trial.reported_at.append(at)
