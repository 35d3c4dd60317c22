"""Whether chance alone may make a difference between two models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from orchestrator.fleet.mistakes import mistakes_of, paired_interval
from orchestrator.results.chance import paired_p_value
from orchestrator.views.fleet.difference_view import mistakes_in_words

COUNT = st.integers(0, 60)


@given(COUNT, COUNT)
def test_p_values_are_those_of_the_exact_test(first, second):
    exact = binomtest(first, first + second).pvalue if first + second else 1.0
    assert paired_p_value(first, second) == pytest.approx(exact)


@given(COUNT, COUNT, COUNT)
def test_an_interval_holds_shrunken_difference_and_mirrors(first, second, both):
    count = first + second + both + 1
    low, high = paired_interval(first, second, count=count)
    assert -1.0 <= low <= (second - first) / (count + 2) <= high <= 1.0
    assert paired_interval(second, first, count=count) == pytest.approx((-high, -low))


def counts(**changes):
    made = {"target": "label", "kind": "classification", "num_images": 100, "both_wrong": 5, "both_right": 80}
    return {**made, "first_better": 10, "second_better": 5, "first_mean": 0.1, "second_mean": 0.15, **changes}


def test_a_difference_by_chance_is_called_so():
    sentences = mistakes_in_words(mistakes_of(counts()), split="validation", names=("t0003", "t0007"))
    assert sentences == [
        "label: of 100 validation images both are wrong on 5 (5.0%), "
        "t0003 alone on 5 (5.0%), t0007 alone on 10 (10.0%)",
        "label: t0007 is right on 5.0% of the images less (95 %: -12.5% to +2.7%)",
        "label: chance alone may make such a difference (McNemar's exact test, p = 0.3)",
    ]


def test_a_difference_beyond_chance_is_called_so():
    found = mistakes_of(counts(first_better=20, second_better=2, both_right=73, second_mean=0.25, first_mean=0.07))
    assert found.is_clear
    assert "more than chance allows" in mistakes_in_words(found, split="test", names=("a", "b"))[-1]


def test_numbers_are_compared_by_which_is_nearer():
    plain = {name: value for name, value in counts(kind="regression").items() if not name.startswith("both")}
    found = mistakes_of(plain)
    assert found.interval is None
    sentences = mistakes_in_words(found, split="test", names=("a", "b"))
    assert sentences[0] == "label: mean absolute error on 100 test images 0.1 and 0.15; a is better on 10, b on 5"
    assert "the sign test" in sentences[1]
