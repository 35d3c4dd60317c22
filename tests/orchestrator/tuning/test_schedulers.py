"""The scheduler decides as Ray Tune's own does, and goes on from any prefix of the journal as if it never stopped."""

import itertools
import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from judged_reports import CONTINUE, STOP, Settings, Stream, plans, play, rig, tune_trial
from ray.tune.schedulers import AsyncHyperBandScheduler

from orchestrator.journal.file import read_journal
from orchestrator.journal.records import EpochReported, TrialStopped
from orchestrator.journal.trial import TrialState
from trainables.reports import FailureKind


@settings(max_examples=80, deadline=None)
@given(plan=plans())
def test_decisions_are_those_of_ray_tunes_own_scheduler(plan: tuple[Settings, list[str], Stream]) -> None:
    chosen, names, stream = plan
    plain = AsyncHyperBandScheduler(
        time_attr="epoch",
        metric=chosen.metric,
        mode=chosen.mode,
        max_t=chosen.max_epochs,
        grace_period=chosen.grace_epochs,
        reduction_factor=chosen.reduction_factor,
    )
    for name in names:
        plain.on_trial_add(None, SimpleNamespace(trial_id=name))
    with rig(chosen, chosen.opening(names)) as driver:
        for name, value in stream:
            trial = driver.recorder.trial(name)
            if trial.has_ended:
                continue
            decision = driver.report(name, value)
            result, twin = {"epoch": trial.epoch, chosen.metric: value}, SimpleNamespace(trial_id=name)
            is_last = chosen.is_last(name, epoch=trial.epoch)
            if not is_last:
                plainly = plain.on_trial_result(None, twin, result)
                # It only spares some of those that Ray Tune would stop.
                assert decision == plainly or (chosen.min_rivals not in ("auto", 1) and plainly == STOP)
            if decision == STOP:
                plain.on_trial_complete(None, twin, result)
            assert driver.rungs == plain._brackets[0]._rungs
            assert (trial.state is TrialState.STOPPED) == (decision == STOP and not is_last)


@settings(max_examples=25, deadline=None)
@given(plan=plans())
def test_from_every_prefix_of_the_journal_it_goes_on_undisturbed(plan: tuple[Settings, list[str], Stream]) -> None:
    chosen, names, stream = plan
    opening = chosen.opening(names)
    with rig(chosen, opening) as driver:
        rungs = [driver.rungs]
        decisions = []
        # By number of reports: how much of the stream they used up.
        used = [0]
        for position, (name, value) in enumerate(stream, start=1):
            decisions += (told := play(driver, [(name, value)]))
            if told:
                rungs.append(driver.rungs)
                used.append(position)
        records = list(read_journal(driver.recorder._journal.path))
    for length in range(len(opening), len(records) + 1):
        count = sum(isinstance(record, EpochReported) for record in records[:length])
        with rig(chosen, records[:length]) as resumed:
            assert resumed.rungs == rungs[count]
            assert play(resumed, stream[used[count] :]) == decisions[count:]
            told = list(read_journal(resumed.recorder._journal.path))
            # The reasons, too, are those of the undisturbed run; only a stop that was made up for may come later.
            assert sorted(map(repr, told)) == sorted(map(repr, records))


def test_a_rung_that_few_trials_have_reached_stops_none() -> None:
    chosen = Settings(min_rivals=3)
    with rig(chosen, chosen.opening([f"t{number:04d}" for number in range(5)])) as driver:
        decisions = play(driver, [(f"t{number:04d}", 0.5 - number / 10) for number in range(5)])
    # Each is worse than all before it: the first three have no three rivals.
    assert [decision for _, _, decision in decisions] == [CONTINUE, CONTINUE, CONTINUE, STOP, STOP]


def test_no_rung_judges_a_trial_twice() -> None:
    chosen = Settings()
    with rig(chosen, chosen.opening(["t0000", "t0001"])) as driver:
        assert [driver.report("t0000", 0.1) for _ in range(4)] == [CONTINUE] * 4
        rungs = driver.rungs
        assert play(driver, [("t0001", 0.9)] * 4) == [("t0001", epoch, CONTINUE) for epoch in range(1, 5)]
        records = list(read_journal(driver.recorder._journal.path))
        assert {milestone: list(recorded) for milestone, recorded in rungs} == {9: [], 3: ["t0000"], 1: ["t0000"]}
    with rig(chosen, records) as resumed:
        before = resumed.rungs
        # It went on from an older checkpoint: epochs that it reported before are neither recorded nor judged again.
        assert [resumed.report("t0000", 0.0, epoch=epoch) for epoch in (2, 3, 4)] == [CONTINUE] * 3
        assert resumed.rungs == before
        assert list(read_journal(resumed.recorder._journal.path)) == records


def test_stop_that_never_reached_the_journal_is_made_up_for() -> None:
    chosen = Settings()
    with rig(chosen, chosen.opening(["t0000", "t0001"])) as driver:
        assert play(driver, [("t0000", 0.9), ("t0001", 0.1)]) == [("t0000", 1, CONTINUE), ("t0001", 1, STOP)]
        records = list(read_journal(driver.recorder._journal.path))
    assert isinstance(records[-1], TrialStopped)
    with rig(chosen, records[:-1]) as resumed:
        assert resumed.recorder.trial("t0001").state is TrialState.STOPPED
        assert list(read_journal(resumed.recorder._journal.path)) == records
        assert [trial.name for trial in resumed.recorder.state.unfinished] == ["t0000"]


def test_stopped_trial_stands_in_the_same_rungs_after_a_resume() -> None:
    # Rungs closer than an epoch: Ray Tune enters a stopped trial into one that it had skipped.
    chosen = Settings(max_epochs=12, reduction_factor=1.2)
    stream = [("t0000", 0.9)] * 4 + [("t0001", 0.9)] * 3 + [("t0001", 0.1)]
    with rig(chosen, chosen.opening(["t0000", "t0001"])) as driver:
        assert play(driver, stream)[-1] == ("t0001", 4, STOP)
        rungs = driver.rungs
        records = list(read_journal(driver.recorder._journal.path))
    for missing in (0, 1):
        with rig(chosen, records[: len(records) - missing]) as resumed:
            assert resumed.rungs == rungs


def test_trial_that_ended_by_itself_stands_in_the_same_rungs_after_a_resume() -> None:
    # As above, but patience ends the trial with a report that would have stopped it: Ray Tune never judges that one.
    chosen = Settings(max_epochs=12, reduction_factor=1.2, own_ends={"t0001": 4})
    stream = [("t0000", 0.9)] * 4 + [("t0001", 0.9)] * 3 + [("t0001", 0.1)]
    with rig(chosen, chosen.opening(["t0000", "t0001"])) as driver:
        play(driver, stream)
        assert driver.recorder.trial("t0001").state is TrialState.COMPLETED
        rungs = driver.rungs
        records = list(read_journal(driver.recorder._journal.path))
    with rig(chosen, records) as resumed:
        assert resumed.rungs == rungs


@pytest.mark.parametrize(
    ("mode", "first", "second", "reason"),
    [
        ("max", 0.9, 0.25, "asha: val_accuracy 0.2500 at epoch 1 is outside the best 1/3 of the 1 trials"),
        ("min", 0.25, 0.9, "asha: val_loss 0.9000 at epoch 1 is outside the best 1/3 of the 1 trials"),
    ],
)
def test_reason_names_metric_epoch_and_cut_off(mode: str, first: float, second: float, reason: str) -> None:
    chosen = Settings(mode=mode)
    with rig(chosen, chosen.opening(["t0000", "t0001"])) as driver:
        play(driver, [("t0000", first), ("t0001", second)])
        told = driver.recorder.trial("t0001").reason
    assert told.startswith(reason)
    assert told.endswith(f"(cut-off {first:.4f})")


def test_reason_shows_that_value_and_cut_off_differ() -> None:
    chosen = Settings(mode="max")
    with rig(chosen, chosen.opening(["t0000", "t0001"])) as driver:
        play(driver, [("t0000", 0.98614), ("t0001", 0.98611)])
        told = driver.recorder.trial("t0001").reason
    assert told.startswith("asha: val_accuracy 0.98611 at epoch 1")
    assert told.endswith("(cut-off 0.98614)")


@settings(max_examples=40, deadline=None)
@given(plan=plans())
def test_every_stop_has_a_cut_off_that_its_trial_missed(plan: tuple[Settings, list[str], Stream]) -> None:
    chosen, names, stream = plan
    pattern = rf"{chosen.metric} (\S+) at epoch (\d+) is outside the best 1/\S+ of .* \(cut-off (\S+)\)"
    with rig(chosen, chosen.opening(names)) as driver:
        play(driver, stream)
        for trial in driver.recorder.state.trials.values():
            if trial.stop is None:
                continue
            found = re.search(pattern, trial.reason)
            assert found is not None, trial.reason
            value, epoch, cutoff = float(found[1]), int(found[2]), float(found[3])
            assert value == pytest.approx(trial.reports[-1].metrics[chosen.metric], abs=1e-4)
            assert epoch == trial.epoch
            assert value <= cutoff if chosen.mode == "max" else value >= cutoff


def test_schedule_none_never_stops_a_trial() -> None:
    chosen = Settings(algorithm="none")
    names = ["t0000", "t0001"]
    with rig(chosen, chosen.opening(names)) as driver:
        values = itertools.cycle([0.9, 0.0])
        stream = [(name, next(values)) for _ in range(chosen.max_epochs) for name in names]
        decisions = play(driver, stream)
        assert {decision for _, epoch, decision in decisions if epoch < chosen.max_epochs} == {CONTINUE}
        assert {trial.state for trial in driver.recorder.state.trials.values()} == {TrialState.COMPLETED}


def test_result_without_an_epoch_is_not_judged() -> None:
    chosen = Settings()
    with rig(chosen, chosen.opening(["t0000"])) as driver:
        failure = {"trial": "t0000", "failure": {}, "done": True}
        assert driver.scheduler.on_trial_result(None, tune_trial("t0000"), failure) == CONTINUE
        driver.scheduler.on_trial_complete(None, tune_trial("t0000"), failure)
        driver.scheduler.on_trial_error(None, tune_trial("t0000"))
        driver.scheduler.on_trial_remove(None, tune_trial("t0000"))
        assert all(recorded == {} for _, recorded in driver.rungs)


def test_trial_that_diverges_stays_in_the_rungs_it_reached_and_enters_no_other() -> None:
    chosen = Settings(max_epochs=9, grace_epochs=1, reduction_factor=3)
    failed = {"trial": "t0000", "worker": {}, "done": True}
    failed["failure"] = {"kind": FailureKind.DIVERGED, "reason": "the loss is nan", "details": ""}
    with rig(chosen, chosen.opening(["t0000", "t0001"])) as driver:
        for value in (0.5, 0.6, 0.7, 0.8):
            driver.report("t0000", value)
        driver.listener("tune-t0000", failed)
        driver.scheduler.on_trial_complete(None, tune_trial("t0000"), failed)
        # What it reported while it could be trained was true, and others are measured by it: once a rung.
        assert driver.rungs == [(9, {}), (3, {"t0000": 0.7}), (1, {"t0000": 0.5})]
        driver.report("t0001", 0.9)
        with rig(chosen, list(read_journal(driver.recorder._folder.journal))) as resumed:
            assert resumed.rungs == driver.rungs
