"""What a tracker gets of a run: a few kinds of event, each a plain fact of the journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from search_spaces import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyBegun:
    """The study is opened.

    Args:
        facts: Its seed, objective and sizes, by name.
        at: Seconds since 1970, here and in all events.
    """

    facts: Mapping[str, Value]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAdded:
    """A trial exists from now on.

    Args:
        trial: Its name.
        family: Of its variant.
        params: The variant's active parameters.
        seed: The variant's.
        facts: The variant's id, and where the trial comes from: replicate_of, fold, parent, from_epoch, reused_from.
    """

    trial: str
    family: str
    params: Mapping[str, Value]
    seed: int
    facts: Mapping[str, Value] = field(default_factory=dict)
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalars:
    """Numbers at a step.

    Args:
        trial: Its name; empty for numbers of the study.
        step: The trial's epoch; of the study, how many reports there were.
        values: By name.
    """

    trial: str
    step: int
    values: Mapping[str, float]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStands:
    """A trial's state, in place of an earlier one.

    Args:
        trial: Its name.
        state: As in `trials.parquet`.
        reason: Why it ended or waits; may be empty.
        has_ended: Whether it ended; an extension of the study may let it go on.
        is_failed: Whether it ended without a usable result.
        values: Its best values so far, by name.
    """

    trial: str
    state: str
    reason: str
    has_ended: bool
    is_failed: bool
    values: Mapping[str, float]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStands:
    """The study's state, in place of an earlier one: running, paused or finished.

    Args:
        state: One of these words.
        reason: Why it paused, or finished before its last trial; may be empty.
        best_trial: The name of its best trial so far; may be empty.
    """

    state: str
    reason: str
    best_trial: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BestModel:
    """The model of the best trial is exported.

    Args:
        trial: The trial's name.
        folder: The export, which may not be there any more.
    """

    trial: str
    folder: Path
    at: float


Event = StudyBegun | TrialAdded | Scalars | TrialStands | StudyStands | BestModel
