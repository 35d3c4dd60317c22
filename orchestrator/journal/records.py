"""Defines the kinds of record that a journal holds; each record is one fact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from orchestrator.errors import JournalError
from orchestrator.journal.steering_records import STEERING_KINDS, SteeringRecord
from orchestrator.pareto.choice import Condition
from orchestrator.pareto.constraints import parse_constraint
from orchestrator.pareto.goals import Goal

#: The version of the journals that this package writes and reads.
JOURNAL_SCHEMA = 2


class Ranking(TypedDict):
    """What reports and trials are compared by: see `Trial.best_report`."""

    metric: str
    mode: str
    ties: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOpened:
    """The study begins; always the first record. `study_id` follows from the study's content.

    Args:
        ties: The metric whose lower value decides between equal ones; empty: the earlier epoch does.
        search: Which algorithm `search.algorithm: auto` became, and why; empty: the study names one.
        objectives: All objectives, the main one first, where there are several: metric, mode, and perhaps reference.
        constraints: What a trial must keep to so that it may win, such as `parameters <= 1e6`.
        replicates: How often the best variants are trained again at most; 0: none is.
        leaders: How many of the best variants are trained again; 0: none is.
        folds: Which folds of the data validate: that of the search first, then one for each replicate of a leader, in
            order; empty: replicates have the validation split of the search.
        given: The id of the study as the user gave it, where images decided numbers of it; empty: it is `study_id`.
    """

    schema: int
    study: str
    study_id: str = ""
    seed: int
    metric: str
    mode: str
    max_epochs: int
    num_trials: int
    ties: str = ""
    search: str = ""
    objectives: Sequence[Mapping[str, Any]] = field(default_factory=list)
    constraints: Sequence[str] = field(default_factory=list)
    replicates: int = 0
    leaders: int = 0
    folds: Sequence[int] = field(default_factory=list)
    given: str = ""
    at: float

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All objectives, the main one first."""
        several = tuple(Goal.from_json(item) for item in self.objectives)
        return several or (Goal(metric=self.metric, mode=self.mode),)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The constraints, in their order."""
        return tuple(map(parse_constraint, self.constraints))

    @property
    def ranking(self) -> Ranking:
        """What reports and trials are compared by, as arguments of `Trial.best_report` and `ranked_trials`."""
        return Ranking(metric=self.metric, mode=self.mode, ties=self.ties)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """A driver begins to work on the study, for the first time or again.

    `dataset` is the images' fingerprint; `results_id` follows from all that a variant's numbers depend on.

    Args:
        began_at: When the driver began to prepare; 0: not known, and `at` counts.
        minutes: How long the study searches, over all its sessions; 0: as long as it takes.
    """

    driver_pid: int
    slots: int
    dataset: str = ""
    results_id: str = ""
    began_at: float = 0.0
    minutes: float = 0.0
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyExtended:
    """The study is larger from now on; all records before stay part of it.

    Args:
        study_id: The id of the extended study; likewise max_epochs, num_trials, replicates, leaders and folds.
        change: What changed, in words.
        study: The expanded study file after the extension; the driver writes the file after this record.
        replaces: The sha256 of the study file before.
    """

    study_id: str
    max_epochs: int
    num_trials: int
    change: str
    study: str
    replaces: str
    replicates: int = 0
    leaders: int = 0
    folds: Sequence[int] = field(default_factory=list)
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialProposed:
    """A trial exists from now on.

    Args:
        replicate_of: The trial whose variant this one trains with another seed; empty: the search proposed the trial.
        fold: The fold of the data that a replicate validates on, from 1; 0: the validation split of the search.
    """

    trial: str
    number: int
    variant: Mapping[str, Any]
    replicate_of: str = ""
    fold: int = 0
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReused:
    """A trial that completed in another run is copied from that run with all its reports.

    Args:
        source: The other run's folder.
        source_trial: The trial's name in the other run.
        reports: EpochReports as JSON, one an epoch.
        reported_at: When the other run recorded each report.
        started_at: When workers of the other run started the trial.
    """

    trial: str
    number: int
    variant: Mapping[str, Any]
    source: str
    source_trial: str
    reports: Sequence[Mapping[str, Any]]
    reported_at: Sequence[float]
    started_at: Sequence[float]
    worker: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReplaced:
    """The scheduler ends a trial early, and a new trial goes on in its place from a better trial's checkpoint.

    The checkpoint lies in the new trial's folder before this record is written.

    Args:
        trial: The new trial.
        parent: The trial whose checkpoint the new one goes on from; its reports up to then stay its own alone.
        from_epoch: The epoch of that checkpoint; the new trial's first epoch is the one after it.
        replaces: The trial that ends.
        epoch: The last epoch of the trial that ends.
        reason: Why it ends, and what the new trial changes, in words.
    """

    trial: str
    number: int
    variant: Mapping[str, Any]
    parent: str
    from_epoch: int
    replaces: str
    epoch: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A worker started a trial, for the first time or again."""

    trial: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReported:
    """An epoch of a trial is finished; `report` is an EpochReport as JSON."""

    trial: str
    report: Mapping[str, Any]
    worker: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStopped:
    """The scheduler ended a trial after an epoch, with its reason in words."""

    trial: str
    epoch: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialHeld:
    """The scheduler lets a trial wait after an epoch, with its reason in words; its worker is free for another."""

    trial: str
    epoch: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPromoted:
    """The scheduler lets a trial go on that waited after an epoch, with its reason in words."""

    trial: str
    epoch: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailed:
    """A trial ended without a usable result."""

    trial: str
    kind: str
    reason: str
    worker: Mapping[str, Any] = field(default_factory=dict)
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost:
    """A worker died, or the driver ended it; its trial continues from the last checkpoint.

    Attributes:
        kind: `worker_lost`; `timed_out` for one that was silent; `moved` for one whose node was about to leave.
    """

    trial: str
    reason: str
    kind: str = "worker_lost"
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialNoted:
    """A note about a trial for its readers, such as on a checkpoint that a worker skipped."""

    trial: str
    kind: str
    text: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPaused:
    """The driver stopped before the study was finished."""

    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFinished:
    """Every trial has ended; `reason` says why there are fewer of them than planned, if there are."""

    reason: str = ""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelExported:
    """A model was exported and verified; `folder` is relative to the run's, `epoch` is that of its checkpoint."""

    trial: str
    rank: int
    epoch: int = 0
    folder: str
    test_metrics: Mapping[str, float]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleExported:
    """Several checkpoints were exported as one model and verified; `folder` is relative to the run's.

    Args:
        method: How they became one: greedy, soup or snapshot.
        members: Trial, epoch and weight of each.
        metrics: What the ensemble reaches on the validation split.
    """

    method: str
    members: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, float]
    folder: str
    test_metrics: Mapping[str, float]
    at: float


Record = (
    StudyOpened
    | StudyExtended
    | SessionStarted
    | TrialProposed
    | TrialReused
    | TrialReplaced
    | TrialStarted
    | EpochReported
    | TrialStopped
    | TrialHeld
    | TrialPromoted
    | TrialFailed
    | WorkerLost
    | TrialNoted
    | StudyPaused
    | StudyFinished
    | ModelExported
    | EnsembleExported
    | SteeringRecord
)

_KINDS: dict[str, type[Record]] = {
    "study_opened": StudyOpened,
    "study_extended": StudyExtended,
    "session_started": SessionStarted,
    "trial_proposed": TrialProposed,
    "trial_reused": TrialReused,
    "trial_replaced": TrialReplaced,
    "trial_started": TrialStarted,
    "epoch_reported": EpochReported,
    "trial_stopped": TrialStopped,
    "trial_held": TrialHeld,
    "trial_promoted": TrialPromoted,
    "trial_failed": TrialFailed,
    "worker_lost": WorkerLost,
    "trial_noted": TrialNoted,
    "study_paused": StudyPaused,
    "study_finished": StudyFinished,
    "model_exported": ModelExported,
    "ensemble_exported": EnsembleExported,
    **STEERING_KINDS,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
#: Fields that records lack where they say nothing: journals of one objective without replicates are as ever.
_LEFT_OUT: Mapping[str, object] = {
    "replicate_of": "", "fold": 0, "replicates": 0, "leaders": 0, "folds": [], "objectives": [], "constraints": [],
}  # fmt: skip
_FIELDS = {name: frozenset(item.name for item in fields(kind)) for name, kind in _KINDS.items()}
_ORDERED = {kind: tuple(item.name for item in fields(kind)) for kind in _KINDS.values()}


def record_to_json(record: Record) -> dict[str, Any]:
    """Returns a record as a JSON-ready mapping with its kind under `type`.

    >>> record_to_json(StudyFinished(at=1.0))
    {'type': 'study_finished', 'reason': '', 'at': 1.0}
    """
    # By hand: `asdict` copies all that a report holds, which takes as long as writing it.
    content = {name: getattr(record, name) for name in _ORDERED[type(record)]}
    for name, nothing in _LEFT_OUT.items():
        if content.get(name) == nothing:
            content.pop(name, None)
    return {"type": _NAMES[type(record)], **content}


def record_from_json(mapping: object) -> Record:
    """Returns the record that `record_to_json` described.

    Raises:
        JournalError: If the mapping describes no record.
    """
    name = mapping.get("type") if isinstance(mapping, dict) else mapping
    if not isinstance(mapping, dict) or not isinstance(name, str) or name not in _KINDS:
        raise JournalError(f"expected a record of a known type, got {name!r}")
    kind, known = _KINDS[name], _FIELDS[name]
    try:
        return kind(**{key: value for key, value in mapping.items() if key in known})
    except TypeError as exc:
        raise JournalError(f"a record of type {name!r} lacks fields: {exc}") from exc
