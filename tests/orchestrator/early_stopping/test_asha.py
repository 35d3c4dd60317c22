"""ASHA decides as Ray Tune's does, with as many trials as a study may have."""

import random
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from orchestrator.early_stopping.asha import Asha
from orchestrator.early_stopping.decider import Reported, Rules
from orchestrator.study.sections import Schedule


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(("factor", "grace"), [(1.2, 1), (1.5, 2), (2.5, 1), (3, 1), (4, 3)])
def test_decisions_and_rungs_are_those_of_ray_tunes_own_scheduler(mode: str, factor: float, grace: int) -> None:
    section = Schedule.model_validate({"max_epochs": 30, "grace_epochs": grace, "reduction_factor": factor})
    decider = Asha(Rules(schedule=section, metric="score", mode=mode, seed=0))
    plain = AsyncHyperBandScheduler(
        time_attr="epoch", metric="score", mode=mode, max_t=30, grace_period=grace, reduction_factor=factor
    )
    draw, epochs, num_begun, num_stops = random.Random(1), {}, 0, 0
    while num_begun < 300 or epochs:
        while num_begun < 300 and len(epochs) < 8:
            epochs[num_begun] = 0
            plain.on_trial_add(None, SimpleNamespace(trial_id=f"t{num_begun}"))  # type: ignore[arg-type]
            num_begun += 1
        number = draw.choice(list(epochs))
        epochs[number] = epoch = epochs[number] + 1
        # Coarse numbers, so that some are equal to cut-offs.
        value = draw.randint(0, 40) / 40
        report = Reported(trial=f"t{number}", number=number, epoch=epoch, value=value)
        twin, result = SimpleNamespace(trial_id=f"t{number}"), {"epoch": epoch, "score": value}
        stops = epoch < 30 and decider.judge(report).stops
        if epoch < 30:
            assert stops == (plain.on_trial_result(None, twin, result) == TrialScheduler.STOP)  # type: ignore[arg-type]
        if stops or epoch == 30:
            decider.complete(report)
            plain.on_trial_complete(None, twin, result)  # type: ignore[arg-type]
            num_stops += stops
            del epochs[number]
    assert num_stops > 50
    assert [(rung.milestone, rung.values) for rung in decider.rungs] == plain._brackets[0]._rungs
