"""What a study will cost: many simulated studies, with the rules of early stopping and the budgets of the real one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.early_stopping.decider import Rules, rule_name
from orchestrator.journal.records import JOURNAL_SCHEMA, StudyOpened
from orchestrator.journal.study_state import StudyState
from orchestrator.planning.courses import Course
from orchestrator.planning.drawn_courses import Draws, drawn_courses
from orchestrator.planning.simulation import Setup, Simulation
from orchestrator.study.sections import Schedule, Search

#: Checkpoints of a trial at work, and those of one that has ended: its newest, and its best.
_KEPT_AT_WORK, _KEPT_AT_END = 3, 2
#: Epochs that all simulated studies of one rule train together, about; few studies say enough of a large one.
_MOST_EPOCHS, _FEWEST_STUDIES = 60_000, 5
_LEAST_MINUTES = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a number is spread over simulated studies.

    Attributes:
        p50: Its median.
        p90: Nine of ten studies have no more.
    """

    p50: float
    p90: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """Returns the spread of some numbers."""
        p50, p90 = np.percentile(np.asarray(numbers, dtype=float), (50, 90)).tolist()
        return cls(p50=p50, p90=p90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a study costs under one rule.

    Attributes:
        schedule: The name of its rule of early stopping.
        slots: How many trials run at the same time.
        num_studies: How many studies were simulated.
        wall_seconds: From the study's begin to the end of its last trial.
        core_seconds: How long trials hold their CPUs, times those.
        gpu_seconds: The same with GPUs.
        num_trials: How many trials begin.
        epochs: How many epochs they train.
        checkpoint_bytes: What their checkpoints need on the disk.
    """

    schedule: str
    slots: int
    num_studies: int
    wall_seconds: Spread
    core_seconds: Spread
    gpu_seconds: Spread
    num_trials: Spread
    epochs: Spread
    checkpoint_bytes: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The study that is asked about.

    Attributes:
        draws: How its trials are drawn.
        schedule: Its rule, with a number for each auto.
        search: Its budgets.
        slots: How many trials run at the same time.
        seed: Equal seeds, equal answers.
        gpus: GPUs of a trial.
        begin_seconds: What passes before the first trial begins.
        begin_swing: By about which share that is wrong.
        budget_bytes: What checkpoints may take; None: as much as they need.
    """

    draws: Draws
    schedule: Schedule
    search: Search
    slots: int
    seed: int
    gpus: float = 0.0
    begin_seconds: float = 0.0
    begin_swing: float = 0.0
    budget_bytes: float | None = None


def forecast(question: Question, *, num_studies: int) -> Forecast:
    """Returns what a study costs, from simulated ones.

    Args:
        question: The study.
        num_studies: How many are simulated at most.
    """
    draws = question.draws
    fitting = _MOST_EPOCHS // max(1, draws.num_trials * draws.max_epochs)
    count = min(num_studies, max(_FEWEST_STUDIES, fitting))
    found = [_costs(question, np.random.default_rng([question.seed, number])) for number in range(count)]
    columns = {name: Spread.of([costs[name] for costs in found]) for name in found[0]}
    return Forecast(schedule=rule_name(question.schedule), slots=question.slots, num_studies=count, **columns)


def _costs(question: Question, random: np.random.Generator) -> dict[str, float]:
    """Returns what one simulated study costs, by the names of a forecast."""
    draws = question.draws
    courses = drawn_courses(draws, random)
    begin = question.begin_seconds * math.exp(random.normal(0.0, question.begin_swing))
    state = Simulation(_setup(question, begin_seconds=begin), courses).run()
    held = _held_seconds(state, courses)
    return {
        "wall_seconds": begin + state.clock.seconds(state.last_at),
        "core_seconds": held * draws.cpus,
        "gpu_seconds": held * question.gpus,
        "num_trials": float(len(state.trials)),
        "epochs": float(len(state.report_order)),
        "checkpoint_bytes": _checkpoint_bytes(question, state),
    }


def _setup(question: Question, *, begin_seconds: float) -> Setup:
    draws, search = question.draws, question.search
    header = StudyOpened(
        schema=JOURNAL_SCHEMA,
        study="plan",
        seed=question.seed,
        metric=draws.metric,
        mode=draws.mode,
        max_epochs=draws.max_epochs,
        num_trials=draws.num_trials,
        at=0.0,
    )
    if search.minutes is not None:
        # They include the begin, which the simulation does not know of.
        left = max(_LEAST_MINUTES, search.minutes - begin_seconds / 60)
        search = search.model_copy(update={"minutes": left})
    return Setup(
        header=header,
        rules=Rules(schedule=question.schedule, metric=draws.metric, mode=draws.mode, seed=question.seed),
        # Nobody knows whether a value is reached.
        search=search.model_copy(update={"target": None}),
        num_trials=draws.num_trials,
        slots=question.slots,
    )


def _held_seconds(state: StudyState, courses: Sequence[Course]) -> float:
    """Returns how long trials held what they have of a machine."""
    begun = ((state.trials[course.trial.name], course) for course in courses if course.trial.name in state.trials)
    return sum(sum(course.seconds[: trial.epoch]) + course.failing_seconds for trial, course in begun)


def _checkpoint_bytes(question: Question, state: StudyState) -> float:
    """Returns what the checkpoints of a study need on the disk when its last trials are about to end."""
    sizes = {price.variant.variant_id: price.checkpoint_bytes for price in question.draws.prices}
    kept = sum(sizes[trial.variant.variant_id] * min(trial.epoch, _KEPT_AT_END) for trial in state.trials.values())
    needed = kept + (_KEPT_AT_WORK - _KEPT_AT_END) * question.slots * max(sizes.values(), default=0)
    return float(needed if question.budget_bytes is None else min(needed, question.budget_bytes))
