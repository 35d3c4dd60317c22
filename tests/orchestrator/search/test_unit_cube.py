"""Values of a space and points of its cube are one thing: each gives the other back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import spaces

from orchestrator.search.unit_cube import UnitCube, place_of, value_at
from search_spaces import Choice, Float, Int, SearchSpace


@settings(deadline=None)
@given(spaces(), st.integers(0, 2**32 - 1))
def test_points_give_values_of_the_space_and_values_give_their_points_back(space: SearchSpace, seed: int) -> None:
    cube = UnitCube(space)
    points = np.random.default_rng(seed).random((20, len(cube.names)))
    # The ends of the axes count as well.
    points[:2] = [[0.0], [1.0]]
    snapped = cube.snapped(points)
    for point, place in zip(points, snapped, strict=True):
        values = cube.values_at(point)
        assert space.validate(values) == []
        assert list(values) == [name for name in space.names if name in values]
        np.testing.assert_allclose(cube.point_of(values), place, atol=1e-9)
        again = cube.values_at(np.nan_to_num(place))
        assert again.keys() == values.keys()
        np.testing.assert_allclose(cube.point_of(again), place, atol=1e-9)


@pytest.mark.parametrize(
    "domain", [Choice(["a", "b", "c"]), Choice([64, 8, 16, 32]), Int(1, 5), Int(2, 20, step=3), Float(0, 0.5, step=0.1)]
)
def test_each_of_countable_values_has_an_equal_share_of_its_axis(domain):
    places = (np.arange(3000) + 0.5) / 3000
    values = [value_at(domain, place) for place in places]
    shares = {value: values.count(value) for value in domain.values()}
    assert max(shares.values()) - min(shares.values()) <= 1
    assert sum(shares.values()) == len(values)


def test_numbers_ascend_along_an_axis_and_named_options_stay_as_they_are() -> None:
    assert [value_at(Choice([64, 8, 16]), place) for place in (0.1, 0.5, 0.9)] == [8, 16, 64]
    assert [value_at(Choice(["relu", "elu", 3]), place) for place in (0.1, 0.5, 0.9)] == ["relu", "elu", 3]


def test_a_logarithmic_axis_has_equal_shares_for_equal_ratios() -> None:
    assert [place_of(Float(1e-4, 1, log=True), value) for value in (1e-4, 1e-3, 1e-2, 1)] == pytest.approx(
        [0, 0.25, 0.5, 1]
    )
    values = [value_at(Int(1, 15, log=True), place) for place in (np.arange(4000) + 0.5) / 4000]
    counts = [sum(low <= value < 2 * low for value in values) for low in (1, 2, 4, 8)]
    assert counts == [1000] * 4


@pytest.mark.parametrize(
    "domain", [Float(-1e308, 1e308), Int(2**60 + 1, 2**60 + 9, log=True), Int(2**53, 2**53 + 10**6, log=True)]
)
def test_ranges_at_the_end_of_what_numbers_hold_have_their_values(domain):
    for place in (0.0, 0.3, 0.5, 0.9999, 1.0):
        value = value_at(domain, place)
        assert domain.contains(value)
        assert 0 <= place_of(domain, value) <= 1
