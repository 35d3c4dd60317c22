"""The study's trials so far, as searchers see them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState as OptunaState

from orchestrator.journal.trial import Trial, TrialState
from orchestrator.pareto.choice import Condition
from orchestrator.pareto.constraints import excesses, in_words
from orchestrator.pareto.fronts import front_ranks
from orchestrator.pareto.goals import Losses, losses_of
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.optuna_internals import Seen
from orchestrator.study.objectives import Objective

optuna.logging.set_verbosity(optuna.logging.ERROR)

#: Of many trials a sampler learns from so many of the last ones, and up to WINDOW_STEP more, and from the best before.
WINDOW, WINDOW_STEP, WINDOW_BEST = 300, 100, 100


@dataclass(slots=True, kw_only=True)
class Tried:
    """One trial as a searcher sees it.

    Attributes:
        values: Of its active parameters.
        numbers: The same as Optuna counts them, in the order of the space's columns; NaN where one is inactive.
        has_ended: Whether it trains no more.
        value: Its best value of the main objective, larger is better, also where it was stopped, or waits at a rung;
            None while it runs, and where it failed.
        losses: With several objectives its number for each, smaller is better; None where `value` is, or one lacks.
        excesses: How far it is beyond each constraint, as shares of the limits; above 0 where it breaks one. Empty
            without constraints, while it runs, and where it failed.
        ended_at: When it ended, seconds since 1970; 0 while it runs.
        trial: Its reports so far, as the journal has them; None where the searcher was shown none.
        seen: What the Parzen estimator learns from it; None while it runs.
        num_seen: How many reports it had then.
    """

    values: Mapping[str, Any]
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0))
    has_ended: bool = False
    value: float | None = None
    losses: Losses | None = None
    excesses: tuple[float, ...] = ()
    ended_at: float = 0.0
    trial: Trial | None = None
    seen: Seen | None = None
    num_seen: int = 0

    @property
    def is_known(self) -> bool:
        """Whether it says what its values are worth: it has ended, or waits at a rung."""
        return self.has_ended or self.seen is not None

    @property
    def excess(self) -> float:
        """How far it is beyond all constraints together; 0 where it keeps to them."""
        return sum(max(0.0, share) for share in self.excesses)

    @property
    def all_losses(self) -> Losses:
        """Its numbers for the objectives, smaller is better; it has a value."""
        return self.losses or (-(self.value or 0.0),)


class History:
    """Keeps what searchers know of the trials so far.

    It is a function of the journal's facts alone: of each trial's values, in the order of proposals, and of how the
    trial ended. One that waits at a rung counts, until it goes on, as if it was stopped there. Of many trials the
    estimator sees the last ones, and the best of the others, as a draw's cost grows with them.

    Args:
        space: How Optuna sees the search space.
        objective: What a trial's value is.
        conditions: What a trial must keep to so that it may win.
        is_kept: Whether the search learns from earlier trials; else none is kept.
    """

    def __init__(
        self, space: EncodedSpace, *, objective: Objective, is_kept: bool, conditions: Sequence[Condition] = ()
    ) -> None:
        #: Trials the estimator may learn from that have a value; the others count as worse than all of them.
        self.num_with_values = 0
        #: All trials by their numbers, in the order of proposals.
        self.tried: dict[int, Tried] = {}
        self.is_kept = is_kept
        #: The numbers of the trials that run.
        self._running: set[int] = set()
        #: How many trials do not run, and in how many of them each column was active.
        self._num_known, self._num_active = 0, np.zeros(len(space.columns), dtype=int)
        #: What the estimator sees, by number: the window, and the best trials before it.
        self._window: dict[int, Seen] = {}
        #: The first trial of the window, and whether a trial before it has changed since.
        self._first, self._is_stale = 0, False
        self._space = space
        self._objective, self._conditions = objective, conditions

    def begin(self, number: int) -> None:
        """Prepares the proposal of the study's trial `number`: chooses the trials that the estimator sees.

        Which these are follows from the number and from how trials ended, so a resumed study has the same.
        """
        first = max(0, number // WINDOW_STEP - WINDOW // WINDOW_STEP) * WINDOW_STEP
        if self.is_kept and (first != self._first or self._is_stale):
            self._look_from(first)

    def observe(self, running: Iterable[Trial]) -> None:
        """Takes over the reports so far of trials that have not ended."""
        for trial in running:
            tried = self.tried.get(trial.place)
            if tried is None:
                continue
            tried.trial = trial
            is_held = trial.is_held
            if tried.seen is not None and not (is_held and tried.num_seen == len(trial.reports)):
                self._forget(trial.place, tried)
            if is_held and tried.seen is None:
                self._learn(trial, tried)

    def seen(self) -> list[Seen]:
        """Returns the trials that the estimator learns from, in the order of proposals, running ones among them."""
        running = [
            Seen(number=number, state=OptunaState.RUNNING, numbers=self.tried[number].numbers)
            for number in self._running
        ]
        return sorted([*self._window.values(), *running], key=lambda item: item.number)

    def common(self) -> dict[str, BaseDistribution]:
        """Returns the parameters that were active in every trial that does not run, by name in alphabetical order.

        It is what Optuna computes from all trials whenever it is asked.
        """
        active = self._num_active == self._num_known
        names = sorted(name for name, at in self._space.columns.items() if self._num_known and active[at])
        return {name: self._space.distribution(name) for name in names}

    def accept(self, number: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """Adds a running trial of these values, the study's trial `number`, and returns them as the space has them."""
        encoded = self._space.encode(values)
        accepted = self._space.suggest(lambda name, _: encoded[name])
        if self.is_kept:
            self.tried[number] = Tried(values=accepted, numbers=self._space.numbers(accepted))
            self._running.add(number)
        return accepted

    def end(self, trial: Trial) -> None:
        """Adds how a trial ended: its best value, or, where it was stopped, how far it came; a failed one is worst."""
        if not self.is_kept:
            return
        tried = self.tried[trial.place]
        if tried.seen is not None:
            self._forget(trial.place, tried)
        tried.has_ended, tried.ended_at, tried.trial = True, trial.ended_at or 0.0, trial
        self._learn(trial, tried)

    def _learn(self, trial: Trial, tried: Tried) -> None:
        """Takes over what a trial came to that has ended, or waits."""
        number, objective = trial.place, self._objective
        best = trial.best_report(metric=objective.metric, mode=objective.mode)
        tried.num_seen = len(trial.reports)
        tried.excesses = _excesses_of(trial, objective=objective, conditions=self._conditions)
        if trial.failure is None and best is not None:
            tried.value = (1 if objective.mode == "max" else -1) * best.metrics[objective.metric]
        values: list[float] = []
        reported: dict[int, float] = {}
        if len(objective.goals) > 1:
            values = self._values_of_several(trial, tried)
        elif trial.state is TrialState.COMPLETED and best is not None:
            values = [best.metrics[objective.metric]]
        elif trial.failure is None:
            # The estimator ranks by values at epochs what was stopped, a later epoch first. What failed after some good
            # epochs must not be among the good ones.
            reported = {item.epoch: item.metrics[objective.metric] for item in trial.reports}
        tried.seen = Seen(
            number=number,
            state=OptunaState.COMPLETE if values else OptunaState.PRUNED,
            numbers=tried.numbers,
            values=values,
            intermediate_values=reported,
            constraints=constraints_of(self._conditions, tried.excesses),
        )
        self._window[number] = tried.seen
        self._running.discard(number)
        self._count(number, tried, by=1)

    def _forget(self, number: int, tried: Tried) -> None:
        """Takes back what a trial came to that has waited, and goes on or has ended."""
        self._count(number, tried, by=-1)
        self._window.pop(number, None)
        self._running.add(number)
        tried.value, tried.losses, tried.excesses, tried.seen = None, None, (), None

    def _count(self, number: int, tried: Tried, *, by: int) -> None:
        self._is_stale |= number < self._first
        self._num_known += by
        self._num_active += by * ~np.isnan(tried.numbers)
        if tried.seen is not None:
            self.num_with_values += by * bool(tried.seen.values or tried.seen.intermediate_values)

    def _values_of_several(self, trial: Trial, tried: Tried) -> list[float]:
        """Returns a trial's values of several objectives, also where it was stopped; nothing where one lacks.

        Optuna takes no values at epochs with several objectives, and a stopped trial's costs are as true as others'.
        """
        goals, metric = self._objective.goals, self._objective.metric
        best = trial.best_report(metric=metric, mode=self._objective.mode)
        known = {**trial.reports[0].cost, **best.metrics} if trial.failure is None and best is not None else {}
        if not all(goal.metric in known for goal in goals):
            tried.value = None
            return []
        values = [known[goal.metric] for goal in goals]
        tried.losses = losses_of(values, goals)
        return values

    def _look_from(self, first: int) -> None:
        """Chooses what the estimator sees anew: the trials from a number on, and the best ones before it."""
        known = {number: tried for number, tried in self.tried.items() if tried.seen is not None}
        early = [number for number, tried in known.items() if number < first and tried.value is not None]
        fronts = dict(zip(early, front_ranks([known[number].losses or () for number in early]), strict=True))
        order = sorted(
            early, key=lambda number: (known[number].excess, fronts[number], -(known[number].value or 0.0), number)
        )
        best = set(order[:WINDOW_BEST])
        self._first, self._is_stale = first, False
        self._window = {
            number: tried.seen for number, tried in known.items() if tried.seen and (number >= first or number in best)
        }


def constraints_of(conditions: Sequence[Condition], found: Sequence[float]) -> dict[str, float]:
    """Returns how far a trial is beyond each constraint, by its words; one that failed is farther than all others.

    The estimator adds up what is above 0, and takes trials that lack a constraint for ones that keep to it.
    """
    return {in_words(item): found[at] if found else math.inf for at, item in enumerate(conditions)}


def _excesses_of(trial: Trial, *, objective: Objective, conditions: Sequence[Condition]) -> tuple[float, ...]:
    """Returns how far a trial is beyond each constraint; nothing where it failed."""
    best = trial.best_report(metric=objective.metric, mode=objective.mode, ties=objective.tie_metric)
    if trial.failure is not None or best is None:
        return ()
    return excesses({**trial.reports[0].cost, **best.metrics}, conditions)
