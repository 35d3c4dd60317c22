"""Trials are shared out among brackets for good, and compared within theirs alone."""

from collections import Counter
from typing import Any

import pytest

from orchestrator.early_stopping.decider import Reported, Rules
from orchestrator.early_stopping.hyperband import Hyperband, bracket_of, bracket_shares
from orchestrator.study.sections import Schedule


def rules(*, seed: int = 0, **schedule: Any) -> Rules:
    section = Schedule.model_validate({"algorithm": "hyperband", "max_epochs": 27, "grace_epochs": 1} | schedule)
    return Rules(schedule=section, metric="score", mode="max", seed=seed)


def members(decider: Hyperband, *, epoch: int, num_trials: int = 40) -> list[list[float]]:
    """Returns the values of each bracket's lowest rung after the trials have reported up to an epoch, best first."""
    for number in range(num_trials):
        for passed in range(1, epoch + 1):
            decider.judge(Reported(trial=f"t{number}", number=number, epoch=passed, value=1 - number / 100))
    return [list(bracket.rungs[-1].values.values()) for bracket in decider.brackets]


def test_brackets_begin_a_rung_later_one_after_another() -> None:
    for max_epochs in (27, 81):
        decider = Hyperband(rules(max_epochs=max_epochs))
        assert [bracket.rungs[-1].milestone for bracket in decider.brackets] == [1, 3, 9]
    assert [len(bracket.rungs) for bracket in Hyperband(rules(max_epochs=3)).brackets] == [2, 1, 0]


def test_trial_stands_in_one_bracket_which_seed_and_number_decide() -> None:
    once, again, other = (members(Hyperband(rules(seed=seed)), epoch=9) for seed in (1, 1, 2))
    assert once == again
    assert once != other
    assert sum(map(len, once)) == 40
    # A longer study has the same brackets.
    assert members(Hyperband(rules(seed=1, max_epochs=81)), epoch=9) == once


@pytest.mark.parametrize("num_brackets", [1, 2, 3, 5])
def test_shares_are_kept(num_brackets: int) -> None:
    shares = bracket_shares(num_brackets, factor=3)
    assert sum(shares) == pytest.approx(1)
    counts = Counter(bracket_of(number, seed=5, shares=shares) for number in range(20_000))
    assert [counts[number] / 20_000 for number in range(num_brackets)] == pytest.approx(shares, abs=0.02)


def test_trial_is_compared_within_its_bracket() -> None:
    decider = Hyperband(rules())
    shares = bracket_shares(3, factor=3)
    by_bracket = [[n for n in range(40) if bracket_of(n, seed=0, shares=shares) == bracket] for bracket in range(3)]
    good, weak = by_bracket[0][0], by_bracket[0][1]
    assert not decider.judge(Reported(trial="good", number=good, epoch=1, value=0.9)).stops
    assert not decider.judge(Reported(trial="patient", number=by_bracket[1][0], epoch=1, value=0.1)).stops
    assert decider.judge(Reported(trial="weak", number=weak, epoch=1, value=0.1)).reason == (
        "hyperband, bracket 1 of 3: score 0.1000 at epoch 1 is outside the best 1/3 of the 1 trials of its bracket "
        "that got there before (cut-off 0.9000)"
    )
