"""What another trial is expected to bring: right for draws alike, whatever their distribution's upper end."""

import random
from collections.abc import Callable
from itertools import combinations
from statistics import mean

import pytest

from orchestrator.results.expected_gain import LEAST_TRIALS, _mean_maximum, expected_gain

DRAWS: dict[str, Callable[[random.Random], float]] = {
    "a hard end": lambda draw: draw.random(),
    "like an accuracy": lambda draw: draw.betavariate(8, 2),
    "no end": lambda draw: draw.expovariate(1),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("count", [12, 40])
def test_the_expected_gain_is_the_mean_gain_of_many_further_draws(name: str, count: int) -> None:
    draw, expected, gained = random.Random(f"{name} {count}"), [], []
    for _ in range(3000):
        values = [DRAWS[name](draw) for _ in range(count)]
        expected.append(expected_gain(values))
        # The mean over the draw of the gain, from many draws.
        gained += [max(0.0, DRAWS[name](draw) - max(values)) for _ in range(10)]
    assert mean(expected) == pytest.approx(mean(gained), rel=0.35)


def test_the_mean_maximum_is_that_of_all_choices() -> None:
    draw = random.Random(4)
    values = sorted(draw.random() for _ in range(9))
    for draws in range(1, 10):
        assert _mean_maximum(values, draws) == pytest.approx(mean(map(max, combinations(values, draws))))


def test_neither_order_nor_place_changes_the_gain_and_the_unit_scales_it() -> None:
    draw = random.Random(5)
    values = [draw.random() for _ in range(20)]
    gain = expected_gain(values)
    assert gain > 0
    assert expected_gain(values[::-1]) == gain
    assert expected_gain([value + 7 for value in values]) == pytest.approx(gain)
    assert expected_gain([value * 1000 for value in values]) == pytest.approx(gain * 1000)


def test_few_trials_promise_everything_and_equal_ones_nothing() -> None:
    assert expected_gain([0.1 * number for number in range(LEAST_TRIALS - 1)]) == float("inf")
    assert expected_gain([0.3] * 50) == pytest.approx(0.0, abs=1e-12)
