"""The tree-structured Parzen estimator, Optuna's.

Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", NeurIPS 24.
"""

import math
from typing import Any, ClassVar

import optuna

from orchestrator.search.history import History
from orchestrator.search.optuna_internals import choose_number_of_good_trials
from orchestrator.study.spec import StudySpec

#: Random trials before the estimator has anything to learn from.
NUM_STARTUP_TRIALS = 8


class Tpe:
    """Draws values that earlier good trials make likely and earlier bad ones unlikely.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = True

    def __init__(self, spec: StudySpec) -> None:
        del spec  # Every searcher is made of it.

    def ask(self, history: History, *, seed: int) -> dict[str, Any]:
        """Returns values that the estimator takes for promising."""
        return history.draw(tpe_sampler(history, seed=seed))


def tpe_sampler(history: History, *, seed: int) -> optuna.samplers.TPESampler:
    """Returns a sampler that takes no trial without a value for a good one.

    Args:
        history: The trials so far; those that end later count as well.
        seed: Of its draws.
    """

    def num_good(num_trials: int) -> int:
        # Optuna's own number, but no failed ones.
        return min(math.ceil(0.1 * num_trials), 25, history.num_with_values)

    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=NUM_STARTUP_TRIALS)
    choose_number_of_good_trials(sampler, num_good)
    return sampler
