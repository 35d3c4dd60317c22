"""The seam of early stopping: reports go into a decider, verdicts with reasons come out.

A decider's state follows from the reports that it was given, in their order, and, where trials may wait, from which of
them were promoted. So a resumed study replays its journal in a fresh one, and a simulation gives it reports that nobody
trained for:

>>> from orchestrator.early_stopping.deciders import make_decider
>>> from orchestrator.study.sections import Schedule
>>> schedule = Schedule(algorithm="asha", max_epochs=9, grace_epochs=1)
>>> decider = make_decider(Rules(schedule=schedule, metric="val_accuracy", mode="max", seed=7))
>>> decider.judge(Reported(trial="t0000", number=0, epoch=1, value=0.9)).stops
False
>>> decider.judge(Reported(trial="t0001", number=1, epoch=1, value=0.4)).reason
'asha: val_accuracy 0.4000 at epoch 1 is outside the best 1/3 of the 1 trials that got there before (cut-off 0.9000)'
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from orchestrator.pareto.goals import Losses
from orchestrator.study.sections import Schedule
from orchestrator.study.spec import StudySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """One epoch's news, as far as early stopping is concerned.

    Attributes:
        trial: The trial's name.
        number: Its number in the order of proposals, from 0.
        epoch: The epoch, from 1; a trial reports its epochs one after another.
        value: The main objective's value, finite.
        losses: With several objectives its number for each, the smaller the better; empty with one.
        breaks: The costs by which it breaks constraints of the study, in words; empty where it breaks none.
    """

    trial: str
    number: int
    epoch: int
    value: float
    losses: Losses = ()
    breaks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a trial after a report: it goes on, it stops for good, or it waits and may go on later.

    Attributes:
        reason: Why it stops or waits, in words; empty where it goes on.
        waits: Whether it waits: its worker is free for another trial, and its checkpoint stays.
        parents: Better trials, from one of whose checkpoints another trial goes on in its place, the first choice
            first; it goes on itself if none of them can be gone on from. Empty: nothing takes its place.
    """

    reason: str = ""
    waits: bool = False
    parents: tuple[str, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether the trial stops for good."""
        return bool(self.reason) and not self.waits


GO_ON = Verdict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A waiting trial that goes on now.

    Attributes:
        trial: Its name.
        epoch: The epoch after which it waits.
        reason: Why it goes on, in words.
    """

    trial: str
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a decider needs to know of a study.

    Attributes:
        schedule: Its section, with numbers for every auto.
        metric: The main objective's name, for reasons.
        mode: Its mode, max or min.
        seed: The study's seed.
        objectives: The names of all objectives, for reasons; empty where there is one.
        is_constrained: Whether the study has constraints.
    """

    schedule: Schedule
    metric: str
    mode: str
    seed: int
    objectives: tuple[str, ...] = ()
    is_constrained: bool = False

    @property
    def sign(self) -> float:
        """1, or -1 where small values are good: deciders compare values times this, the larger the better."""
        return 1.0 if self.mode == "max" else -1.0


def rules_of(spec: StudySpec) -> Rules:
    """Returns the rules of a study."""
    objective = spec.objective
    names = tuple(goal.metric for goal in objective.goals)
    return Rules(
        schedule=spec.schedule,
        metric=objective.metric,
        mode=objective.mode,
        seed=spec.seed,
        objectives=names if len(names) > 1 else (),
        is_constrained=bool(spec.constraints),
    )


def rule_name(schedule: Schedule) -> str:
    """Returns the name of a study's rule of early stopping, as readers see it.

    >>> rule_name(Schedule(algorithm="asha")), rule_name(Schedule(algorithm="asha", promotion=True))
    ('asha', 'asha with promotion')
    """
    return f"{schedule.algorithm} with promotion" if schedule.promotion else schedule.algorithm


class Decider(Protocol):
    """Decides which trials stop early.

    Both methods take a report into the state alike, and a report that is there already is not taken twice. A trial that
    fails keeps what it reported: nothing takes a report back.
    """

    def judge(self, report: Reported) -> Verdict:
        """Returns whether a trial goes on after an epoch that is not its last."""

    def complete(self, report: Reported) -> None:
        """Takes the last report of a trial: one that ended by itself or for a budget, or that `judge` stopped."""


@runtime_checkable
class Promoting(Decider, Protocol):
    """A decider that lets trials wait, and says which of them goes on when a worker is free.

    A trial that waits may go on at any later moment, exactly where it was. Whoever drives the decider asks `promotable`
    before each new trial, records the answer, and then passes it to `promote`.

    Attributes:
        num_rungs: How often a trial can wait at most.
    """

    @property
    def num_rungs(self) -> int:
        """How often a trial can wait at most."""

    def promotable(self) -> Promotion | None:
        """Returns which waiting trial goes on first; None while none may. The question changes nothing."""

    def promote(self, trial: str) -> None:
        """Takes a trial out of those that wait: it goes on, or has ended."""

    def why_left(self, trial: str) -> str:
        """Returns why a trial that still waits ends, where nothing is left to train, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The rung that a report gets to, as it is before the decider takes the report.

    Attributes:
        milestone: The epoch of the rung.
        num_before: How many trials stand in it.
        cutoff: The value that takes a trial further; None where nobody stands there, where it is too few for anyone to
            go on, and with several objectives, which no one value decides.
        bracket: The number of the rung's ladder, from 0.
    """

    milestone: float
    num_before: int
    cutoff: float | None
    bracket: int = 0


@runtime_checkable
class Laddered(Decider, Protocol):
    """A decider that compares trials at rungs; both questions change nothing.

    Attributes:
        milestones: The epochs of the rungs of each ladder, ascending.
    """

    @property
    def milestones(self) -> Sequence[Sequence[float]]:
        """The epochs of the rungs of each ladder, ascending."""

    def arrival(self, report: Reported) -> Arrival | None:
        """Returns the rung that a report gets to; None where it gets to none that lacks its trial."""
