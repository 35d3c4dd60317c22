"""Trials that break a constraint for good are nobody's rivals, and stop where others may win."""

import dataclasses

import pytest

from orchestrator.early_stopping.decider import Promoting, Reported, Rules
from orchestrator.early_stopping.deciders import DECIDERS, make_decider
from orchestrator.study.sections import Schedule

BREAKS = "parameters 2,000,000 (not parameters <= 1,000,000)"


def rules_of(algorithm: str, *, promotion: bool = False) -> Rules:
    schedule = Schedule.model_validate(
        {
            "algorithm": algorithm,
            "max_epochs": 9,
            "grace_epochs": 2,
            "min_rivals": 2,
            "brackets": 1,
            "promotion": promotion,
        }
    )
    return Rules(schedule=schedule, metric="val_accuracy", mode="max", seed=1, is_constrained=True)


def report(number: int, *, epoch: int, value: float = 0.5, breaks: str = "") -> Reported:
    return Reported(trial=f"t{number:04}", number=number, epoch=epoch, value=value, breaks=breaks)


@pytest.mark.parametrize("algorithm", [name for name in DECIDERS if name != "none"])
def test_it_stops_after_the_grace_once_enough_others_that_may_win_came_as_far(algorithm: str) -> None:
    decider = make_decider(rules_of(algorithm))
    for number in range(2):
        assert not decider.judge(report(9, epoch=2, value=0.9, breaks=BREAKS)).stops
        for epoch in (1, 2):
            decider.judge(report(number, epoch=epoch))
    assert not decider.judge(report(8, epoch=1, value=0.9, breaks=BREAKS)).stops
    assert decider.judge(report(9, epoch=2, value=0.9, breaks=BREAKS)).reason == (
        "constraints: at epoch 2, 2 trials that keep to the constraints have come as far, while this one has "
        f"{BREAKS} and cannot win"
    )


@pytest.mark.parametrize("algorithm", [name for name in DECIDERS if name != "none"])
def test_others_are_judged_as_if_it_did_not_exist(algorithm: str) -> None:
    beside, alone = make_decider(rules_of(algorithm)), make_decider(rules_of(algorithm))
    for number in range(8):
        for epoch in (1, 2, 3):
            beside.judge(report(100 + number, epoch=epoch, value=0.99, breaks=BREAKS))
            news = report(number, epoch=epoch, value=0.2 + 0.1 * ((number * 5) % 8))
            assert beside.judge(news) == alone.judge(news)


def test_a_study_without_early_stopping_stops_no_trial() -> None:
    decider = make_decider(rules_of("none"))
    for number in range(5):
        decider.judge(report(number, epoch=9))
    assert not decider.judge(report(9, epoch=9, breaks=BREAKS)).stops


def test_where_trials_wait_it_stops_and_others_wait_and_go_on_as_if_it_did_not_exist() -> None:
    rules = rules_of("asha", promotion=True)
    beside, alone = make_decider(rules), make_decider(dataclasses.replace(rules, is_constrained=False))
    assert isinstance(beside, Promoting)
    assert isinstance(alone, Promoting)
    went_on = 0
    for number in range(9):
        for epoch in (1, 2):
            verdict = beside.judge(report(100 + number, epoch=epoch, value=0.99, breaks=BREAKS))
            assert not verdict.waits
            assert verdict.stops == (epoch == 2 and number >= 2)
            news = report(number, epoch=epoch, value=0.2 + 0.1 * ((number * 5) % 9))
            assert beside.judge(news) == alone.judge(news)
        assert beside.promotable() == alone.promotable()
        while (promotion := alone.promotable()) is not None:
            assert promotion.trial < "t0100"
            beside.promote(promotion.trial)
            alone.promote(promotion.trial)
            went_on += 1
    assert went_on
    assert beside.num_rungs == alone.num_rungs
