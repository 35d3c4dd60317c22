"""The interval of a share of images."""

import math
from statistics import NormalDist

#: The confidence of every interval, and one minus the level of every test.
CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def wilson_interval(share: float, *, count: int) -> tuple[float, float]:
    """Returns the ends of Wilson's interval of 95 % for a share of so many images.

    >>> low, high = wilson_interval(0.5, count=14)
    >>> f"{low:.3f} {high:.3f}"
    '0.268 0.732'
    >>> f"{wilson_interval(1.0, count=14)[0]:.3f}"
    '0.785'

    Args:
        share: Of the images, in [0, 1].
        count: The images, at least one.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    spread = _Z * _Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
