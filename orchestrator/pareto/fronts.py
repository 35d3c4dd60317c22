"""Sorts trials by fronts: no trial of a front is better than another one of it in every objective.

Source: Zhang, Tian, Cheng and Jin 2015, "An Efficient Approach to Nondominated Sorting for Evolutionary Multiobjective
Optimization", IEEE Transactions on Evolutionary Computation 19 (its binary search).
"""

import math
from collections.abc import Sequence

from orchestrator.pareto.goals import Losses


def dominates(one: Losses, other: Losses) -> bool:
    """Returns whether the first is nowhere worse than the second, and somewhere better.

    >>> dominates((1, 2), (1, 3)), dominates((1, 2), (1, 2)), dominates((1, 3), (2, 2))
    (True, False, False)
    """
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front_ranks(points: Sequence[Losses]) -> list[int]:
    """Returns the number of each point's front: 1 where no other point dominates it, then without those, and so on.

    Equal points have equal ranks.

    >>> front_ranks([(1, 5), (2, 2), (3, 3), (2, 2)])
    [1, 1, 2, 1]
    """
    fronts: list[list[Losses]] = []
    ranks: dict[Losses, int] = {}
    # In this order no point dominates one before it, so a point's front is final as it is found.
    for point in sorted(set(points)):
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            if _is_dominated(point, fronts[middle]):
                low = middle + 1
            else:
                high = middle
        fronts[low:] = fronts[low:] or [[]]
        fronts[low].append(point)
        ranks[point] = low + 1
    return [ranks[point] for point in points]


def crowding_distances(points: Sequence[Losses]) -> list[float]:
    """Returns how far each point of a front is from its neighbours, infinite at the ends.

    Source: Deb et al. 2002, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", section III-B.

    >>> crowding_distances([(0, 4), (1, 1), (4, 0)])
    [inf, 2.0, inf]
    """
    distances = [0.0] * len(points)
    for axis in range(len(points[0]) if points else 0):
        order = sorted(range(len(points)), key=lambda at: (points[at][axis], at))
        low, high = points[order[0]][axis], points[order[-1]][axis]
        distances[order[0]] = distances[order[-1]] = math.inf
        for before, at, after in zip(order, order[1:], order[2:], strict=False):
            distances[at] += (points[after][axis] - points[before][axis]) / ((high - low) or 1.0)
    return distances


def _is_dominated(point: Losses, front: Sequence[Losses]) -> bool:
    """Returns whether a point of a front dominates another point.

    Args:
        point: One that comes after all of the front in their order.
        front: In their order.
    """
    if len(point) <= 2:
        # The last one of the front has the smallest second number of them, and its first one is no larger.
        return front[-1][-1] <= point[-1]
    return any(dominates(other, point) for other in reversed(front))
