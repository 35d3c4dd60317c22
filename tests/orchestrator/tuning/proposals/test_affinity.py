"""Which variant a free worker gets: what it has traced, what nobody has, and the longest first."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.journal.trial import Process
from orchestrator.tuning.proposals.affinity import TraceAffinity
from orchestrator.tuning.proposals.likeness import likeness_of
from search_spaces import Variant, make_variant, space_from_mapping
from trainables.worker.trace_cache import MAX_KEPT

GRID = {
    "family": "sequential",
    "params": {
        "num_blocks": {"choice": [2, 3]},
        "filters": {"choice": [8, 16]},
        "dense_units": {"choice": [0, 64]},
        "learning_rate": {"choice": [1e-3, 3e-3]},
    },
}
NUM_ARCHITECTURES, NUM_STRUCTURES = 8, 4


def grid(mapping: dict = GRID) -> list[Variant]:
    space = space_from_mapping(mapping)
    return [make_variant(space, values, seed=7) for values in space.grid()]


def variant(**params: float) -> Variant:
    return Variant(family="sequential", params={"filters": 8, "num_blocks": 2, **params}, seed=7)


def best(affinity: TraceAffinity, variants: list[Variant], *, num_left: int = 99) -> int:
    return affinity.best(variants, num_left=num_left)


def handed(
    variants: list[Variant],
    *,
    num_workers: int,
    seconds: Callable[[Variant, int], float],
    choose: Callable[[TraceAffinity, list[Variant]], int] = lambda affinity, left: best(
        affinity, left, num_left=len(left)
    ),
) -> tuple[dict[Process, list[Variant]], dict[Process, float]]:
    """Lets workers train all variants, each for some seconds, and returns who trained what and when they were done."""
    affinity, left, done = TraceAffinity(), list(variants), dict.fromkeys(map(worker, range(num_workers)), 0.0)
    trained: dict[Process, list[Variant]] = {process: [] for process in done}
    ends: list[tuple[float, int, Process, str]] = []

    def begin(process: Process, now: float) -> None:
        if left:
            taken = left.pop(choose(affinity, left))
            number = len(variants) - len(left)
            affinity.begin(f"t{number}", taken)
            trained[process].append(taken)
            heapq.heappush(ends, (now + seconds(taken, number), number, process, f"t{number}"))

    for process in done:
        begin(process, 0.0)
    while ends:
        now, _, process, name = heapq.heappop(ends)
        done[process] = now
        affinity.end(name, process)
        begin(process, now)
    return trained, done


def worker(number: int) -> Process:
    return "node", 100 + number


def builds(trained: dict[Process, list[Variant]]) -> int:
    return sum(len({likeness_of(item).architecture for item in variants}) for variants in trained.values())


def traces(trained: dict[Process, list[Variant]]) -> int:
    return sum(len({likeness_of(item).structure for item in variants}) for variants in trained.values())


def size_seconds(item: Variant, number: int) -> float:
    return item.params["num_blocks"] * item.params["filters"] + number / 1000  # type: ignore[operator]


def test_two_workers_build_each_architecture_once_where_they_would_build_all_of_them_twice() -> None:
    in_order, _ = handed(grid(), num_workers=2, seconds=size_seconds, choose=lambda *_: 0)
    chosen, _ = handed(grid(), num_workers=2, seconds=size_seconds)
    assert builds(in_order) == 2 * NUM_ARCHITECTURES
    assert builds(chosen) == NUM_ARCHITECTURES
    assert traces(chosen) == NUM_STRUCTURES


@given(num_workers=st.integers(1, 6), seconds=st.lists(st.floats(0.1, 10.0), min_size=16, max_size=16))
def test_whatever_trials_take_each_is_given_once_and_no_worker_comes_back_to_an_architecture(
    num_workers: int, seconds: list[float]
) -> None:
    early: list[Variant] = []

    def noted(affinity: TraceAffinity, left: list[Variant]) -> int:
        place = best(affinity, left, num_left=len(left))
        # Of the last ones the longest come first, whose they are.
        early.extend([left[place]] if len(left) >= num_workers else [])
        return place

    trained, _ = handed(grid(), num_workers=num_workers, seconds=lambda _, number: seconds[number - 1], choose=noted)
    given_out = [item.variant_id for variants in trained.values() for item in variants]
    assert sorted(given_out) == sorted(item.variant_id for item in grid())
    for variants in trained.values():
        architectures = [likeness_of(item).architecture for item in variants if item in early]
        changes = sum(before != after for before, after in itertools.pairwise(architectures))
        assert changes == max(0, len(set(architectures)) - 1)
    if num_workers == 1:
        assert builds(trained) == NUM_ARCHITECTURES
        assert traces(trained) == NUM_STRUCTURES


@given(num_workers=st.integers(2, 6), seconds=st.lists(st.floats(0.1, 10.0), min_size=16, max_size=16))
def test_of_the_last_variants_the_longest_begin_first(num_workers: int, seconds: list[float]) -> None:
    sizes: list[float] = []

    def noted(affinity: TraceAffinity, left: list[Variant]) -> int:
        place = best(affinity, left, num_left=len(left))
        sizes.append(likeness_of(left[place]).size)
        return place

    handed(grid(), num_workers=num_workers, seconds=lambda _, number: seconds[number - 1], choose=noted)
    # The others are at work while one is free.
    last = sizes[-(num_workers - 1) :]
    assert last == sorted(last, reverse=True)


def test_the_first_of_a_worker_is_the_first_in_order_that_nobody_traces() -> None:
    affinity = TraceAffinity()
    assert best(affinity, [variant(filters=8), variant(filters=99)]) == 0
    affinity.begin("t0", variant(filters=8))
    # The same architecture, the same structure, another one, and a longer other one.
    waiting = [variant(filters=8, learning_rate=0.1), variant(filters=9), variant(num_blocks=3), variant(num_blocks=4)]
    assert best(affinity, waiting) == 2
    assert best(affinity, waiting[:2]) == 1
    assert best(affinity, waiting[:1]) == 0


def test_a_free_worker_takes_its_own_architecture_then_the_longest_that_nobody_has_and_what_others_have_last() -> None:
    affinity = TraceAffinity()
    affinity.begin("t0", variant(filters=8))
    affinity.begin("t1", variant(num_blocks=3))
    affinity.end("t0", worker(0))
    waiting = [
        variant(num_blocks=3, learning_rate=0.1),
        variant(num_blocks=3, filters=9),
        variant(num_blocks=4),
        variant(filters=9),
        variant(filters=8, learning_rate=0.1),
    ]
    order = []
    while waiting:
        place = best(affinity, waiting)
        order.append(waiting.pop(place))
    assert [item.params["num_blocks"] for item in order] == [2, 4, 3, 2, 3]
    assert [item.params["filters"] for item in order] == [8, 8, 9, 9, 8]


def test_of_equally_long_ones_a_worker_takes_the_one_of_its_own_structure() -> None:
    affinity = TraceAffinity()
    affinity.begin("t0", variant(filters=8))
    affinity.begin("t1", variant(num_blocks=3))
    affinity.end("t0", worker(0))
    # Units of a dense layer are not looked at, activations neither.
    own, nobodys = variant(filters=8, dense_units=0, kernel_size=3), variant(filters=8, activation="elu", kernel_size=3)
    assert best(affinity, [nobodys, own]) == 1


def test_what_a_worker_has_dropped_does_not_draw_it() -> None:
    affinity = TraceAffinity()
    for number in range(MAX_KEPT + 1):
        affinity.begin(f"t{number}", variant(kernel_size=1 + number))
        affinity.end(f"t{number}", worker(0))
    dropped, kept = variant(kernel_size=1, learning_rate=0.1), variant(kernel_size=2, learning_rate=0.1)
    assert best(affinity, [dropped, kept]) == 1
    assert best(affinity, [variant(kernel_size=1, num_blocks=1), dropped]) == 1, "it is longer, and nobody's now"


def test_a_worker_that_is_gone_keeps_nothing_for_itself() -> None:
    affinity = TraceAffinity()
    affinity.begin("t0", variant(filters=8))
    affinity.end("t0", worker(0))
    affinity.begin("t1", variant(num_blocks=3))
    # A new process has the trial in the end, and nobody hears of the old one again.
    affinity.end("t1", worker(1))
    first, second = variant(filters=8, learning_rate=0.1), variant(num_blocks=3, learning_rate=0.1)
    assert best(affinity, [first, second]) == 1
    assert best(affinity, [first, variant(filters=4)]) == 0, "nobody at work has traced it"


@pytest.mark.parametrize("value", [-1, "deep", ("shallow", "deep"), 0])
def test_what_users_code_makes_of_a_parameter_nobody_knows(value: Any) -> None:
    params = {"function": "own:build", "depth": value, "filters": 8, "learning_rate": 0.1}
    own = Variant(family="custom", params=params, seed=7)
    other = Variant(family="custom", params={**params, "learning_rate": 0.2}, seed=7)
    assert likeness_of(own).size == 0.0
    assert likeness_of(own).architecture != likeness_of(other).architecture
    affinity = TraceAffinity()
    affinity.begin("t0", own)
    affinity.end("t0", worker(0))
    assert best(affinity, [other, Variant(family="custom", params={**params, "filters": 99}, seed=7)]) == 0


def test_workers_choose_by_architecture_however_many_they_are() -> None:
    trained, _ = handed(grid(), num_workers=8, seconds=lambda _, number: 1 + number / 1000)
    assert builds(trained) < builds(
        handed(grid(), num_workers=8, seconds=lambda _, number: 1 + number / 1000, choose=lambda *_: 0)[0]
    )


def test_sizes_have_the_order_of_what_networks_compute() -> None:
    sizes = [
        likeness_of(variant(**params)).size
        for params in (
            {"num_blocks": 1, "filters": 4},
            {"num_blocks": 2, "filters": 4},
            {"num_blocks": 2, "filters": 8},
            {"num_blocks": 2, "filters": (8, 16)},
            {"num_blocks": 2, "filters": (8, 16), "kernel_size": 5},
        )
    ]
    assert sizes == sorted(set(sizes))
    assert likeness_of(variant(learning_rate=0.5)).size == likeness_of(variant(learning_rate=0.1)).size
