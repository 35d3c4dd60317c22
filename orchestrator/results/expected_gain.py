"""What another trial is expected to bring, from the values of those that have ended."""

import math
from collections.abc import Sequence

#: Fewer trials tell nothing of what another one brings.
LEAST_TRIALS = 10
#: The gain falls at least with the number of trials, as where values have no upper end, and at most with its cube.
SLOWEST, FASTEST = 1.0, 3.0


def expected_gain(values: Sequence[float]) -> float:
    """Returns by how much another trial is expected to raise the best value; infinite of too few trials.

    Trials are taken for draws of one distribution. What the last of m draws adds to the maximum of the others is known
    without bias for every m up to their number, as the mean over all choices of m of them. It falls as a power of m,
    which a quarter and a half of the draws tell, and so it is carried on to the next draw. A search that learns may
    gain more.

    Source: the estimate of a maximum's mean is that of probability-weighted moments, Greenwood et al. 1979, Water
    Resources Research 15(5).

    >>> expected_gain([0.5] * 9), expected_gain([0.5] * 10)
    (inf, 0.0)
    >>> round(expected_gain([number / 20 for number in range(20)]), 4)
    0.0024

    Args:
        values: The best value of each trial, the larger the better.
    """
    num_values = len(values)
    if num_values < LEAST_TRIALS:
        return math.inf
    ascending = sorted(values)
    quarter, half = num_values // 4, num_values // 2
    at_quarter, at_half = (_gain(ascending, draws) for draws in (quarter, half))
    if at_half <= 0:
        return 0.0
    power = math.log(at_quarter / at_half) / math.log(half / quarter)
    return at_half * (half / (num_values + 1)) ** min(FASTEST, max(SLOWEST, power))


def _gain(ascending: Sequence[float], draws: int) -> float:
    """Returns what the last of so many draws adds to the maximum of the others, on the average."""
    return _mean_maximum(ascending, draws) - _mean_maximum(ascending, draws - 1)


def _mean_maximum(ascending: Sequence[float], draws: int) -> float:
    """Returns the mean of the maximum over all choices of so many values."""
    total, share = 0.0, draws / len(ascending)
    # The share of the choices in which the value at this place is the largest.
    for place in range(len(ascending), draws - 1, -1):
        total += share * ascending[place - 1]
        share *= (place - draws) / max(1, place - 1)
    return total
