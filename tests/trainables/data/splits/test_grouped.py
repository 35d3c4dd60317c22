"""No group is in two splits or folds, and class shares come as near as groups allow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.splits.grouped import fold_of_groups, hold_out_groups
from trainables.errors import DataError

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=4, max_size=150).map(np.array)
FRACTIONS = st.floats(0.01, 0.99)
SEEDS = st.integers(0, 2**32)


def has_all_of_a_class(labels, groups, group):
    return any(set(groups[labels == label]) == {group} for label in set(labels[groups == group].tolist()))


@given(rows=ROWS, fraction=FRACTIONS, seed=SEEDS)
def test_no_group_is_in_two_splits_and_every_row_is_in_one(rows, fraction, seed):
    labels, groups = rows.T
    try:
        kept, held = hold_out_groups(labels, groups, fraction=fraction, seed=seed, purpose="test")
    except DataError:
        assert all(has_all_of_a_class(labels, groups, group) for group in np.unique(groups))
        return
    assert kept.dtype == held.dtype == np.int32
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()
    assert len(held) >= 1
    assert not set(groups[kept]) & set(groups[held])
    assert set(labels[kept]) == set(labels)


@given(groups=st.lists(st.integers(0, 9), min_size=2, max_size=150).map(np.array), fraction=FRACTIONS, seed=SEEDS)
def test_share_held_out_is_within_one_group(groups, fraction, seed):
    # Of one class, so that no group must stay for its class, but for the last one.
    labels = np.zeros(len(groups), np.int32)
    if len(set(groups.tolist())) < 2:
        with pytest.raises(DataError, match="none of the 1 groups in training can be held out"):
            hold_out_groups(labels, groups, fraction=fraction, seed=seed, purpose="test")
        return
    held = hold_out_groups(labels, groups, fraction=fraction, seed=seed, purpose="test")[1]
    assert abs(len(held) - len(groups) * fraction) <= np.bincount(groups).max()


def test_share_held_out_is_the_fraction_where_groups_are_small():
    groups = np.arange(600) // 3
    labels = groups % 4
    held = hold_out_groups(labels, groups, fraction=0.2, seed=3, purpose="test")[1]
    assert len(held) == 120
    assert np.bincount(labels[held]).tolist() == [30, 30, 30, 30]


def test_a_rare_class_is_in_both_splits():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    labels = (generator.random(400) < 0.3).astype(np.int32)
    rare = np.isin(groups, [3, 9, 17, 30])
    labels[rare] = 2
    for seed in range(10):
        kept, held = hold_out_groups(labels, groups, fraction=0.25, seed=seed, purpose="validation")
        assert (labels[held] == 2).sum() == 10
        assert (labels[kept] == 2).sum() == 30
        assert len(held) == 100


def test_seeds_and_purposes_draw_other_groups_and_equal_ones_the_same():
    groups = np.arange(300) // 5
    labels = np.arange(300) % 3

    def drawn(seed, purpose):
        return tuple(hold_out_groups(labels, groups, fraction=0.3, seed=seed, purpose=purpose)[1])

    results = [drawn(seed, purpose) for seed in range(3) for purpose in ("test", "validation")]
    assert len(set(results)) == 6
    assert drawn(2, "validation") == results[-1]


@given(rows=ROWS, folds=st.integers(2, 5), seed=SEEDS)
def test_folds_are_whole_groups_and_none_is_empty(rows, folds, seed):
    labels, groups = rows.T
    if len(np.unique(groups)) < folds:
        with pytest.raises(DataError, match="expected at most one fold a group"):
            fold_of_groups(labels, groups, folds=folds, seed=seed)
        return
    numbers = fold_of_groups(labels, groups, folds=folds, seed=seed)
    assert numbers.dtype == np.int32
    assert set(numbers.tolist()) == set(range(folds))
    for group in np.unique(groups):
        assert len(set(numbers[groups == group].tolist())) == 1
    assert np.array_equal(numbers, fold_of_groups(labels, groups, folds=folds, seed=seed))


@given(groups=st.lists(st.integers(0, 19), min_size=20, max_size=150).map(np.array), seed=SEEDS)
def test_folds_of_groups_differ_by_the_largest_group_at_most(groups, seed):
    if len(set(groups.tolist())) < 3:
        return
    numbers = fold_of_groups(np.zeros(len(groups), np.int32), groups, folds=3, seed=seed)
    sizes = np.bincount(numbers)
    assert sizes.max() - sizes.min() <= np.bincount(groups).max()


def test_every_fold_has_every_class_where_groups_allow_it():
    groups = np.arange(400) // 4
    labels = (groups % 10 == 0).astype(np.int32)
    numbers = fold_of_groups(labels, groups, folds=5, seed=0)
    for fold in range(5):
        assert np.bincount(labels[numbers == fold]).tolist() == [72, 8]
