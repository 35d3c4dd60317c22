"""Intervals of means keep to what a metric allows, and are wider where trainings share images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.replicates.bounds import bounds_of
from orchestrator.replicates.interval import student_interval
from trainables.specs.targets import METRICS

SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=6)


@given(values=SHARES, overlap=st.floats(0, 1))
def test_interval_of_shares_is_the_plain_one_as_far_as_shares_go(values: list[float], overlap: float) -> None:
    plain = student_interval(values, overlap=overlap)
    kept = student_interval(values, overlap=overlap, bounds=(0.0, 1.0))
    assert (plain is None) == (kept is None)
    if plain is not None and kept is not None:
        assert kept == (max(0.0, plain[0]), min(1.0, plain[1]))
        assert kept[0] <= sum(values) / len(values) + 1e-12
        assert kept[1] >= sum(values) / len(values) - 1e-12


def test_values_beyond_the_bounds_are_of_another_metric_and_keep_their_interval() -> None:
    values = [0.9, 1.2]
    assert student_interval(values, bounds=(0.0, 1.0)) == student_interval(values)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_interval_that_ends_at_one_covers_the_mean_as_often_as_the_plain_one(count: int) -> None:
    generator = np.random.default_rng(7)
    hits = plain_hits = ended = 0
    # Shares of 200 images near 1, whose mean is known.
    for row in generator.binomial(200, 0.97, (2000, count)) / 200:
        values = [float(value) for value in row]
        plain, kept = student_interval(values), student_interval(values, bounds=(0.0, 1.0))
        if plain is None or kept is None:
            continue
        plain_hits += plain[0] <= 0.97 <= plain[1]
        hits += kept[0] <= 0.97 <= kept[1]
        ended += kept[1] < plain[1]
    assert hits == plain_hits
    assert ended > 0


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_interval_over_folds_covers_where_values_are_as_alike_as_their_images(folds: int) -> None:
    generator, mean, spread = np.random.default_rng(7), 0.8, 0.02
    # Two trainings of k folds have a correlation of 1 / k in the model of Nadeau and Bengio: validation images by all.
    shared = generator.normal(0, spread * np.sqrt(1 / folds), (4000, 1))
    own = generator.normal(0, spread * np.sqrt(1 - 1 / folds), (4000, folds - 1))
    hits = plain_hits = 0
    for row in mean + shared + own:
        values = [float(value) for value in row]
        wide, plain = student_interval(values, overlap=1 / (folds - 1)), student_interval(values)
        assert wide is not None
        assert plain is not None
        hits += wide[0] <= mean <= wide[1]
        plain_hits += plain[0] <= mean <= plain[1]
    # Three standard deviations of a share of 4000.
    assert abs(hits / 4000 - 0.95) < 0.011
    assert plain_hits < hits - 30


def test_every_metric_has_its_bounds_with_any_split_and_target() -> None:
    for kind, names in METRICS.items():
        for name in names:
            bounds = bounds_of(f"val_{name}")
            assert bounds == bounds_of(f"val_digit_{name}") == bounds_of(name)
            assert bounds == (0.0, 1.0) or kind == "regression"
    assert {bounds_of(name) for name in ("val_loss", "val_myaccuracy", "parameters")} == {(-np.inf, np.inf)}
