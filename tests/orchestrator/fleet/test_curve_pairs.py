"""Two learning curves beside each other."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.fleet.curve_pairs import Crossing, curve_pair

CURVE = st.dictionaries(st.integers(1, 9), st.sampled_from([0.1, 0.2, 0.3]))
OTHER = {"first": "second", "second": "first"}


@given(CURVE, CURVE, st.sampled_from(["max", "min"]))
def test_only_equal_epochs_are_compared_and_sides_mirror(first, second, mode):
    pair = curve_pair("val_x", first=first, second=second, mode=mode)
    mirrored = curve_pair("val_x", first=second, second=first, mode=mode)
    assert list(pair.epochs) == sorted(set(first) & set(second))
    assert [(item.epoch, OTHER[item.ahead]) for item in pair.crossings] == [
        (item.epoch, item.ahead) for item in mirrored.crossings
    ]
    assert pair.num_ahead == mirrored.num_ahead[::-1]


@given(CURVE, CURVE)
def test_better_is_mirrored_by_the_mode(first, second):
    lower = curve_pair("val_x", first=first, second=second, mode="min")
    negated = [{epoch: -value for epoch, value in curve.items()} for curve in (first, second)]
    higher = curve_pair("val_x", first=negated[0], second=negated[1], mode="max")
    assert (lower.crossings, lower.num_ahead) == (higher.crossings, higher.num_ahead)


def test_curves_that_touch_do_not_cross():
    pair = curve_pair("val_x", first={1: 3.0, 2: 2.0, 3: 3.0}, second={1: 2.0, 2: 2.0, 3: 2.0}, mode="max")
    assert pair.crossings == ()


def test_a_crossing_behind_a_tie_is_where_the_other_takes_the_lead():
    pair = curve_pair("val_x", first={1: 3.0, 2: 2.0, 3: 1.0}, second={1: 2.0, 2: 2.0, 3: 2.0}, mode="max")
    assert pair.crossings == (Crossing(epoch=3, ahead="second"),)
