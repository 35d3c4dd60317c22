"""Reference points that spread a population over a front, and the order in which a front fills them.

Source: Deb and Jain 2014, "An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based
Nondominated Sorting Approach, Part I", IEEE Transactions on Evolutionary Computation 18 (sections IV-B to IV-E);
Das and Dennis 1998, "Normal-Boundary Intersection", SIAM Journal on Optimization 8 (the points).
"""

from collections.abc import Sequence

import numpy as np

from orchestrator.pareto.fronts import front_ranks
from orchestrator.pareto.goals import Losses

#: Weighs the other objectives where the end of a front along one of them is looked for.
_OTHERS = 1e-6


def reference_points(num_objectives: int, *, divisions: int) -> np.ndarray:
    """Returns points that lie evenly where the shares of all objectives add up to 1: (points, objectives).

    >>> reference_points(2, divisions=2).tolist(), len(reference_points(3, divisions=3))
    ([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]], 10)
    """
    return np.array(_shares(num_objectives, divisions), float) / max(divisions, 1)


def niche_order(points: Sequence[Losses], *, references: np.ndarray, seed: int) -> list[int]:
    """Returns the places of points, best first: by front, and within a front those whose niche is emptiest first.

    A niche is what lies nearest to the line from the best values through a reference point. The first of an empty one
    is the nearest to its line; equal niches and the later ones of a niche go by lot.

    >>> niche_order([(5, 5), (0, 4), (1, 1), (4, 0)], references=reference_points(2, divisions=2), seed=1)[-1]
    0

    Args:
        points: Numbers of trials, smaller is better.
        references: As many columns as points have numbers.
        seed: Of the lots.
    """
    if not points:
        return []
    ranks = front_ranks(points)
    niches, distances = _niches(_normalised(np.array(points, float), np.array(ranks)), references)
    random, counts, order = np.random.default_rng(seed), np.zeros(len(references), int), list[int]()
    for rank in sorted(set(ranks)):
        left = [at for at, found in enumerate(ranks) if found == rank]
        while left:
            least = min(counts[niches[at]] for at in left)
            niche = random.choice(sorted({int(niches[at]) for at in left if counts[niches[at]] == least}))
            inside = [at for at in left if niches[at] == niche]
            chosen = min(inside, key=lambda at: (distances[at], at)) if not least else int(random.choice(inside))
            counts[niche] += 1
            left.remove(chosen)
            order.append(chosen)
    return order


def _shares(num_objectives: int, total: int) -> list[tuple[int, ...]]:
    if num_objectives == 1:
        return [(total,)]
    return [(first, *rest) for first in range(total + 1) for rest in _shares(num_objectives - 1, total - first)]


def _normalised(points: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Returns points whose best value of each objective is 0, and for which the plane of the front's ends is at 1."""
    shifted = points - points.min(axis=0)
    front = shifted[ranks == 1]
    weights = np.where(np.eye(points.shape[1], dtype=bool), 1.0, _OTHERS)
    ends = np.array([front[(front / row).max(axis=1).argmin()] for row in weights])
    worst = front.max(axis=0)
    try:
        intercepts = 1 / np.linalg.solve(ends, np.ones(len(ends)))
    except np.linalg.LinAlgError:
        intercepts = worst
    # Ends that are one point, or a plane that meets an axis beyond the front, are none to measure by.
    is_usable = np.isfinite(intercepts) & (intercepts > 0) & (intercepts <= shifted.max(axis=0) + 1e-12)
    lengths = np.where(is_usable, intercepts, worst)
    return shifted / np.where(lengths > 0, lengths, 1.0)


def _niches(points: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest reference line of each point, and how far it is."""
    units = references / np.linalg.norm(references, axis=1, keepdims=True)
    along = points @ units.T
    away = np.sqrt(np.maximum((points**2).sum(axis=1, keepdims=True) - along**2, 0.0))
    return away.argmin(axis=1), away.min(axis=1)
