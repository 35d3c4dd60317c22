"""Every touch of Optuna's private parts, seen in Optuna 5.0: its Parzen estimator over trials that are handed to it.

Optuna's sampler looks for its trials in a study, several times a draw, and makes their order and their numbers anew
each time. A trial does not change once it has ended, so its numbers are handed over ready, and a draw orders trials
once. What is drawn is, to the bit, what Optuna's sampler draws from a study of the same trials; a test compares them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState as OptunaState

from orchestrator.pareto.goals import Goal

_NO_TRIAL = optuna.trial.create_trial(state=OptunaState.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """One trial as the estimator sees it; the names are those of Optuna's trials, whose order it is put into.

    Attributes:
        number: Its place among the others.
        state: Completed, pruned or running.
        numbers: Its parameters as Optuna counts them, in the order of the space's columns; NaN where one is inactive.
        values: Of the objectives, if it is completed.
        intermediate_values: By epoch, if it is pruned; none of one that is worse than all others.
        constraints: How far it is beyond each one; above 0 where it breaks it.
    """

    number: int
    state: OptunaState
    numbers: np.ndarray
    values: Sequence[float] = ()
    intermediate_values: Mapping[int, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The value of the only objective."""
        return self.values[0]


class Parzen(optuna.samplers.TPESampler):
    """Draws from trials that are handed to it.

    Args:
        seen: The trials, their numbers ascending.
        columns: The place of each parameter in their numbers.
        study: One of Optuna's without trials, for the directions of the objectives.
        num_good: Of so many trials that have ended, how many count as good ones.
        seed: Of the draws.
        arguments: The sampler's others.
    """

    def __init__(  # noqa: PLR0913 - all that a draw depends on
        self,
        seen: Sequence[Seen],
        *,
        columns: Mapping[str, int],
        study: optuna.Study,
        num_good: Callable[[int], int],
        seed: int,
        arguments: Mapping[str, Any],
    ) -> None:
        super().__init__(seed=seed, **arguments)
        self._seen, self._columns, self._study, self._num_good = seen, columns, study, num_good
        self._num_ended = sum(item.state is not OptunaState.RUNNING for item in seen)
        self._is_early = self._num_ended < self._n_startup_trials

    def picker(self, common: Mapping[str, BaseDistribution]) -> Callable[[str, BaseDistribution], Any]:
        """Returns what draws one parameter after another.

        Args:
            common: The parameters that are drawn together.
        """
        together = self._drawn(common) if common and not self._is_early else {}

        def pick(name: str, distribution: BaseDistribution) -> Any:
            # Where rounding has put a value beside its range, Optuna draws it again, by itself.
            if name in together and distribution._contains(distribution.to_internal_repr(together[name])):
                return together[name]
            if self._is_early:
                return self._random_sampler.sample_independent(self._study, _NO_TRIAL, name, distribution)
            return self._drawn({name: distribution})[name]

        return pick

    @cached_property
    def good_and_others(self) -> tuple[list[Seen], list[Seen]]:
        """The trials that count as good ones, and the others."""
        trials: Any = list(self._seen)
        good, others = _split_trials(self._study, trials, self._num_good(self._num_ended))
        return list(map(_as_seen, good)), list(map(_as_seen, others))

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        good, others = (np.array([item.numbers for item in part]) for part in self.good_and_others)
        return good.reshape(-1, len(self._columns)), others.reshape(-1, len(self._columns))

    def _drawn(self, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        """Returns values of parameters that are drawn together."""
        good, others = (self._estimator(rows, space) for rows in self._rows)
        samples = good.sample(self._rng.rng, self._n_ei_candidates)
        found = self._compare(samples, self._compute_acquisition_func(samples, good, others))
        return {name: distribution.to_external_repr(found[name]) for name, distribution in space.items()}

    def _estimator(self, rows: np.ndarray, space: Mapping[str, BaseDistribution]) -> _ParzenEstimator:
        """Returns the estimator of trials; those in which one of the parameters is inactive say nothing of them."""
        found = rows[:, [self._columns[name] for name in space]]
        found = found[~np.isnan(found).any(axis=1)]
        observed = {name: found[:, at] for at, name in enumerate(space)}
        # With several objectives the good ones weigh alike, however long ago they were.
        are_alike = rows is self._rows[0] and len(self._study.directions) > 1
        weights = np.ones(len(found)) if are_alike else None
        return _ParzenEstimator(observed, dict(space), self._parzen_estimator_parameters, weights)


def _as_seen(trial: Any) -> Seen:
    """Returns a trial that Optuna has put into an order, as the one that was handed to it."""
    found: Seen = trial
    return found


def empty_study(goals: Sequence[Goal]) -> optuna.Study:
    """Returns a study of Optuna's without trials, for the directions of its objectives."""
    directions = ["maximize" if goal.mode == "max" else "minimize" for goal in goals]
    return optuna.create_study(directions=directions, sampler=optuna.samplers.RandomSampler(seed=0))
