"""What is held out comes last in the order, and rows of one value stay together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.splits.ordered import hold_out_last
from trainables.errors import DataError


@given(
    ranks=st.lists(st.integers(0, 30), min_size=2, max_size=120).map(np.array).filter(lambda r: len(np.unique(r)) > 1),
    fraction=st.floats(0.01, 0.99),
)
def test_held_out_rows_come_after_all_kept_ones(ranks, fraction):
    kept, held = hold_out_last(ranks, fraction=fraction, purpose="test")
    assert kept.dtype == held.dtype == np.int32
    assert sorted([*kept, *held]) == list(range(len(ranks)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()
    assert ranks[kept].max() < ranks[held].min()
    assert abs(len(held) - len(ranks) * fraction) <= np.bincount(ranks).max()


def test_number_held_out_is_the_share_where_no_values_are_equal():
    ranks = np.random.default_rng(0).permutation(100)
    kept, held = hold_out_last(ranks, fraction=0.2, purpose="test")
    assert sorted(ranks[held].tolist()) == list(range(80, 100))
    assert len(kept) == 80


def test_rows_of_one_value_cannot_be_parted():
    with pytest.raises(DataError, match=r"data.order: no test split can be held out, as all 5 .* one value; give"):
        hold_out_last(np.ones(5), fraction=0.2, purpose="test")
