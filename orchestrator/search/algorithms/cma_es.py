"""The covariance matrix adaptation evolution strategy: a normal distribution that moves to where good trials lie.

The distribution is made anew for each proposal from the trials that have ended, in the order of their ends, so that a
resumed study has the same. Trials that were drawn from an earlier distribution, or by nobody, teach it as its own do.
A value of countable ones stands for a share of its axis, and lies somewhere in it by the seed and the trial's number:
so the distribution does not shrink below a share, and goes on to try neighbours.

Source: Hansen and Ostermeier 2001, "Completely Derandomized Self-Adaptation in Evolution Strategies", Evolutionary
Computation 9; Hansen 2016, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772; Hansen 2011, "Injecting External
Solutions Into CMA-ES", arXiv:1110.4181; Nomura and Shibata 2024, "cmaes : A Simple yet Practical Python Library for
CMA-ES", arXiv:2402.01373.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from orchestrator.search.algorithms.nsga2 import best_of, child_of_best, is_early, with_values
from orchestrator.search.algorithms.sobol import sobol_point
from orchestrator.search.draw import Draw
from orchestrator.search.history import History, Tried
from orchestrator.search.unit_cube import UnitCube, width_of
from orchestrator.study.spec import StudySpec
from search_spaces.axes import drawn_together

#: The distribution before the first generation, in lengths of an axis: its middle, and its standard deviation.
MIDDLE, DEVIATION = 0.5, 0.3
#: Draws of one trial by the distribution; all of them may fall on variants that were tried.
DISTRIBUTION_ATTEMPTS = 20
#: How often the distribution is asked again for a point inside the space, before its point is moved to the edge.
_RESAMPLINGS = 100
#: Keeps the places within shares apart from other random numbers of the same seed.
_STREAM = 2


class CmaEs:
    """Draws numbers from an adapted normal distribution; named options and conditional parameters as `nsga2` does.

    Until enough trials have ended with a value, a Sobol sequence draws. A stopped trial counts with its best value, a
    failed one as the worst of its generation. Several objectives count by their fronts.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = True

    def __init__(self, spec: StudySpec) -> None:
        self._seed = spec.seed
        self._cube = UnitCube(spec.space)
        together = drawn_together(spec.space)
        self._domains = [spec.space.parameter(name).domain for name in together]
        self._names, self._axes = together, [self._cube.names.index(name) for name in together]

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns the values of a point of the distribution."""
        known = with_values(history)
        if is_early(known, cube=self._cube):
            return self._cube.values_at(sobol_point(draw, num_axes=len(self._cube.names)))
        point = child_of_best(known, cube=self._cube, random=np.random.default_rng(draw.seed))
        # One number has no covariance.
        if len(self._axes) > 1 and draw.attempt < DISTRIBUTION_ATTEMPTS:
            point[self._axes] = self._drawn(history, seed=draw.seed)
        return self._cube.values_at(point)

    def _drawn(self, history: History, *, seed: int) -> np.ndarray:
        """Returns a point of the distribution that the generations so far have made."""
        from cmaes import CMA

        num_axes = len(self._axes)
        size = 4 + math.floor(3 * math.log(num_axes))
        # The library's defaults as well: a study that is resumed with another version must go on alike.
        distribution = CMA(
            mean=np.full(num_axes, MIDDLE),
            sigma=DEVIATION,
            bounds=np.tile([0.0, 1.0], (num_axes, 1)),
            n_max_resampling=_RESAMPLINGS,
            seed=seed,
            population_size=size,
            cov=np.eye(num_axes),
            lr_adapt=False,
        )
        ended = sorted(
            ((item.ended_at, number, item) for number, item in history.tried.items() if item.has_ended),
            key=lambda entry: entry[:2],
        )
        for first in range(0, len(ended) - size + 1, size):
            generation = ended[first : first + size]
            places = [self._place(item, number=number) for _, number, item in generation]
            ranks = _ranks([item for _, _, item in generation])
            distribution.tell(list(zip(places, ranks, strict=True)))
        return distribution.ask()

    def _place(self, item: Tried, *, number: int) -> np.ndarray:
        """Returns a trial's place on the axes of numbers, anywhere in the share of a countable value."""
        middles = self._cube.point_of(item.values)[self._axes]
        pairs = zip(self._names, self._domains, strict=True)
        widths = np.array([width_of(domain, item.values[name]) for name, domain in pairs])
        return middles + widths * (np.random.default_rng([self._seed, number, _STREAM]).random(len(widths)) - 0.5)


def _ranks(generation: Sequence[Tried]) -> list[float]:
    """Returns the place of each trial among all of them, best first: the strategy asks for no more."""
    known = [item for item in generation if item.value is not None]
    order = {id(item): place for place, item in enumerate(best_of(known, count=len(known)))}
    return [float(order.get(id(item), len(known))) for item in generation]
