"""A genetic algorithm for three objectives: its parents are spread along reference lines, not by how far others are.

It has no generations to wait for, as `nsga2` has none: each child has its parents among the best trials that have ended
by then. The source's parents are drawn alike from the population, and so they are here.

Source: Deb and Jain 2014, "An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based
Nondominated Sorting Approach, Part I", IEEE Transactions on Evolutionary Computation 18; Jain and Deb 2014, Part II (of
two parents the one that keeps to the constraints, or breaks them less).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from orchestrator.pareto.niches import niche_order, reference_points
from orchestrator.search.algorithms.nsga2 import POPULATION, child_of, is_early, parent_point, with_values
from orchestrator.search.algorithms.sobol import sobol_point
from orchestrator.search.draw import Draw
from orchestrator.search.history import History, Tried
from orchestrator.search.unit_cube import UnitCube
from orchestrator.study.spec import StudySpec

#: Parts that the reference points divide each objective into: ten points for two objectives, and for three.
_DIVISIONS = {1: 1, 2: 9, 3: 3}


class Nsga3:
    """Draws children of trials that are spread over the front.

    Until enough trials have ended with a value, a Sobol sequence draws.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = True

    def __init__(self, spec: StudySpec) -> None:
        self._cube = UnitCube(spec.space)
        num_objectives = len(spec.objective.goals)
        self._references = reference_points(num_objectives, divisions=_DIVISIONS[num_objectives])

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns the values of a child."""
        known = with_values(history)
        if is_early(known, cube=self._cube):
            return self._cube.values_at(sobol_point(draw, num_axes=len(self._cube.names)))
        population = self._population(known, seed=draw.seed)
        random = np.random.default_rng(draw.seed)
        mother, father = (parent_point(self._cube, _parent(population, random=random), random=random) for _ in range(2))
        return self._cube.values_at(child_of(mother, father, random=random))

    def _population(self, known: Sequence[Tried], *, seed: int) -> list[Tried]:
        kept = [item for item in known if not item.excess]
        order = niche_order([item.all_losses for item in kept], references=self._references, seed=seed)
        broken = sorted((item for item in known if item.excess), key=lambda item: item.excess)
        return [*(kept[at] for at in order), *broken][:POPULATION]


def _parent(population: Sequence[Tried], *, random: np.random.Generator) -> Tried:
    """Returns one of two: that which breaks the constraints less, else the first."""
    one, other = (population[int(at)] for at in random.integers(len(population), size=2))
    return other if other.excess < one.excess else one
