"""Rules of `export.choose` in words, and the knee of a front."""

from itertools import pairwise

import numpy as np
import pytest

from orchestrator.pareto.choice import SIGNS, RuleError, compares, knee_order, parse_condition, parse_rule
from orchestrator.pareto.constraints import excesses

VALUES = [
    {"val_accuracy": 0.95, "latency_ms": 9.0},
    {"val_accuracy": 0.91, "latency_ms": 3.0},
    {"val_accuracy": 0.5, "latency_ms": 1.0},
    {"val_accuracy": 0.99},
]

RULES = [
    ("val_accuracy >= 0.9 then least latency_ms", [1, 0]),
    ("val_accuracy>=0.95 then least latency_ms", [0]),
    ("latency_ms < 9 and val_accuracy > .4 then most val_accuracy", [1, 2]),
    ("latency_ms <= 9e0 then most val_accuracy", [0, 1, 2]),
    ("least latency_ms", [2, 1, 0]),
    ("val_accuracy > 1 then least latency_ms", []),
]


@pytest.mark.parametrize(("text", "chosen"), RULES)
def test_a_rule_keeps_trials_in_the_order_of_its_last_metric(text: str, chosen: list[int]) -> None:
    rule = parse_rule(text)
    kept = [at for at, values in enumerate(VALUES) if rule.takes(values)]
    assert sorted(kept, key=lambda at: rule.key(VALUES[at])) == chosen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fastest", "must end with least or most of a metric, and not with 'fastest'"),
        ("val_accuracy >= 0.9", "must end with least or most of a metric, and not with 'val_accuracy >= 0.9'"),
        ("then least latency_ms", "must name a condition before 'then'"),
        ("val_accuracy then least latency_ms", "joined by and, not 'val_accuracy'"),
        ("val_accuracy >= 1.2.3 then least latency_ms", "joined by and, not 'val_accuracy >= 1.2.3'"),
        ("val_accuracy >= 1e999 then least latency_ms", "joined by and, not 'val_accuracy >= 1e999'"),
        ("a > 1 or b > 2 then least c", "joined by and, not 'a > 1 or b > 2'"),
    ],
)
def test_a_text_that_is_no_rule_is_refused_in_words(text: str, expected: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(text)
    assert expected in str(caught.value)


def test_the_knee_is_the_trial_that_gives_least_away() -> None:
    assert knee_order([(-0.99, 100.0), (-0.97, 10.0), (-0.5, 1.0)])[0] == 1
    assert knee_order([(1.0, 1.0), (1.0, 1.0)]) == [0, 1]


@pytest.mark.parametrize("count", [7, 100, 360, 9999])
def test_shares_of_images_in_float32_compare_with_limits_as_the_counts_do(count: int) -> None:
    shares = [float(np.float32(right) / np.float32(count)) for right in range(count + 1)]
    places = np.random.default_rng(count).integers(0, count + 1, 200)
    for right, limit in pairwise(places.tolist()):
        for sign, compare in SIGNS.items():
            condition = parse_condition(f"val_accuracy {sign} {limit / count!r}")
            for near in {right, limit, max(limit - 1, 0), min(limit + 1, count)}:
                holds = compare(near, limit)
                assert compares(shares[near], sign, limit / count) == holds, (near, sign, limit)
                excess = excesses({"val_accuracy": shares[near]}, [condition])[0]
                assert (excess <= 0) == holds
                assert (abs(excess) < 1e-15) == (near == limit), (near, sign, limit)


def test_whole_numbers_compare_as_they_are() -> None:
    assert not compares(2**24, ">=", 2**24 + 1)
    assert compares(2**24 + 1, ">", 2**24)
    assert not compares(2.0**25 + 4, "<=", 2.0**25)
