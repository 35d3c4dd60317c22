"""Student's interval of a mean, for a few values of unknown spread."""

import math
import statistics
from collections.abc import Sequence
from functools import cache

Ends = tuple[float, float]

#: The ends of values without limits.
UNBOUNDED: Ends = (-math.inf, math.inf)
_STEPS = 200


def student_interval(
    values: Sequence[float], *, confidence: float = 0.95, overlap: float = 0.0, bounds: Ends = UNBOUNDED
) -> Ends | None:
    """Returns the ends of Student's interval of a mean; None for values that do not show their spread.

    These are fewer than two values, and equal ones: that two trainings came to the same share of images does not make
    the third one certain.

    >>> low, high = student_interval([0.90, 0.92, 0.94])
    >>> f"{low:.3f} {high:.3f}"
    '0.870 0.970'
    >>> student_interval([0.9]), student_interval([0.9, 0.9])
    (None, None)
    >>> low, high = student_interval([0.95, 0.99], bounds=(0.0, 1.0))
    >>> f"{low:.2f} {high:.2f}"
    '0.72 1.00'

    Args:
        values: Of trainings, independent ones but for `overlap`.
        confidence: How often such intervals have the mean in them, in (0, 1).
        overlap: How far trainings share images: validation images of each, divided by its training images, where they
            validate on different ones; 0: all trainings have the same images, whose choice the mean is not about.
        bounds: The least and the greatest value that there can be; an interval that leaves them ends there, which
            takes no mean out of it.

    Source: Student 1908, "The Probable Error of a Mean"; with an overlap Nadeau and Bengio 2003, "Inference for the
        Generalization Error", equation 9.
    """
    if len(values) < 2 or min(values) == max(values):
        return None
    mean, error = statistics.fmean(values), statistics.stdev(values) * math.sqrt(1 / len(values) + overlap)
    half = student_quantile(0.5 + confidence / 2, freedom=len(values) - 1) * error
    low, high = bounds
    if not low <= min(values) <= max(values) <= high:
        # A metric of a user's own that has the name of another one.
        return mean - half, mean + half
    return max(low, mean - half), min(high, mean + half)


@cache
def student_quantile(probability: float, *, freedom: int) -> float:
    """Returns the value below which Student's distribution has a probability.

    >>> f"{student_quantile(0.975, freedom=1):.3f} {student_quantile(0.975, freedom=4):.3f}"
    '12.706 2.776'

    Args:
        probability: At least a half, below 1.
        freedom: Degrees of freedom, at least 1.
    """
    low, high = 0.0, 1.0
    while _within(high, freedom=freedom) < 2 * probability - 1:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _within(middle, freedom=freedom) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return high


def _within(limit: float, *, freedom: int) -> float:
    """Returns the probability of a value between -limit and limit.

    Source: Abramowitz and Stegun 1964, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
    """
    angle = math.atan2(limit, math.sqrt(freedom))
    is_odd = freedom % 2 == 1
    term, total = (math.cos(angle) if is_odd else 1.0), 0.0
    for index in range(3 if is_odd else 2, freedom + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (index - 1) / index
    if is_odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
