"""The Sobol sequence: each trial has the point of its number, whatever ended before, and points fill the space."""

import numpy as np
import pytest

from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.algorithms.sobol import sobol_point
from orchestrator.search.draw import Draw
from orchestrator.study.loading import load_study

SPACE = {
    "family": "sequential",
    "params": {"learning_rate": {"float": [1e-4, 1e-1], "log": True}, "dropout": {"float": [0, 0.5]}, "filters": 8},
}


def points(seed: int, count: int, *, num_axes: int = 2) -> np.ndarray:
    return np.array(
        [sobol_point(Draw(study_seed=seed, number=number, attempt=0), num_axes=num_axes) for number in range(count)]
    )


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_each_share_of_an_axis_has_its_share_of_points(seed):
    found = points(seed, 64)
    for axis in found.T:
        assert np.histogram(axis, bins=16, range=(0, 1))[0].tolist() == [4] * 16
    squares = np.histogram2d(*found.T, bins=8, range=[(0, 1), (0, 1)])[0]
    assert squares.tolist() == [[1] * 8] * 8


def test_seeds_give_other_sequences_and_a_sequence_goes_on_from_any_number() -> None:
    assert not np.array_equal(points(1, 4), points(2, 4))
    late = sobol_point(Draw(study_seed=1, number=3, attempt=0), num_axes=2)
    np.testing.assert_array_equal(late, points(1, 4)[3])
    again = sobol_point(Draw(study_seed=1, number=3, attempt=1), num_axes=2)
    assert not np.array_equal(late, again)


def test_a_study_of_it_proposes_by_number_alone() -> None:
    study = {"name": "s", "data": {"source": "digits"}, "space": SPACE, "search": {"algorithm": "sobol"}}
    one, other = Proposer(load_study(study)), Proposer(load_study(study))
    variants = [one.propose(number) for number in range(6)]
    assert [other.propose(number) for number in (3, 1, 5)] == [variants[number] for number in (3, 1, 5)]
