"""Trials that break a constraint for good are nobody's rivals, and stop where others may win."""

import pytest

from orchestrator.early_stopping.decider import Reported, Rules
from orchestrator.early_stopping.deciders import DECIDERS, make_decider
from orchestrator.study.sections import Schedule

BREAKS = "parameters 2,000,000 (not parameters <= 1,000,000)"


def rules_of(algorithm: str) -> Rules:
    schedule = Schedule.model_validate(
        {"algorithm": algorithm, "max_epochs": 9, "grace_epochs": 2, "min_rivals": 2, "brackets": 1}
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
