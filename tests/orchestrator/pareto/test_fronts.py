"""Fronts and hypervolumes, beside what their definitions say of every point."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from orchestrator.pareto.fronts import crowding_distances, dominates, front_ranks
from orchestrator.pareto.goals import Losses
from orchestrator.pareto.hypervolume import hypervolume, volumes_so_far
from orchestrator.pareto.scalarised import scalarised

#: Few values an axis, so that points are often equal in some or all of them.
NUMBERS = some.integers(0, 5).map(float)
POINTS = some.integers(1, 3).flatmap(lambda size: some.lists(some.tuples(*[NUMBERS] * size), max_size=25))
SEVERAL = some.integers(1, 3).flatmap(lambda size: some.lists(some.tuples(*[NUMBERS] * size), min_size=1, max_size=12))


def peeled(points: Sequence[Losses]) -> list[int]:
    """Returns the ranks by their definition: fronts are taken away one after the other."""
    ranks, left, rank = {}, set(points), 0
    while left:
        rank += 1
        front = {one for one in left if not any(dominates(other, one) for other in left)}
        ranks.update(dict.fromkeys(front, rank))
        left -= front
    return [ranks[point] for point in points]


def counted(points: Sequence[Losses], *, reference: Losses) -> float:
    """Returns the hypervolume of whole numbers: how many unit cells below the reference some point dominates."""
    cells = itertools.product(*(range(int(end)) for end in reference))
    return float(sum(any(all(a <= b for a, b in zip(point, cell, strict=True)) for point in points) for cell in cells))


@given(POINTS)
def test_ranks_are_those_of_fronts_taken_away_one_after_the_other(points: list[Losses]) -> None:
    assert front_ranks(points) == peeled(points)


@given(POINTS, some.randoms())
def test_ranks_do_not_depend_on_the_order_of_trials(points: list[Losses], random: object) -> None:
    order = list(range(len(points)))
    random.shuffle(order)  # type: ignore[attr-defined]
    ranks = front_ranks(points)
    assert front_ranks([points[at] for at in order]) == [ranks[at] for at in order]


@given(POINTS)
def test_ranks_depend_on_the_order_of_values_alone(points: list[Losses]) -> None:
    changed = [tuple(math.exp(value) + at for at, value in enumerate(point)) for point in points]
    assert front_ranks(changed) == front_ranks(points)


@given(SEVERAL)
def test_a_copy_of_a_trial_has_its_rank_and_changes_no_other(points: list[Losses]) -> None:
    assert front_ranks([*points, points[0]]) == [*front_ranks(points), front_ranks(points)[0]]


@given(SEVERAL)
def test_the_hypervolume_is_the_number_of_dominated_cells(points: list[Losses]) -> None:
    reference = (5.0,) * len(points[0])
    assert hypervolume(points, reference=reference) == counted(points, reference=reference)


@given(SEVERAL)
def test_the_hypervolume_over_trials_never_falls_and_ends_at_that_of_all(points: list[Losses]) -> None:
    reference = (5.0,) * len(points[0])
    volumes = list(volumes_so_far([*points, None], reference=reference))
    assert volumes == sorted(volumes)
    assert volumes == [hypervolume(points[:count], reference=reference) for count in range(1, len(points) + 1)] + [
        hypervolume(points, reference=reference)
    ]


@pytest.mark.parametrize("size", [2, 3])
def test_many_trials_are_ranked_as_their_definition_says(size: int) -> None:
    random = np.random.default_rng(size)
    points = [tuple(map(float, row)) for row in random.integers(0, 40, (300, size))]
    assert front_ranks(points) == peeled(points)


def test_no_point_is_more_crowded_than_the_one_between_close_neighbours() -> None:
    assert crowding_distances([(0, 9), (1, 8), (2, 7), (9, 0)]) == [
        math.inf,
        pytest.approx(4 / 9),
        pytest.approx(16 / 9),
        math.inf,
    ]
    assert crowding_distances([(1, 1)]) == [math.inf]


@given(SEVERAL, some.integers(0, 1000))
def test_a_trial_that_dominates_another_counts_as_more_under_all_weights(points: list[Losses], seed: int) -> None:
    values = scalarised(points, seed=seed)
    for (one, value), (other, less) in itertools.permutations(zip(points, values, strict=True), 2):
        assert not dominates(one, other) or value >= less
