"""The kinds of record that a journal holds: facts, each told once."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from orchestrator.errors import JournalError

#: The version of the journals that this package writes and reads.
JOURNAL_SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOpened:
    """The study begins; always the first record. `study_id` follows from the study's content."""

    schema: int
    study: str
    study_id: str = ""
    seed: int
    metric: str
    mode: str
    max_epochs: int
    num_trials: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """A driver begins to work on the study, for the first time or again.

    `dataset` is the images' fingerprint; `results_id` follows from all that a variant's numbers depend on.
    """

    driver_pid: int
    slots: int
    dataset: str = ""
    results_id: str = ""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyExtended:
    """The study is another one from now on, of which everything so far is a part.

    Args:
        study_id: Of the study as it is now; likewise max_epochs and num_trials.
        change: What changed, in words.
        study: The expanded study file as it is now, which is written after this record.
        replaces: The sha256 of the study file before.
    """

    study_id: str
    max_epochs: int
    num_trials: int
    change: str
    study: str
    replaces: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialProposed:
    """A trial exists from now on."""

    trial: str
    number: int
    variant: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReused:
    """A trial that completed in another run is taken over from there, whole.

    Args:
        source: The other run's folder.
        source_trial: Its name there.
        reports: EpochReports as JSON, one an epoch.
        reported_at: When each came, there.
        started_at: When workers took it up, there.
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
class TrialStarted:
    """A worker took up a trial, for the first time or again."""

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
class TrialFailed:
    """A trial ended without a usable result."""

    trial: str
    kind: str
    reason: str
    worker: Mapping[str, Any] = field(default_factory=dict)
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost:
    """A worker died, or was ended for its silence (`timed_out`); its trial goes on from the last checkpoint."""

    trial: str
    reason: str
    kind: str = "worker_lost"
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialNoted:
    """Something about a trial that its reader should know, such as a checkpoint that was passed over."""

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
    """Every trial has ended."""

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


Record = (
    StudyOpened
    | StudyExtended
    | SessionStarted
    | TrialProposed
    | TrialReused
    | TrialStarted
    | EpochReported
    | TrialStopped
    | TrialFailed
    | WorkerLost
    | TrialNoted
    | StudyPaused
    | StudyFinished
    | ModelExported
)

_KINDS: dict[str, type[Record]] = {
    "study_opened": StudyOpened,
    "study_extended": StudyExtended,
    "session_started": SessionStarted,
    "trial_proposed": TrialProposed,
    "trial_reused": TrialReused,
    "trial_started": TrialStarted,
    "epoch_reported": EpochReported,
    "trial_stopped": TrialStopped,
    "trial_failed": TrialFailed,
    "worker_lost": WorkerLost,
    "trial_noted": TrialNoted,
    "study_paused": StudyPaused,
    "study_finished": StudyFinished,
    "model_exported": ModelExported,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FIELDS = {name: frozenset(item.name for item in fields(kind)) for name, kind in _KINDS.items()}


def record_to_json(record: Record) -> dict[str, Any]:
    """Returns a record as a JSON-ready mapping with its kind under `type`.

    >>> record_to_json(StudyFinished(at=1.0))
    {'type': 'study_finished', 'at': 1.0}
    """
    return {"type": _NAMES[type(record)], **asdict(record)}


def record_from_json(mapping: object) -> Record:
    """Returns the record that `record_to_json` described.

    Raises:
        JournalError: If it is none.
    """
    name = mapping.get("type") if isinstance(mapping, dict) else mapping
    if not isinstance(mapping, dict) or not isinstance(name, str) or name not in _KINDS:
        raise JournalError(f"expected a record of a known type, got {name!r}")
    kind, known = _KINDS[name], _FIELDS[name]
    try:
        return kind(**{key: value for key, value in mapping.items() if key in known})
    except TypeError as exc:
        raise JournalError(f"a record of type {name!r} lacks fields: {exc}") from exc
