"""When a study's minutes are over, no trial begins and those under way stop, also if the study is resumed."""

from typing import Any

import open_journals
import pytest
from open_journals import WORKER, proposed
from ray.tune.search import Searcher

from orchestrator.journal.records import EpochReported, SessionStarted, StudyPaused, TrialStopped
from orchestrator.journal.trial import TrialState
from orchestrator.search.proposer import Proposer
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.schedulers import RecordedAsha
from orchestrator.tuning.searcher import VariantSearcher
from orchestrator.tuning.time_limit import TimeLimit
from orchestrator.tuning.tune_internals import rungs_of
from search_spaces import space_from_mapping

#: The rig's clock shows 101 at the first look, and a second more at each.
MINUTES = 1.0


def spec() -> StudySpec:
    space = space_from_mapping({"family": "sequential", "params": {"num_blocks": {"int": [1, 4]}}})
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": 7,
            "data": {"source": "digits"},
            "space": space,
            "search": {"algorithm": "random", "trials": 3, "minutes": MINUTES},
            "schedule": {"algorithm": "asha", "max_epochs": 3, "grace_epochs": 1},
        }
    )


def result(epoch: int, *, trial: str = "t0000", value: float = 0.5) -> dict[str, Any]:
    report = {"epoch": epoch, "metrics": {"val_accuracy": value}, "train_seconds": 1.0, "images_per_second": 1.0}
    return {"trial": trial, "worker": WORKER, "epoch": epoch, "report": {**report, "is_last": epoch == 3}}


def began(seconds_ago: float) -> SessionStarted:
    return SessionStarted(driver_pid=1, slots=1, began_at=100.0 - seconds_ago, minutes=MINUTES, at=100.0)


def searcher_of(listener: TuneListener) -> VariantSearcher:
    proposer = Proposer(spec())
    proposer.remember(listener.recorder.state.trials.values())
    return VariantSearcher(proposer, listener=listener, num_trials=3)


@pytest.mark.parametrize(("seconds_ago", "is_over"), [(0, False), (50, False), (70, True)])
def test_trial_stops_after_its_next_epoch_once_the_time_is_over(
    rig: open_journals.Rig, seconds_ago: float, is_over: bool
) -> None:
    rig.recorder.append(began(seconds_ago))
    listener = TuneListener(rig.recorder, minutes=MINUTES)
    assert listener("tune-1", result(1)) is is_over
    assert [type(record) for record in rig.records[1:]] == [EpochReported, TrialStopped][: 1 + is_over]
    if is_over:
        trial = rig.recorder.trial("t0000")
        assert (trial.state, trial.epoch) == (TrialState.STOPPED, 1)
        assert trial.reason == "search.minutes: the 1 minutes of the study were over at epoch 1"


def test_trial_that_ends_by_itself_is_completed_and_a_study_without_minutes_never_stops_one(
    rig: open_journals.Rig,
) -> None:
    rig.recorder.append(began(90))
    for minutes, epoch, state in ((None, 1, TrialState.WAITING), (None, 2, TrialState.WAITING)):
        assert TuneListener(rig.recorder, minutes=minutes)("tune-1", result(epoch)) is False
        assert rig.recorder.trial("t0000").state is state
    assert TuneListener(rig.recorder, minutes=MINUTES)("tune-1", result(3)) is False
    assert rig.recorder.trial("t0000").state is TrialState.COMPLETED


def test_no_trial_begins_once_the_time_is_over_and_the_study_says_why(rig: open_journals.Rig) -> None:
    rig.recorder.append(began(90))
    listener = TuneListener(rig.recorder, minutes=MINUTES)
    searcher = searcher_of(listener)
    # The trial without a report has its first epoch all the same: its work is not thrown away.
    config = searcher.suggest("a")
    assert isinstance(config, dict)
    assert config["trial"] == "t0000"
    assert searcher.suggest("b") == Searcher.FINISHED
    listener("a", result(1))
    reason = TimeLimit(rig.recorder, minutes=MINUTES).in_words()
    assert reason.startswith("search.minutes: the 1 minutes were over after 1 of 3 trials, 1 of them stopped for it;")
    assert TimeLimit(rig.recorder, minutes=None).in_words() == ""
    assert TimeLimit(rig.recorder, minutes=1000.0).is_over is False


def test_resumed_study_does_not_start_the_time_anew_and_stops_what_has_a_report(rig: open_journals.Rig) -> None:
    recorder = rig.recorder
    recorder.append(began(0))
    TuneListener(recorder, minutes=MINUTES)("tune-1", result(1))
    recorder.append(StudyPaused(reason="interrupted", at=170.0))
    recorder.append(SessionStarted(driver_pid=1, slots=1, began_at=1000.0, minutes=MINUTES, at=1001.0))
    assert recorder.state.clock.seconds(1003.0) == 73.0
    listener = TuneListener(recorder, minutes=MINUTES)
    assert searcher_of(listener).suggest("a") == Searcher.FINISHED
    assert recorder.trial("t0000").state is TrialState.STOPPED
    # A larger number goes on.
    assert searcher_of(TuneListener(recorder, minutes=60.0)).suggest("b") != Searcher.FINISHED


def test_trial_that_the_time_stopped_stands_in_the_same_rungs_after_a_resume(rig: open_journals.Rig) -> None:
    recorder = rig.recorder
    recorder.append(proposed(1))
    listener = TuneListener(recorder, minutes=MINUTES)
    live = RecordedAsha(spec(), listener=listener)
    recorder.append(began(0))
    for name in ("t0000", "t0001"):
        live.on_trial_add(None, _tune_trial(name))
    first = result(1, value=0.9) | {"val_accuracy": 0.9}
    listener("a", first)
    live.on_trial_result(None, _tune_trial("t0000"), first)
    recorder.state.clock.begin(0.0)
    weak = result(1, trial="t0001", value=0.1) | {"val_accuracy": 0.1}
    assert listener("b", weak) is True
    live.on_trial_complete(None, _tune_trial("t0001"), weak)
    replayed = RecordedAsha(spec(), listener=TuneListener(recorder, minutes=MINUTES))
    assert [rung.recorded for rung in rungs_of(replayed)] == [rung.recorded for rung in rungs_of(live)]


def _tune_trial(name: str) -> Any:
    class Trial:
        config = {"trial": name}  # noqa: RUF012 - a stand-in
        trial_id = f"tune-{name}"

    return Trial()
