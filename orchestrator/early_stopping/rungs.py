"""Rungs: the epochs at which trials are compared, and the values that they had there."""

import math
from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.pareto.goals import Losses


@dataclass(slots=True, kw_only=True)
class Rung:
    """The values of the trials that have reached an epoch; the larger the better.

    Attributes:
        milestone: The rung judges the first report from this epoch on; a trial stands in it once.
        values: By trial, in the order of arrival.
        points: With several objectives the numbers of each trial that has all of them, the smaller the better.
    """

    milestone: float
    values: dict[str, float] = field(default_factory=dict)
    points: list[Losses] = field(default_factory=list)
    #: The values alone, ascending, so that a cut-off needs no sorting.
    _ascending: list[float] = field(default_factory=list)

    def enter(self, trial: str, value: float, *, losses: Losses = ()) -> None:
        """Adds a trial that is not in the rung."""
        self.values[trial] = value
        insort(self._ascending, value)
        if losses:
            self.points.append(losses)

    def cutoff(self, factor: float) -> float | None:
        """Returns what a trial must reach to be among the best 1/factor; None for a rung without trials."""
        return percentile(self._ascending, (1 - 1 / factor) * 100) if self._ascending else None

    @property
    def best(self) -> float | None:
        """The best value; None for a rung without trials."""
        return self._ascending[-1] if self._ascending else None


class Ladder:
    """The rungs of one bracket.

    Args:
        milestones: Their epochs.

    Attributes:
        rungs: The highest first.
    """

    def __init__(self, milestones: Sequence[float]) -> None:
        self.rungs = [Rung(milestone=milestone) for milestone in sorted(milestones, reverse=True)]

    @property
    def milestones(self) -> list[float]:
        """The epochs of the rungs, ascending."""
        return [rung.milestone for rung in reversed(self.rungs)]

    def open_rung(self, trial: str, *, epoch: int) -> Rung | None:
        """Returns the highest rung that an epoch reaches and that lacks the trial; None if there is none."""
        return next((rung for rung in self.rungs if epoch >= rung.milestone and trial not in rung.values), None)


def halving_milestones(*, grace: int, max_epochs: int, factor: float, skipped: int = 0) -> Iterator[float]:
    """Yields grace * factor^k, up to max_epochs, ascending.

    >>> list(halving_milestones(grace=1, max_epochs=12, factor=3)), list(halving_milestones(
    ...     grace=1, max_epochs=12, factor=3, skipped=1))
    ([1, 3, 9], [3, 9])

    Args:
        grace: The first epoch.
        max_epochs: The last epoch.
        factor: From one rung to the next.
        skipped: How many of the lowest rungs are left out.
    """
    # Ray Tune's formula: where a quotient of logarithms is a hair below a whole number, the same rung is missing.
    num_rungs = int(math.log(max_epochs / grace) / math.log(factor) - skipped + 1)
    for number in range(num_rungs):
        yield grace * factor ** (number + skipped)


def percentile(ascending: Sequence[float], percent: float) -> float:
    """Returns a percentile by linear interpolation, to the bit what numpy 2.4 returns for the same numbers.

    >>> percentile([0.0, 1.0, 4.0], 75)
    2.5

    Args:
        ascending: At least one number.
        percent: From 0 to 100.
    """
    position = (len(ascending) - 1) * (percent / 100)
    below = math.floor(position)
    if below >= len(ascending) - 1:
        return ascending[-1]
    low, high, share = ascending[below], ascending[below + 1], position - below
    step = high - low
    # From the nearer end, as numpy does.
    return high - step * (1 - share) if share >= 0.5 else low + step * share
