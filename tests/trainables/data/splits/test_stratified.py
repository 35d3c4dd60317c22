"""Splits keep every class's share and are drawn by the seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.splits.stratified import fold_of, hold_out
from trainables.errors import DataError

LABELS = (
    st.lists(st.integers(0, 6), min_size=3, max_size=120)
    .map(np.array)
    .filter(lambda labels: np.bincount(labels).max() > 1)
)
FRACTIONS = st.floats(0.01, 0.99)


@given(labels=LABELS, fraction=FRACTIONS, seed=st.integers(0, 2**32))
def test_split_is_disjoint_complete_sorted_and_stratified_within_one(labels, fraction, seed):
    kept, held = hold_out(labels, fraction=fraction, seed=seed, purpose="validation")
    assert kept.dtype == held.dtype == np.int32
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()
    assert len(held) >= 1
    for label in np.unique(labels):
        members = int((labels == label).sum())
        taken = int((labels[held] == label).sum())
        assert abs(taken - members * fraction) <= 1.0 + 1e-9
        assert taken < members


@given(labels=LABELS, fraction=FRACTIONS, seed=st.integers(0, 2**32))
def test_equal_seeds_give_equal_splits(labels, fraction, seed):
    first = hold_out(labels, fraction=fraction, seed=seed, purpose="test")
    again = hold_out(labels, fraction=fraction, seed=seed, purpose="test")
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_other_seeds_and_purposes_give_other_splits():
    labels = np.arange(200) % 4
    held = {
        (seed, purpose): tuple(hold_out(labels, fraction=0.3, seed=seed, purpose=purpose)[1])
        for seed in range(3)
        for purpose in ("test", "validation")
    }
    assert len(set(held.values())) == 6


@pytest.mark.parametrize(("count", "fraction", "expected"), [(100, 0.1, 10), (101, 0.1, 10), (1797, 0.2, 359)])
def test_number_held_out_is_the_rounded_share(count, fraction, expected):
    labels = np.arange(count) % 10
    assert len(hold_out(labels, fraction=fraction, seed=1, purpose="test")[1]) == expected


def test_fewer_held_out_images_than_classes_are_spread_over_classes():
    labels = np.arange(50) % 10
    held = hold_out(labels, fraction=0.1, seed=1, purpose="validation")[1]
    assert len(held) == 5
    assert len(np.unique(labels[held])) == 5


def test_class_with_a_single_image_stays_in_training():
    labels = np.array([0, 0, 0, 0, 1])
    for seed in range(20):
        assert 4 in hold_out(labels, fraction=0.5, seed=seed, purpose="test")[0]


def test_nothing_to_hold_out_is_an_error_with_the_way_out():
    with pytest.raises(DataError, match=r"data.test_fraction: none of 3 training images can be held out.*give more"):
        hold_out(np.array([0, 1, 2]), fraction=0.5, seed=0, purpose="test")


@given(labels=LABELS, folds=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_folds_are_disjoint_cover_all_rows_and_keep_class_shares_within_one(labels, folds, seed):
    if len(labels) < folds:
        with pytest.raises(DataError, match="expected at most one fold an image"):
            fold_of(labels, folds=folds, seed=seed)
        return
    numbers = fold_of(labels, folds=folds, seed=seed)
    assert numbers.dtype == np.int32
    assert numbers.shape == labels.shape
    assert set(numbers.tolist()) == set(range(folds))
    sizes = np.bincount(numbers, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    for label in np.unique(labels):
        parts = np.bincount(numbers[labels == label], minlength=folds)
        assert parts.max() - parts.min() <= 1
    assert np.array_equal(numbers, fold_of(labels, folds=folds, seed=seed))


def test_other_seeds_give_other_folds():
    labels = np.arange(100) % 4
    assert len({tuple(fold_of(labels, folds=5, seed=seed)) for seed in range(5)}) == 5
