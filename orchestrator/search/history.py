"""The study's trials so far as Optuna knows them."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from orchestrator.journal.trial import Trial, TrialState
from orchestrator.pareto.choice import Condition
from orchestrator.pareto.constraints import excesses, in_words
from orchestrator.pareto.fronts import front_ranks
from orchestrator.pareto.goals import Goal, Losses, losses_of
from orchestrator.search.distributions import EncodedSpace
from orchestrator.study.objectives import Objective
from trainables.reports import EpochReport

optuna.logging.set_verbosity(optuna.logging.ERROR)

#: Of many trials a sampler learns from so many of the last ones, and up to WINDOW_STEP more, and from the best before.
WINDOW, WINDOW_STEP, WINDOW_BEST = 300, 100, 100


@dataclass(slots=True, kw_only=True)
class Tried:
    """One trial as a searcher sees it.

    Attributes:
        values: Of its active parameters.
        has_ended: Whether it trains no more.
        value: Its best value of the main objective, larger is better, also where it was stopped; None while it runs,
            and where it failed.
        losses: With several objectives its number for each, smaller is better; None where `value` is, or one lacks.
        excesses: How far it is beyond each constraint, as shares of the limits; above 0 where it breaks one. Empty
            without constraints, while it runs, and where it failed.
        ended_at: When it ended, seconds since 1970; 0 while it runs.
        trial: Its reports so far, as the journal has them; None where the searcher was shown none.
    """

    values: Mapping[str, Any]
    has_ended: bool = False
    value: float | None = None
    losses: Losses | None = None
    excesses: tuple[float, ...] = ()
    ended_at: float = 0.0
    trial: Trial | None = None

    @property
    def excess(self) -> float:
        """How far it is beyond all constraints together; 0 where it keeps to them."""
        return sum(max(0.0, share) for share in self.excesses)

    @property
    def all_losses(self) -> Losses:
        """Its numbers for the objectives, smaller is better; it has a value."""
        return self.losses or (-(self.value or 0.0),)


class History:
    """Keeps Optuna's study of the trials so far.

    The study is a function of the journal's facts alone: of each trial's values, in the order of proposals, and of how
    the trial ended. Of many trials it has the last ones, and the best of the others, as a draw's cost grows with them.
    What a sampler leaves at a trial that it draws for is part of no later draw.

    Args:
        space: How Optuna sees the search space.
        objective: What a trial's value is.
        conditions: What a trial must keep to so that it may win.
        is_kept: Whether the search learns from earlier trials; else each proposal is drawn from a study of its own, as
            Optuna walks through all trials that it knows whenever it is asked.
    """

    def __init__(
        self, space: EncodedSpace, *, objective: Objective, is_kept: bool, conditions: Sequence[Condition] = ()
    ) -> None:
        self.study = empty_study(objective.goals)
        #: Ended trials that have a value; the others count as worse than all of them.
        self.num_with_values = 0
        #: Optuna's trials by the number of ours, until they have ended.
        self.running: dict[int, optuna.Trial] = {}
        #: All trials by their numbers, in the order of proposals.
        self.tried: dict[int, Tried] = {}
        self.is_kept = is_kept
        #: How many trials have ended, and in how many of them each parameter was active.
        self.num_ended, self._num_active = 0, Counter[str]()
        #: Optuna's trials that have ended, by the number of ours.
        self._ended: dict[int, FrozenTrial] = {}
        #: The first trial of the window, and whether a trial before it has ended since.
        self._first, self._is_stale = 0, False
        self._space = space
        self._objective, self._conditions = objective, conditions

    def begin(self, number: int) -> None:
        """Prepares the proposal of the study's trial `number`: Optuna's study holds what it learns from.

        Which trials these are follows from the number and from how trials ended, so a resumed study has the same.
        """
        if not self.is_kept:
            self.study = empty_study(self._objective.goals)
            return
        first = max(0, number // WINDOW_STEP - WINDOW // WINDOW_STEP) * WINDOW_STEP
        if first != self._first or self._is_stale:
            self._look_from(first)

    def observe(self, running: Iterable[Trial]) -> None:
        """Takes over the reports so far of trials that run."""
        for trial in running:
            if tried := self.tried.get(trial.place):
                tried.trial = trial

    def draw(self, sampler: optuna.samplers.BaseSampler) -> dict[str, Any]:
        """Returns the values of the active parameters that a sampler proposes, the family's among them."""
        self.study.sampler = sampler
        asked = self.study.ask()
        values = self._space.suggest(asked)
        # Optuna's samplers write notes to the trial that they draw for, and read those of running trials: a resumed
        # study would lack them. Samplers pass over failed trials.
        self.study.tell(asked, state=OptunaState.FAIL)
        return values

    def common(self) -> dict[str, BaseDistribution]:
        """Returns the parameters that were active in every trial that has ended, by name in alphabetical order.

        It is what Optuna computes from all trials whenever it is asked.
        """
        names = sorted(name for name, count in self._num_active.items() if count == self.num_ended)
        return {name: self._space.distribution(name) for name in names}

    def accept(self, number: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """Adds a running trial of these values, the study's trial `number`, and returns them as the space has them."""
        if not self.is_kept:
            self.study = empty_study(self._objective.goals)
            return self._run(values)[1]
        self.running[number], accepted = self._run(values)
        self.tried[number] = Tried(values=accepted)
        return accepted

    def end(self, trial: Trial) -> None:
        """Adds how a trial ended: its best value, or, where it was stopped, how far it came; a failed one is worst."""
        if not self.is_kept:
            return
        asked = self.running.pop(trial.place)
        self._is_stale |= trial.place < self._first
        self.num_ended += 1
        self._num_active.update(list(asked.params))
        best = trial.best_report(metric=self._objective.metric, mode=self._objective.mode)
        tried = self.tried[trial.place]
        tried.has_ended, tried.ended_at, tried.trial = True, trial.ended_at or 0.0, trial
        self._judge(trial, tried, asked=asked)
        if trial.failure is None and best is not None:
            sign = 1 if self._objective.mode == "max" else -1
            tried.value = sign * best.metrics[self._objective.metric]
        if len(self._objective.goals) > 1:
            self._ended[trial.place] = self._end_of_several(trial, best, asked=asked)
            return
        if trial.state is TrialState.COMPLETED and best is not None:
            self.num_with_values += 1
            self._ended[trial.place] = self.study.tell(asked, best.metrics[self._objective.metric])
            return
        # Values at epochs are added at the end only: the estimator ranks what was stopped by them, a later epoch first,
        # and what failed after some good epochs must not be among the good ones.
        if trial.failure is None:
            self.num_with_values += bool(trial.reports)
            for report in trial.reports:
                asked.report(report.metrics[self._objective.metric], report.epoch)
        self._ended[trial.place] = self.study.tell(asked, state=OptunaState.PRUNED)

    def _judge(self, trial: Trial, tried: Tried, *, asked: optuna.Trial) -> None:
        """Notes how far a trial is beyond each constraint; a failed one is for Optuna farther than all others."""
        objective = self._objective
        best = trial.best_report(metric=objective.metric, mode=objective.mode, ties=objective.tie_metric)
        is_known = trial.failure is None and best is not None
        if is_known and best is not None:
            tried.excesses = excesses({**trial.reports[0].cost, **best.metrics}, self._conditions)
        # Optuna adds up what is above 0, and takes trials that lack a constraint for ones that keep to it.
        for at, condition in enumerate(self._conditions):
            asked.set_constraint(in_words(condition), tried.excesses[at] if is_known else math.inf)

    def _end_of_several(self, trial: Trial, best: EpochReport | None, *, asked: optuna.Trial) -> FrozenTrial:
        """Adds how a trial of several objectives ended: its values also where it was stopped, else it is worst.

        Optuna takes no values at epochs with several objectives, and a stopped trial's costs are as true as others'.
        """
        goals, tried = self._objective.goals, self.tried[trial.place]
        if trial.failure is None and best is not None:
            known = {**trial.reports[0].cost, **best.metrics}
            if all(goal.metric in known for goal in goals):
                values = [known[goal.metric] for goal in goals]
                tried.losses = losses_of(values, goals)
                self.num_with_values += 1
                return self.study.tell(asked, values)
        tried.value = None
        return self.study.tell(asked, state=OptunaState.PRUNED)

    def _run(self, values: Mapping[str, Any]) -> tuple[optuna.Trial, dict[str, Any]]:
        """Adds a running trial to Optuna's study, and returns it with its values as the space has them."""
        # A sampler without notes of its own; the values are given, so it draws none.
        self.study.sampler = optuna.samplers.RandomSampler(seed=0)
        self.study.enqueue_trial(self._space.encode(values))
        asked = self.study.ask()
        return asked, self._space.suggest(asked)

    def _look_from(self, first: int) -> None:
        """Makes Optuna's study anew: the trials from a number on, the best ones before it, and all that still run."""
        early = [number for number in self._ended if number < first and self.tried[number].value is not None]
        fronts = dict(zip(early, front_ranks([self.tried[number].losses or () for number in early]), strict=True))
        excess = {number: self.tried[number].excess for number in early}
        order = sorted(
            early, key=lambda number: (excess[number], fronts[number], -(self.tried[number].value or 0.0), number)
        )
        best = set(order[:WINDOW_BEST])
        self.study, self._first, self._is_stale = empty_study(self._objective.goals), first, False
        for number, tried in self.tried.items():
            if number in self.running:
                self.running[number], _ = self._run(tried.values)
            elif number >= first or number in best:
                self.study.add_trial(self._ended[number])


def empty_study(goals: Sequence[Goal]) -> optuna.Study:
    """Returns a study of Optuna's without trials."""
    # The sampler is never asked: each draw brings its own.
    directions = ["maximize" if goal.mode == "max" else "minimize" for goal in goals]
    return optuna.create_study(directions=directions, sampler=optuna.samplers.RandomSampler(seed=0))
