"""The tree-structured Parzen estimator, Optuna's.

Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", NeurIPS 24.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.search.optuna_internals import Parzen, empty_study
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
        self._space, self._study = EncodedSpace(spec.space), empty_study(spec.objective.goals)

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns values that the estimator takes for promising."""
        return self._space.suggest(self.estimator(history, seed=draw.seed).picker(history.common()))

    def estimator(self, history: History, *, seed: int) -> Parzen:
        """Returns an estimator that takes no trial without a value for a good one.

        Args:
            history: The trials so far.
            seed: Of its draws.
        """

        def num_good(num_trials: int) -> int:
            # Optuna's own number, but no failed ones.
            return min(math.ceil(0.1 * num_trials), 25, history.num_with_values)

        return Parzen(
            history.seen(),
            columns=self._space.columns,
            study=self._study,
            num_good=num_good,
            seed=seed,
            arguments=ARGUMENTS,
        )
