"""Intervals and tests agree with SciPy's; what luck adds to the best of several is told as simulation finds it."""

import numpy as np
import pytest
from best_of_n import SCENARIOS, simulated
from scipy import stats

from orchestrator.results.chance import difference_p_value, expected_drop, luck_p_value
from trainables.scores.interval import wilson_interval


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (0, 14), (7, 14), (14, 14), (180, 216), (9_999, 10_000)])
def test_wilsons_interval_is_scipys(hits, count):
    known = stats.binomtest(hits, count).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson_interval(hits / count, count=count) == pytest.approx((known.low, known.high), abs=1e-12)


@pytest.mark.parametrize(("hits", "counts"), [((13, 12), (14, 20)), ((90, 70), (100, 100)), ((0, 30), (50, 60))])
def test_difference_of_two_shares_is_judged_as_by_scipys_chi_square(hits, counts):
    table = [[hits[place], counts[place] - hits[place]] for place in (0, 1)]
    known = stats.chi2_contingency(table, correction=False).pvalue
    found = difference_p_value(hits[0] / counts[0], hits[1] / counts[1], counts=counts)
    assert found == pytest.approx(known, rel=1e-9)


@pytest.mark.parametrize(
    ("hits", "count", "reference", "looks"), [(13, 14, 0.34, 90), (60, 100, 0.5, 2), (9, 9, 0.9, 1)]
)
def test_luck_is_the_binomial_tail_by_the_number_of_looks(hits, count, reference, looks):
    known = min(1.0, looks * stats.binom.sf(hits - 1, count, reference))
    assert luck_p_value(hits / count, reference=reference, count=count, looks=looks) == pytest.approx(known, rel=1e-9)


def test_best_of_guessers_is_called_luck_and_a_real_winner_is_not():
    guessers = np.random.default_rng(1).binomial(30, 1 / 3, size=(2_000, 40)).max(axis=1) / 30
    is_claimed = [luck_p_value(best, reference=1 / 3, count=30, looks=40) <= 0.05 for best in guessers]
    assert np.mean(is_claimed) <= 0.05
    assert luck_p_value(0.9, reference=1 / 3, count=30, looks=40) < 1e-6


@pytest.mark.parametrize("name", SCENARIOS)
def test_expected_drop_is_what_simulated_studies_lose_on_new_images(name):
    found = simulated(SCENARIOS[name], num_trials=10, count=30, num_studies=300, seed=3)
    # A hundredth is noise of 300 studies; a quarter of the drop is what the estimate may leave out.
    assert found.expected == pytest.approx(found.actual, abs=0.01 + 0.25 * found.actual)


def test_nothing_is_expected_to_drop_without_a_choice_or_on_many_images():
    assert expected_drop({10: 1}, count=14) == 0.0
    assert expected_drop({9_000: 1, 9_100: 1}, count=20_000) == 0.0
    assert 0.0 < expected_drop({900: 2, 910: 3, 920: 2}, count=1_000) < 0.02
    assert expected_drop({14: 3, 13: 2}, count=14) > 0.02
