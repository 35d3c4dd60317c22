"""Labels of every kind become what training takes, and come back as they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trainables.data.labels.flags import flags_of, known_flags
from trainables.data.labels.values import values_of
from trainables.errors import DataError

RECTANGLES = arrays.arrays(
    st.sampled_from([np.int8, np.uint8, np.int64, np.float32, np.float64, np.bool_]),
    st.tuples(st.integers(1, 20), st.integers(1, 6)),
    elements=st.integers(0, 1),
)
SETS = st.lists(st.sets(st.sampled_from(["cat", "dog", "cow", "ant", "é"])), min_size=1, max_size=20).filter(any)
NUMBERS = arrays.arrays(
    st.sampled_from([np.int16, np.int64, np.float32, np.float64]),
    st.one_of(st.tuples(st.integers(1, 20)), st.tuples(st.integers(1, 20), st.integers(1, 5))),
    elements=st.integers(-1000, 1000),
)


def lists(rows):
    ragged = np.empty(len(rows), object)
    ragged[:] = [list(row) for row in rows]
    return ragged


@given(labels=RECTANGLES)
def test_rows_of_0_and_1_stay_as_they_are(labels):
    values, names = known_flags(labels, where="y", names=None)
    flags = flags_of(labels, where="y", values=values, size=len(names))
    assert flags.dtype == np.uint8
    assert np.array_equal(flags, labels.astype(int))
    assert names == [str(place) for place in range(labels.shape[1])]


@given(rows=SETS)
def test_lists_of_names_set_exactly_these_flags(rows):
    values, names = known_flags(lists(rows), where="y", names=None)
    flags = flags_of(lists(rows), where="y", values=values, size=len(names))
    assert names == sorted(set().union(*rows))
    assert [{names[place] for place in np.flatnonzero(row)} for row in flags] == rows


@given(rows=SETS)
def test_numbers_of_flags_mean_what_their_names_mean(rows):
    names = ["ant", "cat", "cow", "dog", "é"]
    numbered = [[names.index(name) for name in row] for row in rows]
    values, told = known_flags(lists(numbered), where="y", names=names)
    flags = flags_of(lists(numbered), where="y", values=values, size=len(told))
    assert told == names
    assert [{names[place] for place in np.flatnonzero(row)} for row in flags] == rows


@given(labels=NUMBERS)
def test_numbers_stay_what_they_are_one_or_several_an_image(labels):
    values = values_of(labels, where="y")
    assert values.dtype == np.float32
    assert values.shape == (len(labels), 1 if labels.ndim == 1 else labels.shape[1])
    assert np.array_equal(values.reshape(labels.shape), labels)


@given(labels=NUMBERS, row=st.integers(0, 19), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_number_that_is_not_finite_is_named_by_its_row(labels, row, value):
    broken, row = labels.astype(np.float64), row % len(labels)
    broken[row] = value
    with pytest.raises(DataError, match=f"y: label {row} is {value!r}; give every image a finite number"):
        values_of(broken, where="y")
