"""One of a study's objectives: what is measured, and which direction of it is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Numbers of a trial, smaller is better for each: what fronts and hypervolumes are computed from.
Losses = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """An objective of a study.

    Attributes:
        metric: A metric of the reports, or a cost of the variant.
        mode: `max` or `min`.
        reference: The value from which hypervolumes are measured; None: the worst that was seen.
    """

    metric: str
    mode: str
    reference: float | None = None

    @property
    def sign(self) -> float:
        """What turns a value into a loss, and a loss into a value."""
        return -1.0 if self.mode == "max" else 1.0

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "Goal":
        """Returns the goal that a journal's header has."""
        return cls(metric=mapping["metric"], mode=mapping["mode"], reference=mapping.get("reference"))

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping.

        >>> Goal(metric="latency_ms", mode="min").to_json()
        {'metric': 'latency_ms', 'mode': 'min'}
        """
        given = {} if self.reference is None else {"reference": self.reference}
        return {"metric": self.metric, "mode": self.mode, **given}


def losses_of(values: Sequence[float], goals: Sequence[Goal]) -> Losses:
    """Returns values as numbers of which smaller ones are better.

    >>> losses_of((0.9, 12.0), (Goal(metric="val_accuracy", mode="max"), Goal(metric="latency_ms", mode="min")))
    (-0.9, 12.0)
    """
    return tuple(goal.sign * value for goal, value in zip(goals, values, strict=True))
