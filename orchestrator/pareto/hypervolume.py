"""The hypervolume: how much of the room below a reference point is dominated by some trial.

Source: Zitzler and Thiele 1998, "Multiobjective Optimization Using Evolutionary Algorithms", PPSN V; computed by
slices (While et al. 2006, "A Faster Algorithm for Calculating Hypervolume").
"""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.pareto.fronts import dominates
from orchestrator.pareto.goals import Goal, Losses


def reference_point(points: Iterable[Losses], goals: Sequence[Goal]) -> Losses:
    """Returns the losses from which hypervolumes are measured: those given, else the worst of all points.

    >>> goals = Goal(metric="a", mode="max", reference=0.1), Goal(metric="b", mode="min")
    >>> reference_point([(-0.9, 3.0), (-0.5, 7.0)], goals)
    (-0.1, 7.0)
    """
    worst = [max(axis) for axis in zip(*points, strict=True)]
    return tuple(
        goal.sign * goal.reference if goal.reference is not None else worst[at] for at, goal in enumerate(goals)
    )


def hypervolume(points: Iterable[Losses], *, reference: Losses) -> float:
    """Returns the volume that points dominate, up to a reference point.

    >>> hypervolume([(1, 2), (2, 1), (2, 2)], reference=(3, 3))
    3.0

    Args:
        points: One number an objective, smaller is better; those beyond the reference count for nothing.
        reference: The far corner of the volume.
    """
    inside = {point for point in points if all(a < b for a, b in zip(point, reference, strict=True))}
    return float(_volume(sorted(inside, key=lambda point: point[::-1]), reference))


def volumes_so_far(points: Iterable[Losses | None], *, reference: Losses) -> Iterator[float]:
    """Yields the hypervolume after each point; None is a trial without a result.

    >>> list(volumes_so_far([(2, 2), None, (1, 1)], reference=(3, 3)))
    [1.0, 1.0, 4.0]
    """
    front: list[Losses] = []
    volume = 0.0
    for point in points:
        if point is not None and not any(other == point or dominates(other, point) for other in front):
            front = [other for other in front if not dominates(point, other)] + [point]
            volume = hypervolume(front, reference=reference)
        yield volume


def _volume(points: Sequence[Losses], reference: Losses) -> float:
    """Returns the volume of points inside the reference.

    Args:
        points: Their last numbers ascend.
        reference: The far corner.
    """
    if not points:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in points)
    total = 0.0
    # Between two values of the last number, the volume is that of all points up to there.
    ends = [point[-1] for point in points[1:]] + [reference[-1]]
    for count, (point, end) in enumerate(zip(points, ends, strict=True), start=1):
        if end > point[-1]:
            seen = sorted({other[:-1] for other in points[:count]}, key=lambda other: other[::-1])
            total += (end - point[-1]) * _volume(seen, reference[:-1])
    return total
