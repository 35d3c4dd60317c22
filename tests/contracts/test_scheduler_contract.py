"""The contract of every rule of early stopping: a new one is green here or not."""

import dataclasses
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import get_args

import pytest
from hypothesis import given, settings
from judged_reports import CONTINUE, STOP, Settings, Stream, demand_undisturbed, plans, play, rig, tune_trial

from orchestrator.early_stopping.decider import Decider, Reported, Rules
from orchestrator.early_stopping.deciders import DECIDERS, POPULATIONS, make_decider
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import StudyExtended, TrialStopped
from orchestrator.journal.trial import TrialState
from orchestrator.study.sections import Schedule
from trainables.reports import FailureKind

SEEDS = range(20)
STOPPING = [algorithm for algorithm in DECIDERS if algorithm != "none"]


def test_study_files_may_name_every_rule_and_no_other() -> None:
    assert set(DECIDERS) == set(get_args(Schedule.model_fields["algorithm"].annotation))


def rules_of(algorithm: str, *, mode: str = "max", **schedule: object) -> Rules:
    numbers = {"max_epochs": 12, "grace_epochs": 1, "reduction_factor": 2, "min_rivals": "auto", **schedule}
    section = Schedule.model_validate({"algorithm": algorithm, **numbers})
    return Rules(schedule=section, metric="score", mode=mode, seed=3)


def judged(decider: Decider, reports: Iterable[Reported], *, max_epochs: int = 12) -> Iterator[tuple[Reported, str]]:
    """Yields each report of trials that have not stopped, with the reason to stop; their last ones are not judged."""
    stopped = set()
    for report in reports:
        if report.trial in stopped:
            continue
        reason = "" if report.epoch >= max_epochs else decider.judge(report).reason
        if reason or report.epoch >= max_epochs:
            decider.complete(report)
            stopped.add(report.trial)
        yield report, reason


def made_up(seed: int, *, num_trials: int = 30, max_epochs: int = 12) -> list[Reported]:
    """Returns the reports of trials that learn at their own pace, four at a time, the noise and the order drawn."""
    draw, reports = random.Random(seed), []
    skills = [draw.random() for _ in range(num_trials)]
    waiting, running = iter(range(num_trials)), {}
    while True:
        while len(running) < 4 and (number := next(waiting, None)) is not None:
            running[number] = 0
        if not running:
            return reports
        number = draw.choice(sorted(running))
        running[number] = epoch = running[number] + 1
        value = skills[number] * epoch / (epoch + 2) + draw.gauss(0, 0.02)
        reports.append(Reported(trial=f"t{number:04d}", number=number, epoch=epoch, value=value))
        if epoch == max_epochs:
            del running[number]


@pytest.mark.parametrize("algorithm", DECIDERS)
@settings(max_examples=12, deadline=None)
@given(plan=plans())
def test_from_every_prefix_of_the_journal_it_goes_on_undisturbed(
    algorithm: str, plan: tuple[Settings, list[str], Stream]
) -> None:
    chosen, names, stream = plan
    demand_undisturbed(dataclasses.replace(chosen, algorithm=algorithm), names, stream)


@settings(max_examples=25, deadline=None)
@given(plan=plans())
def test_from_every_prefix_of_the_journal_the_same_trials_wait_and_go_on(
    plan: tuple[Settings, list[str], Stream],
) -> None:
    chosen, names, stream = plan
    demand_undisturbed(dataclasses.replace(chosen, promotion=True), names, stream)


@pytest.mark.parametrize("algorithm", STOPPING)
def test_many_trials_are_stopped_and_each_reason_names_the_rule_the_metric_and_the_epoch(algorithm: str) -> None:
    reasons = [item for seed in SEEDS for item in judged(make_decider(rules_of(algorithm)), made_up(seed))]
    stops = [(report, reason) for report, reason in reasons if reason]
    assert len(stops) > 5 * len(SEEDS)
    for report, reason in stops:
        assert reason.startswith(algorithm)
        assert " score " in reason
        assert f"epoch {report.epoch}" in reason
        assert f"{report.value:.4f}" in reason or algorithm == "median"


@pytest.mark.parametrize("algorithm", DECIDERS)
@pytest.mark.parametrize(("grace", "rivals"), [(1, 1), (2, 5), (4, 2), (3, 9), (12, 1)])
def test_nothing_stops_before_its_grace_or_with_too_few_rivals(algorithm: str, grace: int, rivals: int) -> None:
    rules = rules_of(algorithm, grace_epochs=grace, min_rivals=rivals)
    for seed in SEEDS:
        before: Counter[str] = Counter()
        for report, reason in judged(make_decider(rules), made_up(seed)):
            if reason:
                assert report.epoch >= grace
                others = sum(epoch >= grace for trial, epoch in before.items() if trial != report.trial)
                assert others >= rivals
            before[report.trial] = report.epoch


@pytest.mark.parametrize("algorithm", DECIDERS)
def test_small_values_are_judged_as_the_mirror_of_large_ones(algorithm: str) -> None:
    for seed in SEEDS:
        reports = made_up(seed)
        mirrored = [dataclasses.replace(report, value=-report.value) for report in reports]
        large = judged(make_decider(rules_of(algorithm)), reports)
        small = judged(make_decider(rules_of(algorithm, mode="min")), mirrored)
        assert [(report.trial, report.epoch, bool(reason)) for report, reason in large] == [
            (report.trial, report.epoch, bool(reason)) for report, reason in small
        ]


@pytest.mark.parametrize("algorithm", DECIDERS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 0.7])
def test_equal_values_all_go_on(algorithm: str, value: float) -> None:
    reports = [dataclasses.replace(report, value=value) for report in made_up(0)]
    assert [reason for _, reason in judged(make_decider(rules_of(algorithm)), reports) if reason] == []


@pytest.mark.parametrize("algorithm", DECIDERS)
def test_best_of_all_at_every_epoch_is_never_stopped(algorithm: str) -> None:
    for seed in SEEDS:
        reports = [
            dataclasses.replace(report, value=9.0 + report.epoch) if report.number == 11 else report
            for report in made_up(seed)
        ]
        ended = dict.fromkeys((report.trial for report in reports), "")
        ended |= {report.trial: reason for report, reason in judged(make_decider(rules_of(algorithm)), reports)}
        assert ended["t0011"] == ""


@pytest.mark.parametrize("algorithm", DECIDERS)
def test_what_a_failed_trial_reported_stays(algorithm: str) -> None:
    chosen = Settings(algorithm=algorithm, max_epochs=9, reduction_factor=2, min_rivals=1)
    failed = {"trial": "t0000", "worker": {}, "done": True}
    failed["failure"] = {"kind": FailureKind.DIVERGED, "reason": "the loss is nan", "details": ""}
    names, later = ["t0000", "t0001", "t0002"], [("t0001", 0.5), ("t0002", 0.6), ("t0001", 0.5), ("t0002", 0.9)]
    decisions = []
    for fails in (False, True):
        with rig(chosen, chosen.opening(names)) as driver:
            play(driver, [("t0000", 0.8)] * 4)
            if fails:
                driver.listener("tune-t0000", failed)
                driver.scheduler.on_trial_complete(None, tune_trial("t0000"), failed)
            records = list(read_journal(driver.recorder._folder.journal))
            decisions.append(play(driver, later))
    with rig(chosen, records) as resumed:
        decisions.append(play(resumed, later))
    assert decisions[0] == decisions[1] == decisions[2]
    # A quarter of three trials is none.
    assert algorithm in ("none", "hyperband", *POPULATIONS) or any(decision == STOP for _, _, decision in decisions[0])


@pytest.mark.parametrize("algorithm", DECIDERS)
def test_epochs_that_are_trained_again_from_an_older_checkpoint_are_not_judged_again(algorithm: str) -> None:
    # Rungs closer than an epoch, some of which a trial skips.
    chosen = Settings(algorithm=algorithm, max_epochs=9, reduction_factor=1.2, min_rivals=1)
    names = [f"t{number:04d}" for number in range(4)]
    better = [(name, 0.9) for name in names[1:] for _ in range(4)]
    further = [(name, value) for name, value in zip(names, (0.9, 0.9, 0.2, 0.9), strict=True) for _ in range(2)]
    journals = []
    for again in ([], [2, 3, 4]):
        with rig(chosen, chosen.opening(names)) as driver:
            play(driver, [("t0000", 0.5)] * 4 + better)
            assert [driver.report("t0000", 0.1, epoch=epoch) for epoch in again] == [CONTINUE] * len(again)
            play(driver, further)
            journals.append(list(map(repr, read_journal(driver.recorder._folder.journal))))
    assert journals[0] == journals[1]


@pytest.mark.parametrize("algorithm", DECIDERS)
def test_longer_study_goes_on_with_those_that_were_not_stopped(algorithm: str) -> None:
    short = Settings(algorithm=algorithm, max_epochs=4, reduction_factor=2)
    long = dataclasses.replace(short, max_epochs=12)
    names = [f"t{number:04d}" for number in range(12)]
    stream = [(report.trial, report.value) for report in made_up(5, num_trials=12, max_epochs=4)]
    with rig(short, short.opening(names)) as driver:
        play(driver, stream)
        records = list(read_journal(driver.recorder._folder.journal))
    stops = [record for record in records if isinstance(record, TrialStopped)]
    change = {"study_id": "", "max_epochs": 12, "num_trials": 12, "change": "", "study": "", "replaces": "", "at": 1.0}
    records.append(StudyExtended(**change))
    with rig(long, records) as resumed:
        further = [(name, value) for _ in range(8) for name, value in [(name, 0.5) for name in names]]
        play(resumed, further)
        # A population has others by then, which took the places of some.
        trials = {name: resumed.recorder.trial(name) for name in names}
        again = list(read_journal(resumed.recorder._folder.journal))
    # What had stopped stays so; the others end once, by a stop or by their last epoch.
    assert [trials[stop.trial].stop for stop in stops] == stops
    counts = Counter(record.trial for record in again if isinstance(record, TrialStopped))
    assert set(counts.values()) <= {1}
    assert {trial.state for trial in trials.values()} <= {TrialState.STOPPED, TrialState.COMPLETED}
    assert any(trial.epoch == 12 for trial in trials.values())
    with rig(long, again) as resumed:
        assert list(read_journal(resumed.recorder._folder.journal)) == again
