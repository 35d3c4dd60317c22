"""The median rule decides as Ray Tune's does, where that one does not pause."""

import random
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import MedianStoppingRule, TrialScheduler

from orchestrator.early_stopping.decider import Reported, Rules
from orchestrator.early_stopping.median import Median
from orchestrator.study.sections import Schedule

#: Ray Tune pauses a trial that has too few others to compare with, if another one waits: here none does.
NOBODY_WAITS: Any = SimpleNamespace(get_live_trials=list)


@dataclass(frozen=True)
class TuneTrial:
    trial_id: str


def rules(**schedule: Any) -> Rules:
    section = Schedule.model_validate({"algorithm": "median", "max_epochs": 12, "grace_epochs": 1} | schedule)
    return Rules(schedule=section, metric="score", mode="max", seed=0)


def reported(number: int, epoch: int, value: float) -> Reported:
    return Reported(trial=f"t{number}", number=number, epoch=epoch, value=value)


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(("grace", "rivals"), [(1, 1), (1, 3), (3, 2), (5, 4)])
def test_decisions_are_those_of_ray_tunes_own_rule(mode: str, grace: int, rivals: int) -> None:
    num_stops = 0
    for seed in range(30):
        draw = random.Random(seed)
        section = Schedule.model_validate(
            {"algorithm": "median", "max_epochs": 12, "grace_epochs": grace, "min_rivals": rivals}
        )
        decider = Median(Rules(schedule=section, metric="score", mode=mode, seed=0))
        plain = MedianStoppingRule(
            time_attr="epoch", metric="score", mode=mode, grace_period=grace, min_samples_required=rivals
        )
        trials = [TuneTrial(f"t{number}") for number in range(12)]
        epochs = dict.fromkeys(range(12), 0)
        while epochs:
            number = draw.choice(list(epochs))
            epochs[number] = epoch = epochs[number] + 1
            # Sixteenths have exact sums, in whatever order they are added.
            value = draw.randint(-16, 16) / 16 + number
            report = reported(number, epoch, value)
            result = {"epoch": epoch, "score": value}
            if epoch == 12:
                decider.complete(report)
                plain.on_trial_complete(NOBODY_WAITS, trials[number], result)  # type: ignore[arg-type]
                del epochs[number]
                continue
            plainly = plain.on_trial_result(NOBODY_WAITS, trials[number], result)  # type: ignore[arg-type]
            stops = decider.judge(report).stops
            assert stops == (plainly == TrialScheduler.STOP)
            if stops:
                # Not `on_trial_complete` of Ray Tune: it would count the stopped trial's last value twice.
                decider.complete(report)
                num_stops += 1
                del epochs[number]
    assert num_stops > 100


def test_best_value_counts_and_not_the_last_one() -> None:
    decider = Median(rules(min_rivals=1))
    for epoch in (1, 2, 3):
        decider.judge(reported(0, epoch, 0.5))
    verdicts = [decider.judge(reported(1, epoch, value)).stops for epoch, value in ((1, 0.6), (2, 0.1), (3, 0.1))]
    assert verdicts == [False, False, False]


def test_reason_names_the_best_value_the_median_and_how_many_it_is_of() -> None:
    decider = Median(rules())
    for number, value in enumerate((0.2, 0.4, 0.9)):
        assert not decider.judge(reported(number, 1, value)).stops
    assert decider.judge(reported(3, 1, 0.3)).reason == (
        "median: the best score up to epoch 1, 0.3000, is worse than the median of the means of the 3 trials that got "
        "there before (0.4000)"
    )


def test_three_others_are_the_fewest_unless_the_study_says_otherwise() -> None:
    for rivals, stops in (("auto", [False, False, False, True]), (1, [False, True, True, True])):
        decider = Median(rules(min_rivals=rivals))
        assert [decider.judge(reported(number, 1, 0.9 - number / 10)).stops for number in range(4)] == stops
