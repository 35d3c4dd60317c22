"""The tree-structured Parzen estimator at one epoch: the last one that enough trials have come to.

The estimator is Optuna's, which counts running trials as weak and draws a conditional parameter by itself, where the
paper has kernel densities of its own and fills in what is inactive.

Source: Falkner, Klein and Hutter 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale",
International Conference on Machine Learning, arXiv:1807.01774, section 3.2 and algorithm 2.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState as OptunaState

from orchestrator.journal.trial import Trial, TrialState
from orchestrator.pareto.constraints import excesses
from orchestrator.search.algorithms.tpe import ARGUMENTS
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.draw import Draw
from orchestrator.search.history import History, Tried, constraints_of
from orchestrator.search.optuna_internals import Parzen, Seen, empty_study
from orchestrator.study.spec import StudySpec
from search_spaces.axes import varies

#: The share of draws that are random, and of the trials at the epoch that count as good ones, as in the paper.
RANDOM_SHARE, GOOD_SHARE = 1 / 3, 0.15
#: Trials at the epoch that the estimator learns from at most, the last ones: the cost of a draw grows with them.
MOST_TRIALS = 300
#: Keeps the coin's random numbers apart from those of the samplers, which have the same seed.
_STREAM = 2


class Bohb:
    """Draws values that were good at the last epoch that enough trials have come to.

    Enough are two more than the space has parameters that vary. The estimator learns from the values at this epoch
    alone, those of running trials among them: a trial that was stopped before says nothing, one that failed is worse
    than all others. Until there are enough trials, and one time in three, a draw is random.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = True

    def __init__(self, spec: StudySpec) -> None:
        self._space = EncodedSpace(spec.space)
        self._goals = spec.objective.goals
        self._study, self._conditions = empty_study(self._goals), spec.conditions
        self._least = sum(varies(item.domain) for item in spec.space.parameters) + 2

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns values that the estimator takes for promising, or random ones."""
        tried = list(history.tried.values())
        epoch = last_epoch([item.trial for item in tried if item.trial is not None], least=self._least)
        if epoch == 0 or np.random.default_rng([draw.seed, _STREAM]).random() < RANDOM_SHARE:
            return self._space.random(seed=draw.seed)
        found = [seen for item in tried if (seen := self._at(epoch, item)) is not None]
        known = [seen for seen in found if seen.state is OptunaState.COMPLETE][-MOST_TRIALS:]
        others = [seen for seen in found if seen.state is not OptunaState.COMPLETE]
        num_known = len(known)
        estimator = Parzen(
            [replace(seen, number=number) for number, seen in enumerate([*known, *others])],
            columns=self._space.columns,
            study=self._study,
            num_good=lambda count: min(math.ceil(GOOD_SHARE * count), num_known),
            seed=draw.seed,
            arguments={**ARGUMENTS, "n_startup_trials": 0},
        )
        return self._space.suggest(estimator.picker(self._common([*known, *others])))

    def _at(self, epoch: int, item: Tried) -> Seen | None:
        """Returns a trial as the estimator sees it at an epoch; None for one that was stopped, or waits, before."""
        trial = item.trial
        if trial is not None and trial.failure is not None:
            return self._seen(item, OptunaState.PRUNED)
        if trial is not None and (known := self._values(trial, epoch)):
            return self._seen(item, OptunaState.COMPLETE, known=known)
        return None if item.is_known else self._seen(item, OptunaState.RUNNING)

    def _common(self, seen: Sequence[Seen]) -> dict[str, BaseDistribution]:
        """Returns the parameters that are active in every trial that counts with values or as failed, by name."""
        rows = [item.numbers for item in seen if item.state is not OptunaState.RUNNING]
        names = sorted(name for name, at in self._space.columns.items() if not any(np.isnan(row[at]) for row in rows))
        return {name: self._space.distribution(name) for name in names}

    def _values(self, trial: Trial, epoch: int) -> dict[str, float]:
        """Returns a trial's numbers at an epoch, or at its last one if it ended by itself before, and its costs."""
        if not trial.reports or (trial.epoch < epoch and trial.state is not TrialState.COMPLETED):
            return {}
        known = {**trial.reports[0].cost, **trial.reports[:epoch][-1].metrics}
        return known if all(goal.metric in known for goal in self._goals) else {}

    def _seen(self, item: Tried, state: OptunaState, *, known: Mapping[str, float] | None = None) -> Seen:
        values = [known[goal.metric] for goal in self._goals] if known else []
        beyond = excesses(known, self._conditions) if known else ()
        is_judged = state is not OptunaState.RUNNING
        constraints = constraints_of(self._conditions, beyond) if is_judged else {}
        return Seen(number=0, state=state, numbers=item.numbers, values=values, constraints=constraints)


def last_epoch(trials: Sequence[Trial], *, least: int) -> int:
    """Returns the last epoch that so many trials have come to; 0 if so few have reported.

    One that ended by itself has come as far as any other; one that failed has come nowhere.
    """
    furthest = max((trial.epoch for trial in trials), default=0)
    reached = sorted((_reached(trial, furthest=furthest) for trial in trials), reverse=True)
    return reached[least - 1] if len(reached) >= least else 0


def _reached(trial: Trial, *, furthest: int) -> int:
    if trial.failure is not None:
        return 0
    return furthest if trial.state is TrialState.COMPLETED else trial.epoch
