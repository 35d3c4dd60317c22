"""A genetic algorithm that keeps a front of trials: children of the best trials so far, crossed and changed.

It has no generations to wait for: each child has its parents among the best trials that have ended by then.

Source: Deb, Pratap, Agarwal and Meyarivan 2002, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6; Durillo, Nebro, Luna and Alba 2009, "On the Effect of the Steady-State
Selection Scheme in Multi-Objective Genetic Algorithms", EMO (one child at a time).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from orchestrator.pareto.fronts import crowding_distances, front_ranks
from orchestrator.pareto.goals import Losses
from orchestrator.search.algorithms.sobol import sobol_point
from orchestrator.search.draw import Draw
from orchestrator.search.history import History, Tried
from orchestrator.search.unit_cube import UnitCube
from orchestrator.study.sections import STARTUP_TRIALS
from orchestrator.study.spec import StudySpec

#: Trials that may be parents, the best so far.
POPULATION = 10
#: How often a child has two parents, and how far a changed axis moves, in standard deviations of its whole length.
CROSSOVER, MOVE = 0.9, 0.1


class Nsga2:
    """Draws children of good trials.

    Until enough trials have ended with a value, a Sobol sequence draws.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = True

    def __init__(self, spec: StudySpec) -> None:
        self._cube = UnitCube(spec.space)

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns the values of a child."""
        known = with_values(history)
        if is_early(known, cube=self._cube):
            return self._cube.values_at(sobol_point(draw, num_axes=len(self._cube.names)))
        return self._cube.values_at(child_of_best(known, cube=self._cube, random=np.random.default_rng(draw.seed)))


def with_values(history: History) -> list[Tried]:
    """Returns the trials that have ended with a value, in the order of proposals."""
    return [item for item in history.tried.values() if item.value is not None]


def is_early(known: Sequence[Tried], *, cube: UnitCube) -> bool:
    """Returns whether a Sobol sequence draws: too few trials have a value, or nothing varies."""
    return not cube.names or len(known) < STARTUP_TRIALS


def child_of_best(known: Sequence[Tried], *, cube: UnitCube, random: np.random.Generator) -> np.ndarray:
    """Returns the point of a child of two of the best trials, each of which won a tournament."""
    parents = best_of(known, count=POPULATION)
    mother, father = (parent_point(cube, tournament(parents, random=random), random=random) for _ in range(2))
    return child_of(mother, father, random=random)


def best_of(known: Sequence[Tried], *, count: int) -> list[Tried]:
    """Returns the best trials, best first; those that break a constraint come last, the least broken ones first.

    Source: Deb et al. 2002, section VI (constrained domination).

    Args:
        known: Trials with a value.
        count: How many at most.
    """
    kept = [item for item in known if not item.excess]
    broken = sorted((item for item in known if item.excess), key=lambda item: item.excess)
    return [*(kept[at] for at in best_first([item.all_losses for item in kept])), *broken][:count]


def best_first(points: Sequence[Losses]) -> list[int]:
    """Returns the places of points, best first: by front, then by how far others are, then in their order.

    >>> best_first([(5, 5), (0, 4), (1, 1), (4, 0)])
    [1, 3, 2, 0]
    """
    ranks = front_ranks(points)
    order: list[int] = []
    for rank in sorted(set(ranks)):
        front = [at for at, found in enumerate(ranks) if found == rank]
        distances = crowding_distances([points[at] for at in front])
        order += [at for _, at in sorted(zip((-distance for distance in distances), front, strict=True))]
    return order


def tournament(parents: Sequence[Tried], *, random: np.random.Generator) -> Tried:
    """Returns the better of two random parents; they come best first."""
    return parents[int(random.integers(len(parents), size=2).min())]


def parent_point(cube: UnitCube, item: Tried, *, random: np.random.Generator) -> np.ndarray:
    """Returns a trial's point; an inactive parameter may become active in the child, so it lies anywhere."""
    point = cube.point_of(item.values)
    return np.where(np.isnan(point), random.random(point.shape), point)


def child_of(mother: np.ndarray, father: np.ndarray, *, random: np.random.Generator) -> np.ndarray:
    """Returns the point of a child of two points: crossed, and changed a little."""
    is_crossed = random.random() < CROSSOVER
    child = np.where(is_crossed & (random.random(len(mother)) < 0.5), father, mother)
    return _changed(child, random=random)


def _changed(point: np.ndarray, *, random: np.random.Generator) -> np.ndarray:
    """Returns a point with one axis in the mean, and at least one, moved a little or drawn anew."""
    num_axes = len(point)
    is_moved = random.random(num_axes) < 1 / num_axes
    is_moved[random.integers(num_axes)] |= not is_moved.any()
    near = np.clip(point + random.normal(0, MOVE, num_axes), 0, 1)
    return np.where(is_moved, np.where(random.random(num_axes) < 0.5, near, random.random(num_axes)), point)
