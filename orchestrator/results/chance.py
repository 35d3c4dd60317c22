"""What chance does to shares of images: intervals, the best of several, the difference between two splits."""

import math
from collections.abc import Mapping

#: Values of the unknown share that the prior is spread over, and steps of its estimation.
_GRID, _STEPS = 60, 100
#: On more images than this, luck adds less than a fiftieth to the best of ten thousand.
_MANY_IMAGES = 10_000


def do_overlap(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Returns whether two intervals have a value in common.

    >>> do_overlap((0.2, 0.4), (0.4, 0.6)), do_overlap((0.2, 0.4), (0.5, 0.6))
    (True, False)
    """
    return first[0] <= second[1] and second[0] <= first[1]


def difference_p_value(first: float, second: float, *, counts: tuple[int, int]) -> float:
    """Returns how probable two shares at least so far apart are if both splits are alike: the two-proportion z-test.

    >>> f"{difference_p_value(0.9, 0.5, counts=(30, 40)):.4f}"
    '0.0004'
    >>> difference_p_value(1.0, 1.0, counts=(30, 40))
    1.0

    Args:
        first: The share of the first split's images, in [0, 1].
        second: The share of the second split's images, in [0, 1].
        counts: The images of each split.

    Source: Agresti 2013, "Categorical Data Analysis", section 3.2.1, with the pooled variance.
    """
    pooled = (first * counts[0] + second * counts[1]) / sum(counts)
    variance = pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1])
    if variance <= 0.0:
        return 1.0
    return math.erfc(abs(first - second) / math.sqrt(2 * variance))


def paired_p_value(first_only: int, second_only: int) -> float:
    """Returns how probable at least so uneven counts are if two models are alike: McNemar's exact test.

    >>> f"{paired_p_value(9, 1):.4f}", paired_p_value(5, 5)
    ('0.0215', 1.0)

    Args:
        first_only: Images that the first model alone has right.
        second_only: Images that the second model alone has right.

    Source: Agresti 2013, "Categorical Data Analysis", section 11.1.
    """
    count = first_only + second_only
    if not count:
        return 1.0
    tail = math.fsum(math.exp(_log_binomial(hits, count, 0.5)) for hits in range(min(first_only, second_only) + 1))
    return min(1.0, 2 * tail)


def luck_p_value(share: float, *, reference: float, count: int, looks: int) -> float:
    """Returns at most how probable it is that the best of several looks reaches a share by luck alone.

    Each look is a guesser that is right as often as the reference; Bonferroni's bound holds however alike the guessers
    are.

    >>> f"{luck_p_value(0.5, reference=1 / 3, count=14, looks=1):.2f}"
    '0.15'
    >>> luck_p_value(0.5, reference=1 / 3, count=14, looks=10)
    1.0
    >>> luck_p_value(0.9, reference=1 / 3, count=14, looks=90) < 0.001
    True

    Args:
        share: The best share of images.
        reference: How often a guesser is right, in [0, 1].
        count: The images of the split.
        looks: How many values the best was chosen from.
    """
    hits = round(share * count)
    if reference <= 0.0:
        return 0.0 if hits else 1.0
    if reference >= 1.0:
        return 1.0
    tail = math.fsum(math.exp(_log_binomial(number, count, reference)) for number in range(hits, count + 1))
    return min(1.0, looks * tail)


def expected_drop(hits: Mapping[int, int], *, count: int) -> float:
    """Returns by how much the best of several shares is expected to lie above its own value on new images.

    The hidden shares of all candidates are taken for draws from one prior, of any form, which is estimated from their
    observed shares: the nonparametric maximum likelihood of a mixture of binomials, by EM on a grid. The mean of the
    hidden share given the best observation is, unlike the observation itself, no matter of which candidate was chosen.

    >>> f"{expected_drop({8: 1, 6: 2, 5: 3, 4: 2, 3: 2}, count=14):.2f}"  # ten guessers among three classes
    '0.22'
    >>> expected_drop({8: 1}, count=14)  # there was no choice
    0.0

    Args:
        hits: How many candidates were right on how many images, by the number of images.
        count: The images that each was measured on.

    Source: Efron 2011, "Tweedie's Formula and Selection Bias"; Koenker and Mizera 2014, "Convex Optimization, Shape
        Constraints, Compound Decisions, and Empirical Bayes Rules", for the prior.
    """
    if sum(hits.values()) < 2 or count > _MANY_IMAGES:
        return 0.0
    # Late: `status` of runs without shares of images does not need it.
    import numpy as np

    seen, weights = np.array(sorted(hits)), np.array([hits[number] for number in sorted(hits)], float)
    margin = 1 / math.sqrt(count)
    low, high = max(0.0, seen[0] / count - margin), min(1.0, seen[-1] / count + margin)
    # Between the grid's points; no share is 0 or 1 for certain.
    grid = low + (high - low) * (np.arange(_GRID) + 0.5) / _GRID
    logs = seen[:, None] * np.log(grid) + (count - seen[:, None]) * np.log1p(-grid)
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    prior = np.full(_GRID, 1 / _GRID)
    for _ in range(_STEPS):
        posterior = prior * likelihood
        posterior /= posterior.sum(axis=1, keepdims=True)
        prior = weights @ posterior / weights.sum()
    last = prior * likelihood[-1]
    return max(0.0, float(seen[-1] / count - last @ grid / last.sum()))


def _log_binomial(number: int, count: int, share: float) -> float:
    """Returns the logarithm of the probability of so many hits of `count`."""
    ways = math.lgamma(count + 1) - math.lgamma(number + 1) - math.lgamma(count - number + 1)
    return ways + number * math.log(share) + (count - number) * math.log1p(-share)
