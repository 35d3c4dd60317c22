"""Which of the best trials a study exports: the front, its knee, or those that a rule in words asks for."""

import math
import operator
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.pareto.goals import Losses

#: What `export.choose` may name beside a rule.
FRONT, KNEE = "front", "knee"
#: A rule that is right, for messages.
EXAMPLE = "val_accuracy >= 0.9 then least latency_ms"

#: How a value may be compared with a limit.
SIGNS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_CONDITION = re.compile(r"(?P<metric>[A-Za-z_]\w*)\s*(?P<sign>>=|<=|>|<)\s*(?P<limit>[-+0-9.eE]+)")
_LAST = re.compile(r"(?P<way>least|most)\s+(?P<metric>[A-Za-z_]\w*)")


class RuleError(ValueError):
    """A text is no rule; the message says what is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a trial must keep to.

    Attributes:
        metric: The name of a metric or a cost.
        sign: One of >=, <=, > and <.
        limit: The number that it is compared with.
    """

    metric: str
    sign: str
    limit: float

    def holds(self, values: Mapping[str, float]) -> bool:
        """Returns whether a trial keeps to it; one without the value does not.

        >>> parse_condition("val_accuracy >= 0.9").holds({"val_accuracy": 0.8999999761581421})
        True
        """
        return self.metric in values and compares(values[self.metric], self.sign, self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A choice in words: conditions, then what is to be as small or as large as possible.

    Attributes:
        conditions: All of them hold.
        metric: Decides between the trials that keep to the conditions.
        is_least: Whether less of it is better.
    """

    conditions: Sequence[Condition]
    metric: str
    is_least: bool

    @property
    def metrics(self) -> list[str]:
        """All names in the rule, each once."""
        return list(dict.fromkeys([*(condition.metric for condition in self.conditions), self.metric]))

    def key(self, values: Mapping[str, float]) -> float:
        """Returns what the trials are sorted by, smallest first."""
        value = values[self.metric]
        return value if self.is_least else -value

    def takes(self, values: Mapping[str, float]) -> bool:
        """Returns whether a trial keeps to the conditions and has the value that decides."""
        return self.metric in values and all(condition.holds(values) for condition in self.conditions)


def parse_rule(text: str) -> Rule:
    """Returns the rule that a text says.

    >>> parse_rule("val_accuracy >= 0.9 then least latency_ms").metrics
    ['val_accuracy', 'latency_ms']

    Raises:
        RuleError: If it says none.
    """
    before, then, last = text.strip().rpartition("then ")
    way = _LAST.fullmatch(last.strip())
    if way is None:
        raise RuleError(f"must end with least or most of a metric, and not with {last.strip()!r}")
    if then and not before.strip():
        raise RuleError("must name a condition before 'then'")
    parts = [part.strip() for part in re.split(r"\band\b", before)] if then else []
    return Rule(
        conditions=[parse_condition(part) for part in parts], metric=way["metric"], is_least=way["way"] == "least"
    )


def parse_condition(text: str) -> Condition:
    """Returns the condition that a text says.

    Raises:
        RuleError: If it says none.
    """
    found = _CONDITION.fullmatch(text)
    try:
        limit = float(found["limit"]) if found else math.nan
    except ValueError:
        limit = math.nan
    if found is None or not math.isfinite(limit):
        raise RuleError(f"must have conditions such as val_accuracy >= 0.9 joined by and, not {text!r}")
    return Condition(metric=found["metric"], sign=found["sign"], limit=limit)


def compares(value: float, sign: str, limit: float) -> bool:
    """Returns whether a value compares with a limit as a sign says.

    Metrics are float32: 90 of 100 images are 0.89999998 and equal a limit of 0.9, 80 of 100 are 0.80000001 and equal
    one of 0.8.

    >>> compares(0.8999999761581421, ">=", 0.9), compares(0.800000011920929, ">", 0.8)
    (True, False)

    Args:
        value: Of a trial.
        sign: One of `SIGNS`.
        limit: What it is compared with.
    """
    return "=" in sign if is_same(value, limit) else bool(SIGNS[sign](value, limit))


def is_same(value: float, limit: float) -> bool:
    """Returns whether a value equals a limit, or is what float32 makes of a limit that is no whole number."""
    return value == limit or (limit % 1 != 0 and value == struct.unpack("f", struct.pack("f", limit))[0])


def knee_order(points: Sequence[Losses]) -> list[int]:
    """Returns the places of a front's points, the knee first: farthest below the plane through the front's ends.

    Each objective counts from its best to its worst value of the front, so the farthest one has the smallest sum.

    >>> knee_order([(0, 10), (1, 1), (10, 0)])
    [1, 0, 2]

    Source: Das 1999, "On characterizing the 'knee' of the Pareto curve", Structural Optimization 18.
    """
    ranges = [(min(axis), max(axis)) for axis in zip(*points, strict=True)]

    def distance(at: int) -> float:
        return math.fsum(
            (loss - low) / ((high - low) or 1.0) for loss, (low, high) in zip(points[at], ranges, strict=True)
        )

    return sorted(range(len(points)), key=lambda at: (distance(at), at))
