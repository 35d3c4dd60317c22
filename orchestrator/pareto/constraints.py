"""Constraints of a study: what a trial must keep to so that it may win."""

import math
import re
from collections.abc import Mapping, Sequence

from orchestrator.pareto.choice import SIGNS, Condition, RuleError, is_same, parse_condition

#: A constraint that is right, for messages.
EXAMPLE = "parameters <= 1e6"
_OTHER_SIGNS = re.compile(r"==|!=|=<|=>|≤|≥|=")
_UNIT = re.compile(r"(?P<number>[-+]?[0-9][0-9_.,]*(?:[eE][-+]?[0-9]+)?)\s*(?P<unit>[^-+0-9\s,._eE]\S*)$")
_REVERSED = re.compile(r"[-+0-9.eE]+\s*(>=|<=|>|<)\s*[A-Za-z_]\w*")


def parse_constraint(text: str) -> Condition:
    """Returns the constraint that a text says.

    >>> parse_constraint("parameters <= 1e6")
    Condition(metric='parameters', sign='<=', limit=1000000.0)

    Raises:
        RuleError: If it says none; the message goes on after "it".
    """
    try:
        return parse_condition(text.strip())
    except RuleError as exc:
        raise RuleError(_complaint(text.strip())) from exc


def in_words(condition: Condition) -> str:
    """Returns a constraint as a study file writes it.

    >>> in_words(parse_constraint("parameters<=1000000"))
    'parameters <= 1,000,000'
    """
    return f"{condition.metric} {condition.sign} {condition.limit:,.15g}"


def shortest(value: float) -> str:
    """Returns a number as short as it can be read.

    >>> shortest(1234567.0), shortest(0.25), shortest(3.14159)
    ('1,234,567', '0.25', '3.142')
    """
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def broken_by(values: Mapping[str, float], conditions: Sequence[Condition]) -> list[Condition]:
    """Returns the constraints that a trial of these values does not keep to; one without the value does not.

    >>> [item.metric for item in broken_by({"parameters": 2e6}, [parse_constraint("parameters <= 1e6")])]
    ['parameters']
    """
    return [condition for condition in conditions if not condition.holds(values)]


def excesses(values: Mapping[str, float], conditions: Sequence[Condition]) -> tuple[float, ...]:
    """Returns how far a trial is beyond each constraint, as a share of its limit; none is above 0 where it keeps to it.

    A trial without the value is taken to be beyond by the limit itself.

    >>> excesses({"parameters": 1.5e6, "val_accuracy": 0.75}, [
    ...     parse_constraint("parameters <= 1e6"), parse_constraint("val_accuracy >= 0.5"), parse_constraint("x < 1")])
    (0.5, -0.5, 1.0)
    """
    return tuple(_excess(values, condition) for condition in conditions)


def contradiction(one: Condition, other: Condition) -> bool:
    """Returns whether no number keeps to both of two constraints on one metric.

    >>> contradiction(parse_constraint("a <= 1"), parse_constraint("a > 1"))
    True
    """
    upper, lower = (one, other) if is_upper(one) else (other, one)
    if is_upper(upper) == is_upper(lower):
        return False
    is_strict = "<" in (upper.sign,) or ">" in (lower.sign,)
    return upper.limit < lower.limit or (upper.limit == lower.limit and is_strict)


def is_upper(condition: Condition) -> bool:
    """Returns whether a constraint bounds its metric from above."""
    return condition.sign in ("<=", "<")


def _excess(values: Mapping[str, float], condition: Condition) -> float:
    if condition.metric not in values:
        return 1.0
    value = values[condition.metric]
    beyond = 0.0 if is_same(value, condition.limit) else value - condition.limit
    share = (beyond if is_upper(condition) else -beyond) / (abs(condition.limit) or 1.0)
    if condition.holds(values):
        return min(share, 0.0) + 0.0
    # At a limit that is not allowed itself, a trial is as little beyond as can be.
    return max(share, math.ulp(1.0))


def _complaint(text: str) -> str:
    if re.search(r"\band\b", text):
        return "joins two with and; write each as an entry of its own"
    if _REVERSED.fullmatch(text):
        return f"must begin with the metric, as {EXAMPLE} does"
    if not any(sign in text for sign in SIGNS) or (_OTHER_SIGNS.search(re.sub(r">=|<=", "", text))):
        return f"must compare by one of {', '.join(SIGNS)}, as {EXAMPLE} does"
    if found := _UNIT.search(text):
        return f"must end with the number alone, without {found['unit']!r}: the unit is the metric's own"
    if "," in text.rpartition(" ")[2]:
        return "must write its number without commas, as 1000000 or 1e6"
    return f"must be a metric, one of {', '.join(SIGNS)} and a finite number, as {EXAMPLE} is"
