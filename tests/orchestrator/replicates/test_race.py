"""The race goes on where it is in doubt who is best, and follows from values alone."""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from orchestrator.replicates.interval import student_interval
from orchestrator.replicates.race import RISK, Contender, RaceMeasure, Replicate, Standing, race_confidence, standing

OPEN = Replicate()
FAILED = Replicate(has_ended=True)


def done(value: float) -> Replicate:
    return Replicate(value=value, has_ended=True)


def contender(trial: str, *replicates: float | Replicate) -> Contender:
    made = (item if isinstance(item, Replicate) else done(item) for item in replicates)
    return Contender(trial=trial, replicates=tuple(made))


def play(truths: dict[str, list[float]], *, most: int, mode: str = "max") -> tuple[dict[str, int], Standing]:
    """Returns how often each contender trained and how the race ended, given the values of their trainings."""
    found: dict[str, list[float]] = {name: [] for name in truths}
    while True:
        now = standing(
            [contender(name, *values) for name, values in found.items()], most=most, measure=RaceMeasure(mode=mode)
        )
        if now.is_over:
            return {name: len(values) for name, values in found.items()}, now
        found[now.next].append(truths[now.next][len(found[now.next])])


NOISE = [0.01, -0.01, 0.005, -0.005, 0.0, 0.002, -0.002, 0.001]
CLOSE = {"a": [0.9 + noise for noise in NOISE], "b": [0.901 - noise for noise in NOISE]}
FAR = {"a": [0.9 + noise / 10 for noise in NOISE], "b": [0.1 - noise / 10 for noise in NOISE]}


@pytest.mark.parametrize(
    ("truths", "most", "expected"),
    [
        pytest.param(CLOSE, 5, {"a": 5, "b": 5}, id="doubt trains on to the end"),
        pytest.param(FAR, 5, {"a": 2, "b": 2}, id="a clear leader stops the race"),
        pytest.param({**CLOSE, "c": FAR["b"]}, 5, {"a": 5, "b": 5, "c": 2}, id="who is clearly worse leaves"),
        pytest.param({"a": CLOSE["a"]}, 5, {"a": 5}, id="one without rivals trains all"),
        pytest.param({"a": [0.9] * 5, "b": [0.9] * 5}, 5, {"a": 5, "b": 5}, id="equal values are no certainty"),
        pytest.param({"a": [0.9] * 5, "b": [0.1] * 5}, 3, {"a": 3, "b": 3}, id="nor are those without a spread"),
        pytest.param({}, 5, {}, id="nobody"),
        pytest.param(CLOSE, 0, {"a": 0, "b": 0}, id="no replicates"),
    ],
)
def test_effort_goes_where_the_best_is_in_doubt(
    truths: dict[str, list[float]], most: int, expected: dict[str, int]
) -> None:
    assert play(truths, most=most)[0] == expected
    mirrored = {name: [-value for value in values] for name, values in truths.items()}
    assert play(mirrored, most=most, mode="min")[0] == expected


def test_who_leaves_is_told_with_both_intervals() -> None:
    _, end = play(FAR, most=5)
    (leaving,) = end.left
    assert (leaving.trial, leaving.rival, leaving.count, leaving.confidence) == ("b", "a", 2, 0.95)
    assert leaving.interval == student_interval(FAR["b"][:2])
    assert leaving.rival_interval == student_interval(FAR["a"][:2])


def test_every_contender_trains_once_before_any_trains_twice() -> None:
    made = [contender("a"), contender("b"), contender("c")]
    order = []
    for _ in range(6):
        now = standing(made, most=3, measure=RaceMeasure(mode="max"))
        order.append(now.next)
        made = [
            Contender(trial=item.trial, replicates=(*item.replicates, *([OPEN] if item.trial == now.next else [])))
            for item in made
        ]
    assert order == ["a", "b", "c", "a", "b", "c"]
    assert standing(made, most=3, measure=RaceMeasure(mode="max")) == Standing(next="", is_over=False, left=())


def test_failed_replicates_are_not_tried_again_and_say_nothing_of_the_mean() -> None:
    # Without two values there is no interval: nobody can lie below it, nor above it.
    made = [contender("a", 0.9, FAILED), contender("b", FAILED, FAILED)]
    assert standing(made, most=2, measure=RaceMeasure(mode="max")) == Standing(next="", is_over=True, left=())
    assert standing(made, most=3, measure=RaceMeasure(mode="max")).next == "a"
    after = [
        contender("a", 0.900, FAILED, 0.901),
        contender("b", 0.1, 0.101, 0.1),
        contender("c", FAILED, FAILED, FAILED),
    ]
    assert [item.trial for item in standing(after, most=3, measure=RaceMeasure(mode="max")).left] == ["b"]
    assert made[1].mean is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_who_leaves_does_not_depend_on_what_ends_first(order: tuple[int, ...]) -> None:
    # Two slots: of the third round, one has ended and one has not. The one that ended must not decide yet.
    values = [0.90, 0.91, 0.89, 0.92]
    ended = set(order[:2])
    rounds = {name: [done(0.9), done(0.91)] for name in "abcd"}
    made = [
        contender(name, *rounds[name], done(values[place]) if place in ended else OPEN)
        for place, name in enumerate("abcd")
    ]
    assert standing(made, most=5, measure=RaceMeasure(mode="max")) == Standing(next="", is_over=False, left=())


def test_higher_limit_goes_on_where_the_race_ended() -> None:
    counts, _ = play(CLOSE, most=3)
    made = [contender(name, *values[: counts[name]]) for name, values in CLOSE.items()]
    assert standing(made, most=3, measure=RaceMeasure(mode="max")).is_over
    assert standing(made, most=5, measure=RaceMeasure(mode="max")).next == "a"
    assert play(CLOSE, most=5)[0] == {"a": 5, "b": 5}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_interval_has_the_mean_in_it_as_often_as_it_says(count: int) -> None:
    generator = np.random.default_rng(7)
    hits = 0
    for values in generator.normal(0.8, 0.02, (2000, count)):
        interval = student_interval([float(value) for value in values])
        assert interval is not None
        hits += interval[0] <= 0.8 <= interval[1]
    # Three standard deviations of a share of 2000.
    assert abs(hits / 2000 - 0.95) < 0.015


#: Simulated studies: how many, trials in each, leaders, the spread of the variants and that of the seeds.
STUDIES, TRIALS, LEADERS, SPREAD, NOISE_OF_SEEDS = 300, 30, 3, 0.01, 0.01
MOST = 6


@dataclass(kw_only=True)
class Told:
    """How many studies chose the truly best leader, lost it, or had the winner's truth in its interval."""

    without: int = 0
    with_replicates: int = 0
    left: int = 0
    covered: int = 0
    luck: float = 0.0
    honest: float = 0.0


@cache
def simulated(seed: int, *, most: int) -> Told:
    generator, told = np.random.default_rng(seed), Told()
    for _ in range(STUDIES):
        truths = generator.normal(0.8, SPREAD, TRIALS)
        seen = truths + generator.normal(0.0, NOISE_OF_SEEDS, TRIALS)
        leaders = [int(number) for number in np.argsort(-seen)[:LEADERS]]
        best = str(max(leaders, key=lambda number: truths[number]))
        again = {str(number): list(truths[number] + generator.normal(0, NOISE_OF_SEEDS, most)) for number in leaders}
        counts, end = play(again, most=most)
        chosen = max((contender(name, *values[: counts[name]]) for name, values in again.items()), key=mean_of)
        interval = student_interval(chosen.values())
        assert interval is not None
        told.without += str(leaders[0]) == best
        told.with_replicates += chosen.trial == best
        told.left += any(item.trial == best for item in end.left)
        truth = truths[int(chosen.trial)]
        told.covered += interval[0] <= truth <= interval[1]
        told.luck += (seen[leaders[0]] - truths[leaders[0]]) / STUDIES
        told.honest += (mean_of(chosen) - truth) / STUDIES
    return told


def mean_of(item: Contender) -> float:
    assert item.mean is not None
    return item.mean


def test_replicates_find_the_truly_best_leader_more_often_and_it_seldom_leaves() -> None:
    told = simulated(7, most=MOST)
    assert told.with_replicates > 1.2 * told.without
    # At each of the looks in at most RISK of the studies.
    assert told.left <= RISK * (MOST - 2) * STUDIES


def test_interval_of_the_winner_covers_the_truth_and_its_mean_has_little_of_the_searchs_luck() -> None:
    told = simulated(7, most=MOST)
    assert 0.9 * STUDIES <= told.covered <= 0.98 * STUDIES
    # What is left of the luck comes from choosing among the means.
    assert told.luck > NOISE_OF_SEEDS
    assert abs(told.honest) < told.luck / 4


def test_confidence_of_the_race_spreads_the_risk_over_all_contenders() -> None:
    assert [(1 - race_confidence(count)) / 2 * count for count in (2, 3, 10)] == pytest.approx([RISK] * 3)
