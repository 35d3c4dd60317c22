"""Rungs cut off where Ray Tune's do, to the bit."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler

from orchestrator.early_stopping.rungs import Rung, halving_milestones, percentile

VALUES = st.floats(allow_nan=False, allow_infinity=False, width=64, min_value=-1e12, max_value=1e12)


@settings(max_examples=400, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=60), percent=st.floats(0, 100))
def test_percentile_is_numpys_to_the_bit(values: list[float], percent: float) -> None:
    assert percentile(sorted(values), percent) == np.nanpercentile(values, percent)


@pytest.mark.parametrize("factor", [1.2, 1.5, 2, 2.5, 3, 4, 10])
def test_cutoff_of_a_long_rung_is_ray_tunes_to_the_bit_at_every_arrival(factor: float) -> None:
    bracket = AsyncHyperBandScheduler(max_t=100, grace_period=1, reduction_factor=factor)._brackets[0]
    rung, draw = Rung(milestone=1), random.Random(0)
    assert rung.cutoff(factor) is None is bracket.cutoff({})
    for number in range(300):
        rung.enter(f"t{number}", draw.gauss(0.5, 0.1))
        assert rung.cutoff(factor) == bracket.cutoff(rung.values)


@pytest.mark.parametrize("factor", [1.2, 1.5, 2, 2.5, 3, 4, 10])
def test_rungs_stand_where_ray_tunes_brackets_have_them(factor: float) -> None:
    for max_epochs in (*range(1, 40), 81, 243, 1000, 1024, 2187):
        for grace in range(1, min(max_epochs, 12) + 1):
            plain = AsyncHyperBandScheduler(
                max_t=max_epochs, grace_period=grace, reduction_factor=factor, brackets=4
            )._brackets
            for skipped, bracket in enumerate(plain):
                rungs = list(halving_milestones(grace=grace, max_epochs=max_epochs, factor=factor, skipped=skipped))
                assert rungs == [milestone for milestone, _ in reversed(bracket._rungs)]
