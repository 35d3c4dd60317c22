"""The tree-structured Parzen estimator, Optuna's.

Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", NeurIPS 24.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution

from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.search.optuna_internals import choose_number_of_good_trials
from orchestrator.study.sections import STARTUP_TRIALS
from orchestrator.study.spec import StudySpec

#: All of the sampler's arguments beside its seed that Optuna does not deprecate: its defaults change between versions,
#: and a study that is resumed with another version must go on with the same proposals.
ARGUMENTS: Mapping[str, Any] = {
    "n_startup_trials": STARTUP_TRIALS,
    "n_ei_candidates": 24,
    "multivariate": True,
    "group": False,
    "constant_liar": True,
}


class Tpe:
    """Draws values that earlier good trials make likely and earlier bad ones unlikely.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = True

    def __init__(self, spec: StudySpec) -> None:
        del spec  # Every searcher is made of it.

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns values that the estimator takes for promising."""
        return history.draw(tpe_sampler(history, seed=draw.seed))


def tpe_sampler(history: History, *, seed: int) -> optuna.samplers.TPESampler:
    """Returns a sampler that takes no trial without a value for a good one.

    Args:
        history: The trials so far; those that end later count as well.
        seed: Of its draws.
    """

    def num_good(num_trials: int) -> int:
        # Optuna's own number, but no failed ones.
        return min(math.ceil(0.1 * num_trials), 25, history.num_with_values)

    sampler = _Tpe(history, seed=seed)
    choose_number_of_good_trials(sampler, num_good)
    return sampler


class _Tpe(optuna.samplers.TPESampler):
    """Optuna's sampler, which counts anew over all trials for each draw what the history knows."""

    def __init__(self, history: History, *, seed: int) -> None:
        super().__init__(seed=seed, **ARGUMENTS)
        self._history = history

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns the parameters that are drawn together: those that every ended trial had."""
        del study, trial
        return self._history.common()
