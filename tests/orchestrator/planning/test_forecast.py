"""What simulated studies cost: exact where nothing is left to chance, and in the order that more of something has."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from known_courses import ALGORITHMS

from orchestrator.planning.drawn_courses import Draws, drawn_courses, fresh_share
from orchestrator.planning.forecast import Forecast, Question, forecast
from orchestrator.planning.prices import Price
from orchestrator.study.sections import Schedule, Search
from search_spaces import Variant

EPOCHS = 9


def variant(**params: Any) -> Variant:
    return Variant(family="sequential", params=params, seed=7)


def price(**fields: Any) -> Price:
    given = {"variant": variant(), "train_seconds": 2.0, "other_seconds": 1.0, "checkpoint_bytes": 1000}
    return Price(**{**given, **fields})


def question(
    prices: Sequence[Price] = (price(),), *, trials: int = 12, slots: int = 3, algorithm: str = "none", **fields: Any
) -> Question:
    draws = Draws(prices=prices, num_trials=trials, max_epochs=EPOCHS, metric="val_accuracy", mode="max", cpus=2.0)
    schedule = Schedule.model_validate({"algorithm": algorithm, "max_epochs": EPOCHS, "grace_epochs": 1})
    given = {"draws": draws, "schedule": schedule, "search": Search(), "slots": slots, "seed": 5}
    return Question(**{**given, **fields})


def spread_out(asked: Question) -> Question:
    return replace(asked, draws=replace(asked.draws, error=0.3, swing=0.2))


def answer(asked: Question, *, num_studies: int = 20) -> Forecast:
    return forecast(asked, num_studies=num_studies)


def test_equal_trials_that_nothing_stops_take_trials_by_slots_times_epochs_times_seconds() -> None:
    found = answer(question())
    assert found.wall_seconds.p50 == found.wall_seconds.p90 == pytest.approx(12 / 3 * EPOCHS * 3.0)
    assert found.core_seconds.p50 == pytest.approx(12 * EPOCHS * 3.0 * 2.0)
    assert found.epochs.p50 == 12 * EPOCHS
    assert found.num_trials.p50 == 12
    assert found.gpu_seconds.p90 == 0


def test_starts_come_on_top_of_every_trial_that_is_fresh_and_the_begin_once() -> None:
    starting = price(start_seconds=5.0, restart_seconds=0.5)
    fresh = answer(question([starting], begin_seconds=20.0))
    assert fresh.wall_seconds.p50 == pytest.approx(20.0 + 12 / 3 * (EPOCHS * 3.0 + 5.0))
    asked = question([starting])
    known = answer(replace(asked, draws=replace(asked.draws, fresh_share=0.0)))
    assert known.wall_seconds.p50 == pytest.approx(12 / 3 * (EPOCHS * 3.0 + 0.5))


def test_variants_that_cannot_be_trained_cost_what_it_takes_to_know_it() -> None:
    found = answer(question([Price(variant=variant(), start_seconds=4.0, problem="too deep")]))
    assert found.wall_seconds.p50 == pytest.approx(12 / 3 * 4.0)
    assert found.core_seconds.p50 == pytest.approx(12 * 4.0 * 2.0)
    assert (found.epochs.p90, found.checkpoint_bytes.p90) == (0, 0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_more_slots_are_never_slower_and_half_of_the_studies_take_no_more_than_nine_of_ten(algorithm: str) -> None:
    prices = [price(train_seconds=float(seconds), variant=variant(filters=seconds)) for seconds in range(1, 6)]
    asked = spread_out(question(prices, algorithm=algorithm))
    found = [answer(replace(asked, slots=slots)) for slots in (1, 2, 4, 12)]
    wall = [item.wall_seconds for item in found]
    assert all(one.p50 >= more.p50 for one, more in pairwise(wall))
    for item in found:
        for spread in (item.wall_seconds, item.core_seconds, item.epochs, item.checkpoint_bytes, item.num_trials):
            assert spread.p50 <= spread.p90
    assert wall[0].p50 < wall[0].p90


def test_early_stopping_trains_fewer_epochs_than_none() -> None:
    epochs = {algorithm: answer(spread_out(question(algorithm=algorithm))).epochs.p90 for algorithm in ALGORITHMS}
    assert epochs.pop("none") == 12 * EPOCHS
    assert max(epochs.values()) < 12 * EPOCHS


def test_equal_seeds_have_equal_answers_and_others_have_others() -> None:
    asked = spread_out(question(algorithm="asha"))
    assert answer(asked) == answer(asked)
    assert answer(asked).wall_seconds != answer(replace(asked, seed=6)).wall_seconds


def test_budgets_end_simulated_studies_as_they_end_real_ones() -> None:
    assert answer(question(slots=1, search=Search(epochs=20))).epochs.p90 == 20
    # A minute, of which 30 s pass before the first trial: ten epochs of 3 s.
    by_minutes = answer(question(slots=1, search=Search(minutes=1), begin_seconds=30.0))
    assert by_minutes.epochs.p90 == 10
    assert by_minutes.wall_seconds.p50 == pytest.approx(60.0)


def test_a_target_that_nobody_knows_to_be_reached_ends_nothing() -> None:
    assert answer(question(search=Search(target=0.0))).epochs.p50 == 12 * EPOCHS


def test_checkpoints_are_two_of_each_trial_one_more_of_those_at_work_and_within_their_budget() -> None:
    assert answer(question()).checkpoint_bytes.p50 == 12 * 2 * 1000 + 3 * 1000
    assert answer(question(budget_bytes=5000.0)).checkpoint_bytes.p90 == 5000


def test_gpu_hours_count_the_share_of_a_trial() -> None:
    found = answer(question(gpus=0.5))
    assert found.gpu_seconds.p50 == pytest.approx(12 * EPOCHS * 3.0 * 0.5)


def test_patience_ends_drawn_trials_as_it_ends_real_ones() -> None:
    patient = answer(question([price(variant=variant(patience=1))]))
    assert EPOCHS < patient.epochs.p50 < 12 * EPOCHS


@pytest.mark.parametrize("num_settled", [0, 2, 3])
def test_the_first_trials_of_a_study_are_its_sample_in_order(num_settled: int) -> None:
    prices = [price(train_seconds=float(number), variant=variant(filters=number)) for number in (3, 1, 2)]
    draws = replace(question(prices, trials=3).draws, num_settled=num_settled)
    drawn = [
        [course.trial.variant.params["filters"] for course in drawn_courses(draws, np.random.default_rng(seed))]
        for seed in range(20)
    ]
    assert {tuple(filters[:num_settled]) for filters in drawn} == {(3, 1, 2)[:num_settled]}
    assert len({tuple(filters) for filters in drawn}) > 1 or num_settled == len(prices)


def test_drawn_curves_mostly_keep_their_order() -> None:
    draws = question(trials=40).draws
    courses = drawn_courses(draws, np.random.default_rng(0))
    values = np.array([[report.metrics["val_accuracy"] for report in course.trial.reports] for course in courses])
    ranks = values.argsort(axis=0).argsort(axis=0)
    assert 0.5 < np.corrcoef(ranks[:, 0], ranks[:, -1])[0, 1] < 1
    assert np.corrcoef(ranks[:, 3], ranks[:, -1])[0, 1] > 0.9
    assert (values[:, -1] > values[:, 0]).mean() > 0.9


@pytest.mark.parametrize(("spread", "least", "most"), [(0.0, -0.1, 0.1), (1.0, 0.15, 0.6)])
def test_dearer_trials_mostly_learn_more_and_equally_dear_ones_no_more_than_others(
    spread: float, least: float, most: float
) -> None:
    prices = [price(train_seconds=1.0 + spread * number, variant=variant(filters=number)) for number in range(1, 40)]
    draws = replace(question(prices, trials=len(prices)).draws, num_settled=len(prices))
    found = []
    for seed in range(30):
        courses = drawn_courses(draws, np.random.default_rng(seed))
        last = [course.trial.reports[-1].metrics["val_accuracy"] for course in courses]
        found.append(np.corrcoef(np.arange(len(last)), last)[0, 1])
    assert least < np.mean(found) < most


def test_small_objectives_are_the_mirror_of_large_ones() -> None:
    asked = spread_out(question(algorithm="asha"))
    assert answer(asked) == answer(replace(asked, draws=replace(asked.draws, mode="min")))


def test_a_worker_meets_architectures_again_that_it_has_trained() -> None:
    rates = [variant(learning_rate=rate) for rate in (0.1, 0.2, 0.3, 0.4)]
    assert fresh_share(rates, slots=1) == 1 / 4
    assert fresh_share(rates, slots=2) == 2 / 4
    assert fresh_share([variant(filters=filters) for filters in (4, 8)], slots=1) == 1
    assert fresh_share([], slots=1) == 1
