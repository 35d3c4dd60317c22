"""The tree-structured Parzen estimator at one epoch: the last one that enough trials have come to.

The estimator is Optuna's, which counts running trials as weak and draws a conditional parameter by itself, where the
paper has kernel densities of its own and fills in what is inactive.

Source: Falkner, Klein and Hutter 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale",
International Conference on Machine Learning, arXiv:1807.01774, section 3.2 and algorithm 2.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from orchestrator.journal.trial import Trial, TrialState
from orchestrator.search.algorithms.tpe import ARGUMENTS
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.draw import Draw
from orchestrator.search.history import History, Tried, empty_study
from orchestrator.search.optuna_internals import choose_number_of_good_trials
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
        self._least = sum(varies(item.domain) for item in spec.space.parameters) + 2

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns values that the estimator takes for promising, or random ones."""
        tried = list(history.tried.values())
        epoch = last_epoch([item.trial for item in tried if item.trial is not None], least=self._least)
        if epoch == 0 or np.random.default_rng([draw.seed, _STREAM]).random() < RANDOM_SHARE:
            return history.draw(optuna.samplers.RandomSampler(seed=draw.seed))
        seen = [found for item in tried if (found := self._at(epoch, item)) is not None]
        known = [found for found in seen if found.state is OptunaState.COMPLETE]
        study = empty_study(self._goals)
        for found in (*known[-MOST_TRIALS:], *(item for item in seen if item.state is not OptunaState.COMPLETE)):
            study.add_trial(found)
        study.sampler = optuna.samplers.TPESampler(seed=draw.seed, **{**ARGUMENTS, "n_startup_trials": 0})
        num_known = min(len(known), MOST_TRIALS)
        choose_number_of_good_trials(study.sampler, lambda count: min(math.ceil(GOOD_SHARE * count), num_known))
        return self._space.suggest(study.ask())

    def _at(self, epoch: int, item: Tried) -> FrozenTrial | None:
        """Returns a trial as Optuna sees it at an epoch; None for one that was stopped before."""
        trial = item.trial
        if trial is not None and trial.failure is not None:
            return self._frozen(item, OptunaState.PRUNED)
        if trial is not None and (values := self._values(trial, epoch)):
            return self._frozen(item, OptunaState.COMPLETE, values=values)
        return None if item.has_ended else self._frozen(item, OptunaState.RUNNING)

    def _values(self, trial: Trial, epoch: int) -> list[float]:
        """Returns a trial's number for each objective at an epoch, or at its last one if it ended by itself before."""
        if not trial.reports or (trial.epoch < epoch and trial.state is not TrialState.COMPLETED):
            return []
        known = {**trial.reports[0].cost, **trial.reports[:epoch][-1].metrics}
        return [known[goal.metric] for goal in self._goals] if all(g.metric in known for g in self._goals) else []

    def _frozen(self, item: Tried, state: OptunaState, *, values: list[float] | None = None) -> FrozenTrial:
        encoded = self._space.encode(item.values)
        distributions = {name: self._space.distribution(name) for name in encoded}
        return optuna.trial.create_trial(state=state, params=encoded, distributions=distributions, values=values)


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
