"""Reference points lie evenly, and a front fills them one after another."""

import numpy as np
import pytest

from orchestrator.pareto.fronts import front_ranks
from orchestrator.pareto.niches import niche_order, reference_points

THREE = reference_points(3, divisions=3)


def cloud(count: int, *, seed: int) -> list[tuple[float, ...]]:
    return [tuple(map(float, row)) for row in np.random.default_rng(seed).random((count, 3))]


@pytest.mark.parametrize(("num_objectives", "divisions", "count"), [(1, 1, 1), (2, 9, 10), (3, 3, 10), (3, 4, 15)])
def test_reference_points_add_up_to_one_and_differ(num_objectives: int, divisions: int, count: int) -> None:
    points = reference_points(num_objectives, divisions=divisions)
    assert points.sum(axis=1) == pytest.approx(1)
    assert len({tuple(row) for row in points.tolist()}) == len(points) == count


@pytest.mark.parametrize("seed", range(5))
def test_the_order_has_every_point_once_and_goes_by_fronts(seed: int) -> None:
    points = cloud(40, seed=seed)
    order, ranks = niche_order(points, references=THREE, seed=seed), front_ranks(points)
    assert sorted(order) == list(range(40))
    assert [ranks[at] for at in order] == sorted(ranks)
    assert order == niche_order(points, references=THREE, seed=seed)


def test_a_crowd_on_one_line_does_not_push_out_the_ends_of_a_front() -> None:
    ends = [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)]
    crowd = [(0.3 + 0.001 * at, 0.3 - 0.001 * at, 0.3) for at in range(20)]
    for seed in range(5):
        order = niche_order([*crowd, *ends], references=THREE, seed=seed)
        assert {20, 21, 22} <= set(order[:4]), f"seed {seed}"


@pytest.mark.parametrize("points", [[], [(1.0, 1.0, 1.0)], [(0.5, 0.5, 0.5)] * 4, [(0.0, 0.0, 1.0), (0.0, 0.0, 2.0)]])
def test_fronts_that_span_no_plane_have_an_order_as_well(points: list[tuple[float, ...]]) -> None:
    assert sorted(niche_order(points, references=THREE, seed=0)) == list(range(len(points)))
