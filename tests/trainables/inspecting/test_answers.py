"""How wrong answers are, and how two models' mistakes meet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.inspecting.answers import paired, wrongness
from trainables.specs.masks import UNCOUNTED

WRONG = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("kind", "predicted", "labels", "expected"),
    [
        ("classification", [[0.1, 0.9], [0.9, 0.1]], [1, 1], [0.0, 1.0]),
        ("multilabel", [[0.5, 0.4], [0.9, 0.6]], [[1, 0], [1, 0]], [0.0, 1.0]),
        ("regression", [[1.0, 2.0], [3.0, 3.0]], [[1.0, 4.0], [3.0, 3.0]], [1.0, 0.0]),
    ],
)
def test_each_kind_of_target_has_its_own_wrongness(kind, predicted, labels, expected):
    assert wrongness(np.array(predicted), np.array(labels), kind=kind).tolist() == expected


def test_pixels_that_do_not_count_are_neither_right_nor_wrong():
    predicted = np.zeros((2, 1, 4, 2))
    predicted[..., 0] = 1.0
    labels = np.array([[[0, 1, UNCOUNTED, UNCOUNTED]], [[UNCOUNTED] * 4]])
    assert wrongness(predicted, labels, kind="mask").tolist() == [0.5, 0.0]


@given(WRONG)
def test_every_image_is_counted_once_and_sides_mirror(pairs):
    first, second = np.array(pairs, float).T
    found = paired(first, second, kind="classification")
    mirrored = paired(second, first, kind="classification")
    parts = [found[name] for name in ("both_wrong", "both_right", "first_better", "second_better")]
    assert sum(parts) == found["num_images"] == len(pairs)
    assert (found["first_better"], found["first_mean"]) == (mirrored["second_better"], mirrored["second_mean"])
    assert found["first_mean"] == pytest.approx((found["both_wrong"] + found["second_better"]) / len(pairs))


def test_numbers_are_nearer_or_farther_and_not_right_or_wrong():
    found = paired(np.array([0.1, 2.0, 1.0]), np.array([0.2, 1.0, 1.0]), kind="regression")
    assert (found["first_better"], found["second_better"]) == (1, 1)
    assert "both_wrong" not in found
