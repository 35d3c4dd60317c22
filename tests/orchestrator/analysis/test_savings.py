"""The best so far against what was spent, and what stopping saved: counted by hand."""

from dataclasses import replace

import pytest
from made_studies import Curve, records_of, study_of

from orchestrator.analysis.analysis import analysis_of
from orchestrator.analysis.progress import best_so_far_steps
from orchestrator.journal.records import (
    EpochReported,
    SessionStarted,
    StudyPaused,
    TrialFailed,
    TrialReused,
    TrialStopped,
)
from orchestrator.journal.study_state import fold
from orchestrator.results.from_state import best_so_far
from orchestrator.results.image_shares import ImageShares

CURVES = [
    Curve(validation=[0.5, 0.6, 0.6, 0.7]),
    Curve(validation=[0.4, 0.65], is_stopped=True),
    Curve(validation=[0.55, 0.8, 0.81, 0.8]),
    Curve(validation=[0.1], is_stopped=True),
]


def with_worker(records, *, cpus, seconds):
    """Returns records whose epochs took so many seconds on so many CPUs."""
    return [
        replace(record, worker={"cpus": cpus}, report={**record.report, "train_seconds": seconds})
        if isinstance(record, EpochReported)
        else record
        for record in records
    ]


def test_each_step_is_better_than_the_one_before_and_says_what_was_spent():
    steps = best_so_far_steps(fold(with_worker(records_of(CURVES), cpus=2.0, seconds=3.0)))
    assert [(step.trial, step.epoch, step.value) for step in steps] == [
        ("t0000", 1, 0.5),
        ("t0000", 2, 0.6),
        ("t0000", 4, 0.7),
        ("t0002", 2, 0.8),
        ("t0002", 3, 0.81),
    ]
    assert [step.num_epochs for step in steps] == [1, 2, 4, 8, 9]
    assert [step.num_trials for step in steps] == [1, 1, 1, 3, 3]
    assert [step.core_seconds for step in steps] == [6.0, 12.0, 24.0, 48.0, 54.0]
    # The session began at second 1; trial n starts at 10 (n + 1).
    assert [step.seconds for step in steps] == pytest.approx([9.001, 9.002, 9.004, 29.002, 29.003])


def test_the_last_step_is_the_best_so_far():
    state = study_of(CURVES)
    trial, report = best_so_far(state)
    last = best_so_far_steps(state)[-1]
    assert (last.trial, last.epoch) == (trial.name, report.epoch)


def test_time_between_sessions_does_not_count():
    records = records_of(CURVES[:1])
    later = [
        StudyPaused(reason="stop", at=20.0),
        SessionStarted(driver_pid=2, slots=1, at=1000.0),
        *(replace(item, trial="t0001", at=item.at + 1000) for item in records_of(CURVES[2:3])[3:]),
    ]
    proposal = replace(records[2], trial="t0001", number=1, at=1000.0)
    steps = best_so_far_steps(fold([*records, *later[:2], proposal, *later[2:]]))
    assert steps[-1].trial == "t0001"
    assert steps[-1].seconds == pytest.approx(19.0 + 10.003)


def test_a_trial_that_failed_cost_its_epochs_and_is_no_best():
    records = records_of([replace(CURVES[2], is_stopped=True), CURVES[0]])
    records = [
        TrialFailed(trial=item.trial, kind="diverged", reason="nan", at=item.at)
        if isinstance(item, TrialStopped)
        else item
        for item in records
    ]
    assert [(step.value, step.num_epochs) for step in best_so_far_steps(fold(records))] == [
        (0.5, 5),
        (0.6, 6),
        (0.7, 8),
    ]


def savings(curves, *, shares=None, **header):
    records = with_worker(records_of(curves, **header), cpus=2.0, seconds=3.0)
    return analysis_of(fold(records), shares=shares).savings


def test_savings_are_the_epochs_that_stopped_trials_had_left_at_their_own_pace():
    found = savings(CURVES)
    assert (found.num_stopped, found.epochs, found.core_seconds) == (2, 2 + 3, 5 * 3.0 * 2)
    assert found.patience_epochs == 0


def test_epochs_that_patience_ended_are_counted_apart():
    found = savings([*CURVES, Curve(validation=[0.3, 0.2])])
    assert (found.epochs, found.patience_epochs) == (5, 2)


def test_stopped_trials_that_were_as_good_as_the_best_are_counted():
    # In the later half of the long trials values change by 0.1, 0.0, 0.01 and 0.01: the median is 0.01.
    curves = [
        Curve(validation=[0.5, 0.6, 0.6, 0.7]),
        Curve(validation=[0.55, 0.8, 0.81, 0.8]),
        Curve(validation=[0.4, 0.79], is_stopped=True),
        Curve(validation=[0.5], is_stopped=True),
        Curve(validation=[0.6], is_stopped=True),
    ]
    found = savings(curves)
    assert (found.best_trial, found.num_compared, found.num_close) == ("t0001", 3, 2)
    assert found.noise.startswith("at most 0.02 worse")
    lowest = savings(
        [replace(curve, validation=[-value for value in curve.validation]) for curve in curves], mode="min"
    )
    assert lowest == found


def test_shares_of_images_are_as_good_where_their_intervals_overlap():
    few, many = (ImageShares(metrics=frozenset({"accuracy"}), images={"validation": count}) for count in (20, 100_000))
    assert savings(CURVES, shares=few).num_close == 1
    assert savings(CURVES, shares=few).noise == "the intervals of 95 % of both values overlap"
    assert savings(CURVES, shares=many).num_close == 0


def test_a_study_of_short_trials_does_not_know_what_is_as_good():
    found = savings([Curve(validation=[0.5, 0.6]), Curve(validation=[0.4], is_stopped=True)])
    assert (found.num_compared, found.num_close) == (1, None)


def test_an_empty_study_saved_nothing_and_has_no_best():
    analysis = analysis_of(study_of([]))
    assert analysis.steps == []
    assert (analysis.savings.num_stopped, analysis.savings.epochs, analysis.savings.best_trial) == (0, 0, "")
    assert isinstance(analysis.savings.core_seconds, float)


def test_what_another_run_trained_cost_nothing_and_is_no_saving():
    opened, session, *_ = records_of([])
    own = [replace(item, trial="t0001") for item in records_of(CURVES[:1])[2:]]
    own[0] = replace(own[0], number=1)
    reports = [{**item.report, "metrics": {"val_accuracy": 0.55}} for item in own if isinstance(item, EpochReported)][
        :2
    ]
    reused = TrialReused(
        trial="t0000",
        number=0,
        variant=own[0].variant,
        source="runs/old",
        source_trial="t0005",
        reports=[reports[0], {**reports[1], "is_last": True}],
        reported_at=[2.0, 3.0],
        started_at=[1.5],
        worker={"cpus": 4.0},
        at=5.0,
    )
    analysis = analysis_of(fold([replace(opened, max_epochs=4, num_trials=2), session, reused, *own]))
    assert [(step.value, step.num_epochs, step.num_trials, step.core_seconds) for step in analysis.steps] == [
        (0.55, 0, 1, 0.0),
        (0.6, 2, 2, 2.0),
        (0.7, 4, 2, 4.0),
    ]
    assert analysis.steps[0].seconds == 4.0
    assert analysis.savings.patience_epochs == 0
