"""Where two models err on the same images, and whether chance alone may make such a difference."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from orchestrator.results.chance import paired_p_value
from trainables.scores.interval import CONFIDENCE

_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """What two models answer for the images of a split, for one target.

    Attributes:
        target: The target's name.
        kind: The target's.
        num_images: The images of the split.
        both_wrong: On how many both models are wrong; None for numbers and masks, which are better or worse.
        both_right: Likewise right.
        first_better: On how many the first model is better: alone right, or nearer to the label.
        second_better: Likewise the second one.
        first_mean: The mean wrongness of the first model: its share of wrong images, mean absolute error, or share of
            wrong pixels.
        second_mean: Likewise of the second one.
        p_value: How probable at least so uneven counts are if the models are alike: McNemar's exact test, and the sign
            test for numbers and masks, which is the same.
        interval: Of 95 %, of how much more often the second model is right; None for numbers and masks.
    """

    target: str
    kind: str
    num_images: int
    both_wrong: int | None
    both_right: int | None
    first_better: int
    second_better: int
    first_mean: float
    second_mean: float
    p_value: float
    interval: tuple[float, float] | None

    @property
    def is_clear(self) -> bool:
        """Whether the difference is more than chance allows."""
        return self.p_value < 1 - CONFIDENCE

    @property
    def difference(self) -> float:
        """By how much the second model's mean wrongness is lower."""
        return self.first_mean - self.second_mean


def mistakes_of(found: Mapping[str, Any]) -> Mistakes:
    """Returns the mistakes that a child process counted.

    >>> counts = {"target": "label", "kind": "classification", "num_images": 100, "both_wrong": 5, "both_right": 80}
    >>> counts |= {"first_better": 10, "second_better": 5, "first_mean": 0.10, "second_mean": 0.15}
    >>> found = mistakes_of(counts)
    >>> round(found.p_value, 3), found.is_clear, [round(end, 3) for end in found.interval]
    (0.302, False, [-0.125, 0.027])

    Args:
        found: As `trainables.inspecting.answers.paired` returns it, with target and kind.
    """
    better = found["first_better"], found["second_better"]
    is_counted = "both_wrong" in found
    return Mistakes(
        target=found["target"],
        kind=found["kind"],
        num_images=found["num_images"],
        both_wrong=found.get("both_wrong"),
        both_right=found.get("both_right"),
        first_better=better[0],
        second_better=better[1],
        first_mean=found["first_mean"],
        second_mean=found["second_mean"],
        p_value=paired_p_value(*better),
        interval=paired_interval(*better, count=found["num_images"]) if is_counted else None,
    )


def paired_interval(first_only: int, second_only: int, *, count: int) -> tuple[float, float]:
    """Returns the interval of 95 % of how much more often a second model is right than a first on the same images.

    >>> [round(end, 3) for end in paired_interval(0, 0, count=50)]
    [-0.038, 0.038]

    Args:
        first_only: Images that the first model alone has right.
        second_only: Images that the second model alone has right.
        count: All images, at least one.

    Source: Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions".
    """
    one, other, total = first_only + 0.5, second_only + 0.5, count + 2
    middle = (other - one) / total
    half = _Z * math.sqrt((one + other) - (other - one) ** 2 / total) / total
    return max(-1.0, middle - half), min(1.0, middle + half)
