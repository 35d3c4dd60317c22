"""Bayesian optimisation: a Gaussian process of the objective over the space, and the largest expected improvement.

Source: Jones, Schonlau and Welch 1998, "Efficient Global Optimization of Expensive Black-Box Functions", J. Global
Optimization 13; Snoek, Larochelle and Adams 2012, arXiv:1206.2944 (the Matern kernel, a length for each axis);
Ginsbourger, Le Riche and Carraro 2010, "Kriging Is Well-Suited to Parallelize Optimization" (running trials are taken
to end as the model expects). Knowles 2006, ParEGO: with several objectives each proposal weighs them otherwise.
Gardner et al. 2014, "Bayesian Optimization with Inequality Constraints", ICML: it is weighed by the chance to keep to
them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from orchestrator.pareto.scalarised import scalarised
from orchestrator.search.algorithms.sobol import sobol_point
from orchestrator.search.draw import Draw
from orchestrator.search.history import History, Tried
from orchestrator.search.surrogate import (
    Features,
    Surrogate,
    chance_to_keep,
    expected_improvement,
    scores_of,
)
from orchestrator.search.unit_cube import UnitCube
from orchestrator.study.sections import STARTUP_TRIALS
from orchestrator.study.spec import StudySpec

#: Trials that the model is fitted to at most, the best and the last ones: its cost grows with their cube.
MOST_TRIALS = 120
#: Points at which the improvement is computed: anywhere, and near the best trials so far.
NUM_ANYWHERE, NUM_NEAR, NUM_BEST = 1000, 60, 5
#: How far a near point lies from a trial along an axis, in standard deviations of the whole axis's length.
NEAR = 0.1
#: Draws of one trial by the model; all its draws may fall on variants that were tried.
MODEL_ATTEMPTS = 3


class GaussianProcess:
    """Draws values where a model of earlier trials expects most, weighing what it is unsure of.

    Until enough trials have ended with a value, a Sobol sequence draws. A trial that was stopped early counts with its
    best value, a failed one with the worst of all.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = True

    def __init__(self, spec: StudySpec) -> None:
        self._cube = UnitCube(spec.space)
        self._features = Features(spec.space)

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns values of a large expected improvement."""
        tried = _weighed(list(history.tried.values()), seed=draw.seed)
        num_known = sum(item.value is not None for item in tried)
        if not self._cube.names or num_known < STARTUP_TRIALS or draw.attempt >= MODEL_ATTEMPTS:
            return self._cube.values_at(sobol_point(draw, num_axes=len(self._cube.names)))
        random = np.random.default_rng(draw.seed)
        ended = _kept([item for item in tried if item.is_known])
        model = Surrogate(self._coordinates(ended), scores_of([item.value for item in ended]))
        if running := [item for item in tried if not item.is_known]:
            model.believe(self._coordinates(running))
        points = self._candidates(_ranked(ended)[:NUM_BEST], random=random)
        gains = self._gains(ended, model, features=self._features.of(self._cube.snapped(points)))
        return self._cube.values_at(points[int(gains.argmax())])

    def _gains(self, ended: Sequence[Tried], model: Surrogate, *, features: np.ndarray) -> np.ndarray:
        """Returns the expected improvement at points, times how likely they keep to the constraints.

        Only trials that keep to them are there to be improved on; until there is one, the likelihood alone counts.
        """
        means, deviations = model.expect(features)
        known = [item for item in ended if item.excesses]
        if not known:
            return expected_improvement(means, deviations, best=model.best)
        likely = chance_to_keep(self._coordinates(known), np.array([item.excesses for item in known]), features)
        kept = [item for item in known if not item.excess]
        if not kept:
            return likely
        best = float(model.expect(self._coordinates(kept))[0].max())
        return likely * expected_improvement(means, deviations, best=best)

    def _coordinates(self, tried: Sequence[Tried]) -> np.ndarray:
        return self._features.of(np.array([self._cube.point_of(item.values) for item in tried]))

    def _candidates(self, best: Sequence[Tried], *, random: np.random.Generator) -> np.ndarray:
        num_axes = len(self._cube.names)
        points = [random.random((NUM_ANYWHERE, num_axes))]
        for item in best:
            # An inactive parameter becomes active where its parent changes: it is drawn anywhere.
            centre = self._cube.point_of(item.values)
            around = np.where(np.isnan(centre), random.random((NUM_NEAR, num_axes)), centre)
            moved = np.clip(around + random.normal(0, NEAR, around.shape), 0, 1)
            drawn = np.where(random.random(around.shape) < 1 / num_axes, random.random(around.shape), moved)
            stays = random.random(around.shape) < 0.5
            points.append(np.where(stays, around, drawn))
        return np.concatenate(points)


def _weighed(tried: list[Tried], *, seed: int) -> list[Tried]:
    """Returns trials of several objectives with one value each, of weights of this draw's own; others as they are."""
    known = [item for item in tried if item.losses is not None]
    if not known:
        return tried
    values = iter(scalarised([item.losses or () for item in known], seed=seed))
    return [item if item.losses is None else replace(item, value=next(values)) for item in tried]


def _ranked(tried: Sequence[Tried]) -> list[Tried]:
    """Returns trials that have ended, best first, those without a value last."""
    return sorted(tried, key=lambda item: (item.value is None, item.excess, -(item.value or 0.0)))


def _kept(ended: Sequence[Tried]) -> list[Tried]:
    """Returns the trials that the model is fitted to, in the order of proposals: half the best, half the last."""
    if len(ended) <= MOST_TRIALS:
        return list(ended)
    best = {id(item) for item in _ranked(ended)[: MOST_TRIALS // 2]}
    others = [item for item in ended if id(item) not in best]
    last = {id(item) for item in others[-(MOST_TRIALS - len(best)) :]}
    return [item for item in ended if id(item) in best | last]
