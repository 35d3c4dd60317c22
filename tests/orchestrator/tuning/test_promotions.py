"""A study whose trials wait at rungs ends whole, whatever interrupts it, and goes on with those that waited."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from driven_studies import drive, spec_of
from judged_reports import STOP, Settings, rig

from orchestrator.journal.records import (
    EpochReported,
    Record,
    StudyExtended,
    StudyFinished,
    TrialHeld,
    TrialPromoted,
    TrialStarted,
    TrialStopped,
)
from orchestrator.journal.steering_records import TrialStopAsked
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import TrialState
from orchestrator.study.spec import StudySpec
from orchestrator.tuning import schedulers
from orchestrator.tuning.budgets import is_stopped_by_budget

NO_RACE = {"replicates": 0, "leaders": 1}


def spec(*, trials: int = 9, **search: object) -> StudySpec:
    return spec_of(promotion=True, max_epochs=9, trials=trials, **{**NO_RACE, **search})


def ends(state: StudyState) -> list[tuple[str, str, str, int, str]]:
    return [
        (trial.name, trial.variant.variant_id, trial.state.value, trial.epoch, trial.reason)
        for trial in state.trials.values()
    ]


def test_trials_wait_go_on_where_they_were_and_end_with_their_reasons(tmp_path: Path) -> None:
    records = drive(tmp_path, spec())
    state = fold(records)
    assert {trial.state for trial in state.trials.values()} == {TrialState.COMPLETED, TrialState.STOPPED}
    assert [trial.epoch for trial in state.trials.values() if trial.state is TrialState.COMPLETED] == [9]
    promoted = [record for record in records if isinstance(record, TrialPromoted)]
    assert promoted
    for record in promoted:
        at = records.index(record)
        started, reported = records[at + 1], records[at + 2]
        assert isinstance(started, TrialStarted)
        assert isinstance(reported, EpochReported)
        assert (reported.trial, reported.report["epoch"]) == (record.trial, record.epoch + 1)
    waited = [trial for trial in state.trials.values() if trial.state is TrialState.STOPPED]
    assert {trial.epoch for trial in waited} == {1, 3}
    for trial in waited:
        others = 9 if trial.epoch == 1 else 3
        assert trial.reason == (
            f"asha: it waited at epoch {trial.epoch} and never was among the best 1/3 of the {others} trials that got "
            "there"
        )


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_resumed_from_any_moment_it_ends_as_undisturbed(tmp_path: Path, algorithm: str) -> None:
    study = spec(algorithm=algorithm)
    whole = drive(tmp_path / "whole", study)
    for length in range(2, len(whole) + 1):
        resumed = drive(tmp_path / f"cut-{length}", study, before=whole[:length])
        assert ends(fold(resumed)) == ends(fold(whole)), f"cut after {whole[length - 1]}"
        decisions = [
            [(type(item), item.trial, item.epoch, item.reason) for item in records if isinstance(item, DECISIONS)]
            for records in (whole, resumed)
        ]
        assert sorted(decisions[0], key=repr) == sorted(decisions[1], key=repr)


DECISIONS = TrialHeld | TrialPromoted | TrialStopped


def test_more_trials_let_those_go_on_that_had_waited_to_the_end(tmp_path: Path) -> None:
    short, long = spec(trials=9), spec(trials=30)
    first = drive(tmp_path / "first", short)
    waited = {trial.name for trial in fold(first).trials.values() if trial.state is TrialState.STOPPED}
    records: list[Record] = [
        *first,
        StudyFinished(at=100.0),
        StudyExtended(
            study_id="i", max_epochs=9, num_trials=30, change="more", study="name: s", replaces="0", at=100.0
        ),
    ]
    both = drive(tmp_path / "both", long, before=records)
    # As if the study had been as large from the beginning: which trials get how far follows from their values.
    assert {name for name, *_ in ends(fold(both))} >= waited
    went_on = {record.trial for record in both[len(records) :] if isinstance(record, TrialPromoted)}
    assert went_on & waited
    assert all(trial.has_ended for trial in fold(both).trials.values())


def test_budget_ends_what_would_have_gone_on_in_its_own_words(tmp_path: Path) -> None:
    state = fold(drive(tmp_path, spec(trials=30, epochs=12)))
    cut = [trial for trial in state.trials.values() if is_stopped_by_budget(trial)]
    assert cut
    assert all(trial.reason.startswith("search.epochs: stopped after epoch ") for trial in cut)
    others = [trial for trial in state.trials.values() if trial.stop is not None and trial not in cut]
    assert others
    assert all(trial.reason.startswith("asha: it waited at epoch ") for trial in others)
    assert all(trial.has_ended for trial in state.trials.values())


@pytest.mark.parametrize("promotion", [True, False], ids=["waiting", "stopping"])
def test_budget_that_a_report_used_up_ends_its_trial_also_if_the_driver_died_in_between(
    tmp_path: Path, promotion: bool
) -> None:
    num_cut = 0
    for epochs in range(2, 20, 2):
        study = spec_of(promotion=promotion, max_epochs=9, trials=12, epochs=epochs, **NO_RACE)
        whole = drive(tmp_path / f"whole-{epochs}", study)
        reports = [at for at, record in enumerate(whole) if isinstance(record, EpochReported)]
        resumed = drive(tmp_path / f"cut-{epochs}", study, before=whole[: reports[-1] + 1])
        assert ends(fold(resumed)) == ends(fold(whole))
        num_cut += is_stopped_by_budget(fold(whole).trials[whole[reports[-1]].trial])
    assert num_cut > 4


def test_patience_counts_those_that_wait(tmp_path: Path) -> None:
    state = fold(drive(tmp_path, spec(trials=40, patience=6)))
    assert len(state.trials) < 40
    assert all(trial.has_ended for trial in state.trials.values())


def test_failed_trials_leave_the_others_waiting_and_the_study_ends(tmp_path: Path) -> None:
    records = drive(tmp_path, spec(), fails=lambda variant: variant.params["filters"] == 8)
    state = fold(records)
    assert {trial.state for trial in state.trials.values()} >= {TrialState.FAILED, TrialState.STOPPED}
    assert all(trial.has_ended for trial in state.trials.values())


def test_leaders_train_again_after_the_last_one_has_waited(tmp_path: Path) -> None:
    state = fold(drive(tmp_path, spec(replicates=2, leaders=2)))
    assert state.replicates
    for name in state.replicates:
        assert all(state.trials[other].epoch == 9 for other in state.replicates[name])


def test_waiting_trial_whose_end_is_asked_for_ends_at_the_next_step_and_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedulers, "tend", lambda controller: None)
    monkeypatch.setattr(schedulers, "has_waiting", lambda controller: True)
    settings, controller = Settings(promotion=True, reduction_factor=2), SimpleNamespace(get_trials=list)
    with rig(settings, settings.opening(["t0000", "t0001", "t0002"])) as driver:
        promotions, recorder = driver.scheduler.promotions, driver.recorder
        for name, value in (("t0000", 0.9), ("t0001", 0.5)):
            assert driver.report(name, value) == STOP
        request = f"{1:020d}-{1:08x}"
        recorder.append(TrialStopAsked(request=request, trial="t0000", at=1.0))
        assert driver.scheduler.choose_trial_to_run(controller) is None
        assert recorder.trial("t0000").reason == "stopped by hand after epoch 1"
        assert [trial.name for trial in promotions.ended_by_hand()] == ["t0000"]
        assert promotions.ended_by_hand() == []
        # It was the best of the rung: who goes on follows from the rung as it was.
        assert promotions.first() is None


def test_free_worker_waits_while_another_trial_may_yet_let_one_go_on() -> None:
    settings = Settings(promotion=True, reduction_factor=2)
    with rig(settings, settings.opening(["t0000", "t0001"])) as driver:
        promotions = driver.scheduler.promotions
        assert promotions.may_come
        assert driver.report("t0000", 0.5) == STOP
        assert promotions.may_come
        assert promotions.first() is None
        assert driver.report("t0001", 0.4) == STOP
        assert not promotions.may_come
        promotion = promotions.first()
        assert promotion is not None
        assert promotions.promote(promotion).name == "t0000"
        assert promotions.may_come
        assert [trial.name for trial in promotions.end()] == ["t0001"]
