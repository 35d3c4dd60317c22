"""What a tracker hears of a run is what its journal says, however the journal grows meanwhile."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_journals import journals
from record_samples import START, opened, proposed, reported
from tracked_runs import EXTENDED, FINISHED, write_run

from orchestrator.errors import JournalError
from orchestrator.journal.file import Journal
from orchestrator.journal.records import StudyExtended, TrialStarted
from orchestrator.journal.study_state import fold
from orchestrator.journal.trial import TrialState
from orchestrator.runs.paths import RunFolder
from orchestrator.trackers.events import BestModel, Scalars, StudyStands, TrialAdded, TrialStands
from orchestrator.trackers.followed import FollowedJournal


def events_of(followed):
    return [event for _, events in followed.new() for event in events]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=journals(), data=st.data())
def test_each_fact_is_told_once_and_alike_however_often_the_journal_is_looked_at(records, data, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    with Journal(folder.journal) as journal:
        for record in records:
            journal.append(record)
    whole = folder.journal.read_bytes()
    at_once = FollowedJournal(folder)
    told = events_of(at_once)
    cut = data.draw(st.integers(0, len(whole)))
    folder.journal.write_bytes(whole[:cut])
    in_two = FollowedJournal(folder)
    first = events_of(in_two)
    folder.journal.write_bytes(whole)
    assert first + events_of(in_two) == told
    assert in_two.place == at_once.place
    state = fold(records)
    reports = [(event.trial, event.step) for event in told if isinstance(event, Scalars) and "val_loss" in event.values]
    assert reports == state.report_order
    begun = begun_in(records)
    assert sorted(event.trial for event in told if isinstance(event, TrialAdded)) == sorted(begun)
    of_trials = [event for event in told if isinstance(event, TrialAdded | Scalars | TrialStands) and event.trial]
    firsts = {event.trial: event for event in reversed(of_trials)}
    assert all(isinstance(event, TrialAdded) for event in firsts.values())
    last = {event.trial: (event.state, event.reason) for event in told if isinstance(event, TrialStands)}
    assert last == {name: (state.trials[name].state.value, state.trials[name].reason) for name in begun}


def begun_in(records):
    """Returns the trials that ever did more than wait, also where they wait again since an extension."""
    state, begun = fold(records[:1]), set()
    for record in records[1:]:
        state.apply(record)
        begun |= {
            trial.name for trial in state.trials.values() if trial.state is not TrialState.WAITING or trial.reports
        }
    return begun


def test_a_report_is_told_with_its_time_and_the_best_value_so_far(tmp_path):
    at = next(place for place, record in enumerate(EXTENDED) if getattr(record, "report", {}).get("epoch") == 10)
    worse = [*EXTENDED[:at], reported(0, 10, at=START + 610, value=0.1)]
    told = events_of(FollowedJournal(write_run(tmp_path / "run", worse)))
    ninth, tenth = (item for item in told if isinstance(item, Scalars) and item.trial == "t0000" and item.step > 8)
    assert (tenth.values["val_accuracy"], tenth.at) == (0.1, START + 610)
    assert tenth.values["best/val_accuracy"] == ninth.values["val_accuracy"]
    assert tenth.values["time/overhead_seconds"] == pytest.approx(0.85)


def test_the_best_value_of_the_study_rises_only_and_ends_at_the_best_of_all(tmp_path):
    told = events_of(FollowedJournal(write_run(tmp_path / "run")))
    best = [event.values["best/val_accuracy"] for event in told if isinstance(event, Scalars) and not event.trial]
    reports = [report.metrics["val_accuracy"] for trial in fold(FINISHED).trials.values() for report in trial.reports]
    assert best == sorted(set(best))
    assert best[-1] == max(reports)


def test_a_trial_that_breaks_a_constraint_is_never_the_best_of_the_study(tmp_path):
    records = [opened(constraints=["val_accuracy <= 0.5"]), *FINISHED[1:]]
    told = events_of(FollowedJournal(write_run(tmp_path / "run", records)))
    best = [event.values["best/val_accuracy"] for event in told if isinstance(event, Scalars) and not event.trial]
    assert 0 < max(best) <= 0.5


def test_an_extension_lets_trials_go_on_and_the_study_run(tmp_path):
    told = events_of(FollowedJournal(write_run(tmp_path / "run", EXTENDED)))
    assert [event.state for event in told if isinstance(event, StudyStands)][-2:] == ["running", "finished"]
    states = [event.state for event in told if isinstance(event, TrialStands) and event.trial == "t0000"]
    assert states == ["running", "completed", "paused", "running"]


def test_a_trial_told_of_that_waits_again_since_an_extension_is_told_so(tmp_path):
    longer = next(record for record in EXTENDED if isinstance(record, StudyExtended))
    # Reported without a start, as no driver writes it: a journal that can be read is told as it reads.
    trained = [reported(0, epoch, at=START + epoch, value=0.5) for epoch in range(1, 10)]
    records = [opened(), proposed(0, at=START), *trained, longer]
    told = events_of(FollowedJournal(write_run(tmp_path / "run", records)))
    assert [event.state for event in told if isinstance(event, TrialStands)] == ["waiting", "completed", "waiting"]


def test_a_trial_begins_for_trackers_when_a_worker_begins_it(tmp_path):
    at = next(place for place, record in enumerate(FINISHED) if isinstance(record, TrialStarted))
    begins = {record.trial: record.at for record in FINISHED if isinstance(record, TrialStarted)}
    told = events_of(FollowedJournal(write_run(tmp_path / "run", FINISHED[:at])))
    assert [event for event in told if isinstance(event, TrialAdded | TrialStands)] == []
    told = events_of(FollowedJournal(write_run(tmp_path / "whole", FINISHED)))
    added = {event.trial: event.at for event in told if isinstance(event, TrialAdded)}
    assert added == begins


def test_only_the_model_of_rank_1_is_the_best_one(tmp_path):
    told = events_of(FollowedJournal(write_run(tmp_path / "run")))
    assert [(event.trial, event.folder.name) for event in told if isinstance(event, BestModel)] == [
        ("t0003", "1-t0003")
    ]
    test = [event for event in told if isinstance(event, Scalars) and "test/accuracy" in event.values]
    assert [(event.trial, event.values["test/accuracy"]) for event in test] == [("t0003", 0.812)]


def test_a_journal_that_becomes_shorter_is_an_error_in_words(tmp_path):
    folder = write_run(tmp_path / "run")
    followed = FollowedJournal(folder)
    events_of(followed)
    folder.journal.write_bytes(folder.journal.read_bytes()[:500])
    with pytest.raises(JournalError, match="became shorter while it was read; call `convfleet track` again"):
        events_of(followed)
