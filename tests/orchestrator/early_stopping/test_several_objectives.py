"""With several objectives, asha and hyperband stop what stands behind the fronts, and nothing of the first front."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_reports import Settings, demand_undisturbed, rig

from orchestrator.early_stopping.asha import Asha
from orchestrator.early_stopping.decider import Reported, Rules
from orchestrator.early_stopping.deciders import make_decider
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import TrialStopped
from orchestrator.pareto.fronts import dominates
from orchestrator.study.sections import Schedule

OBJECTIVES = ("score", "parameters")
small_numbers = st.integers(0, 5).map(float)


def rules_of(algorithm: str = "asha", **schedule: object) -> Rules:
    numbers = {"max_epochs": 9, "grace_epochs": 1, "reduction_factor": 3, "min_rivals": 1, **schedule}
    section = Schedule.model_validate({"algorithm": algorithm, **numbers})
    return Rules(schedule=section, metric="score", mode="max", seed=3, objectives=OBJECTIVES)


def reported(number: int, score: float, parameters: float, *, epoch: int = 1) -> Reported:
    losses = (-score, parameters)
    return Reported(trial=f"t{number:04d}", number=number, epoch=epoch, value=score, losses=losses)


def layers(points: list[tuple[float, ...]]) -> Iterator[int]:
    """Yields the front of each point, found by taking one front away after another."""
    fronts: dict[tuple[float, ...], int] = {}
    left, front = set(points), 1
    while left:
        best = {point for point in left if not any(dominates(other, point) for other in left)}
        fronts.update(dict.fromkeys(best, front))
        left, front = left - best, front + 1
    return (fronts[point] for point in points)


@given(st.lists(st.tuples(small_numbers, small_numbers), max_size=25), st.sampled_from([1.5, 2, 3, 4]))
def test_a_trial_stops_where_enough_others_are_on_better_fronts(
    trials: list[tuple[float, float]], factor: float
) -> None:
    decider, before = make_decider(rules_of(reduction_factor=factor)), []
    for number, (score, parameters) in enumerate(trials):
        verdict = decider.judge(reported(number, score, parameters))
        *others, own = layers([*before, (-score, parameters)])
        num_better = sum(front < own for front in others)
        assert verdict.stops == (num_better > 0 and num_better >= len(before) / factor)
        if own == 1:
            assert not verdict.stops
        before.append((-score, parameters))


def test_the_reason_counts_who_is_better_and_names_all_objectives() -> None:
    decider = make_decider(rules_of())
    for number in range(3):
        assert not decider.judge(reported(number, 0.9 - 0.1 * number, 100.0 - number)).stops
    assert decider.judge(reported(3, 0.5, 200.0)).reason == (
        "asha: at epoch 1, 3 of the 3 trials that got there before are on better fronts of score and parameters, at "
        "least 1/3 of them"
    )


def test_too_few_rivals_stop_nobody() -> None:
    decider = make_decider(rules_of(min_rivals=3))
    assert [decider.judge(reported(number, 0.9 - 0.2 * number, 10.0 * number)).stops for number in range(4)] == [
        False,
        False,
        False,
        True,
    ]


def test_a_small_variant_goes_on_that_the_main_objective_alone_would_stop() -> None:
    alone, both = Asha(rules_of()), Asha(rules_of())
    for number in range(5):
        report = reported(number, 0.8 + 0.01 * number, 5000.0)
        alone.judge(Reported(trial=report.trial, number=number, epoch=1, value=report.value))
        both.judge(report)
    small = reported(9, 0.3, 40.0)
    assert not both.judge(small).stops
    assert alone.judge(Reported(trial=small.trial, number=9, epoch=1, value=0.3)).stops


def test_hyperband_compares_fronts_within_a_bracket() -> None:
    decider = make_decider(rules_of("hyperband", brackets=2))
    draw, reasons = random.Random(4), []
    for number in range(60):
        reasons.append(decider.judge(reported(number, draw.random(), draw.random())).reason)
    assert any("on better fronts" in reason for reason in reasons)
    assert all(reason.startswith("hyperband, bracket 1 of 2: ") for reason in reasons if reason)


@pytest.mark.parametrize("algorithm", ["asha", "hyperband", "pasha", "median"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_from_every_prefix_of_the_journal_it_goes_on_undisturbed(algorithm: str, data: st.DataObject) -> None:
    names = [f"t{number:04d}" for number in range(5)]
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=5, max_size=5))
    chosen = Settings(
        max_epochs=6, reduction_factor=2, algorithm=algorithm, parameters=dict(zip(names, sizes, strict=True))
    )
    values = st.integers(0, 10).map(lambda number: number / 10)
    stream = data.draw(st.lists(st.tuples(st.sampled_from(names), values), max_size=25))
    demand_undisturbed(chosen, names, stream)


def test_the_driver_tells_costs_of_the_first_report_at_every_rung() -> None:
    chosen = Settings(max_epochs=9, reduction_factor=3, parameters={"t0000": 10, "t0001": 20, "t0002": 30})
    names = list(chosen.parameters)
    with rig(chosen, chosen.opening(names)) as driver:
        for _ in range(3):
            assert driver.report("t0000", 0.9) == "CONTINUE"
        assert driver.report("t0001", 0.95) == "CONTINUE"
        # Behind the first one in both at epoch 3 alone.
        assert [driver.report("t0001", value) for value in (0.8, 0.8)] == ["CONTINUE", "STOP"]
        stops = [record for record in read_journal(driver.recorder._journal.path) if isinstance(record, TrialStopped)]
        assert "better fronts of val_accuracy and parameters" in stops[0].reason
