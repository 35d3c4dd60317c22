"""Population based training: who ends, with whom it is compared, and who is gone on from."""

import random
from typing import Any

import pytest

from orchestrator.early_stopping.decider import GO_ON, Reported, Rules, Verdict
from orchestrator.early_stopping.pbt import Pbt
from orchestrator.study.sections import Schedule


def pbt(*, mode: str = "max", seed: int = 3, **schedule: Any) -> Pbt:
    numbers = {"max_epochs": 12, "grace_epochs": 1, "interval_epochs": 2, "population": 8, **schedule}
    section = Schedule.model_validate({"algorithm": "pbt", **numbers})
    return Pbt(Rules(schedule=section, metric="val_accuracy", mode=mode, seed=seed))


def judge(decider: Pbt, number: int, value: float, *, epoch: int = 2) -> Verdict:
    return decider.judge(Reported(trial=f"t{number:04d}", number=number, epoch=epoch, value=value))


def after(decider: Pbt, *values: float, epoch: int = 2) -> Pbt:
    """Returns the decider when trials 0, 1, 2... have reported these values."""
    for number, value in enumerate(values):
        decider.complete(Reported(trial=f"t{number:04d}", number=number, epoch=epoch, value=value))
    return decider


def test_worst_quarter_of_eight_ends_for_the_best_quarter() -> None:
    verdict = judge(after(pbt(), 0.9, 0.3, 0.8, 0.5, 0.6, 0.7, 0.55), 7, 0.41)
    assert verdict.reason == (
        "pbt: val_accuracy 0.4100 at epoch 2 is among the worst 2 of the 8 trials that got there (the next one has "
        "0.5000)"
    )
    assert sorted(verdict.parents) == ["t0000", "t0002"]


@pytest.mark.parametrize(("num_known", "ends"), [(1, False), (2, False), (3, True), (6, True)])
def test_share_of_those_that_got_there_is_rounded_down(num_known: int, ends: bool) -> None:
    verdict = judge(after(pbt(), *(0.5 + 0.01 * number for number in range(num_known))), 9, 0.1)
    assert verdict.stops is ends
    assert len(verdict.parents) == ends


def test_trials_are_compared_at_whole_intervals_from_the_grace_on() -> None:
    decider = pbt(interval_epochs=3, grace_epochs=5)
    for epoch in range(1, 12):
        after(decider, 0.9, 0.8, 0.7, epoch=epoch)
    assert [epoch for epoch in range(1, 12) if judge(decider, 9, 0.1, epoch=epoch).stops] == [6, 9]


def test_age_counts_and_not_what_older_trials_have_reached_since() -> None:
    decider = after(pbt(), 0.2, 0.2, 0.2, 0.2, epoch=2)
    after(decider, 0.9, 0.9, 0.9, 0.9, epoch=4)
    assert judge(decider, 9, 0.3, epoch=2) is GO_ON
    assert judge(decider, 9, 0.3, epoch=4).stops


def test_value_equal_to_the_next_one_goes_on() -> None:
    assert judge(after(pbt(), 0.5, 0.6, 0.7), 9, 0.5) is GO_ON
    assert judge(after(pbt(), 0.5, 0.6, 0.7), 9, 0.4999).stops


def test_low_values_are_the_best_ones_where_the_mode_says_so() -> None:
    verdict = judge(after(pbt(mode="min"), 0.5, 0.1, 0.7), 9, 0.9)
    assert verdict.parents == ("t0001",)


def test_first_choice_among_the_best_follows_from_seed_and_trial_and_is_any_of_them() -> None:
    def first(seed: int, number: int) -> str:
        return judge(after(pbt(seed=seed), *(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)), number, 0.1).parents[0]

    draws = [(seed, number) for seed in range(5) for number in range(7, 27)]
    assert [first(*draw) for draw in draws] == [first(*draw) for draw in draws]
    counts = {name: [first(*draw) for draw in draws].count(name) for name in ("t0000", "t0001")}
    assert sum(counts.values()) == len(draws)
    assert min(counts.values()) > 30


def test_whoever_ends_was_worse_than_all_whom_it_could_go_on_from() -> None:
    for seed in range(200):
        draw = random.Random(seed)
        decider, values = pbt(quantile=draw.choice([0.1, 0.25, 0.5])), {}
        for number in range(draw.randint(2, 20)):
            values[f"t{number:04d}"] = value = draw.randint(0, 9) / 10
            verdict = judge(decider, number, value)
            assert all(values[name] > value for name in verdict.parents)
            assert verdict.stops is bool(verdict.parents)
