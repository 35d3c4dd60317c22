"""Rules of `export.choose` in words, and the knee of a front."""

import pytest

from orchestrator.pareto.choice import RuleError, knee_order, parse_rule

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
