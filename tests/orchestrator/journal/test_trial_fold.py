"""The study is a fold of its records: the same from every prefix, and never against the facts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import JournalError
from orchestrator.journal.records import (
    EpochReported,
    ModelExported,
    Record,
    SessionStarted,
    StudyExtended,
    StudyFinished,
    StudyOpened,
    StudyPaused,
    TrialFailed,
    TrialHeld,
    TrialPromoted,
    TrialProposed,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import TrialState

MAX_EPOCHS = 3
OPENED = StudyOpened(
    schema=2, study="s", seed=0, metric="val_loss", mode="min", max_epochs=MAX_EPOCHS, num_trials=9, at=0.0
)
SESSION = SessionStarted(driver_pid=1, slots=2, at=1.0)
PAUSED = StudyPaused(reason="interrupted", at=50.0)
STARTED = TrialStarted(trial="t0000", at=3.0)
LOST = WorkerLost(trial="t0000", reason="killed", at=30.0)
STOPPED = TrialStopped(trial="t0000", epoch=1, reason="asha: too weak", at=40.0)
HELD = TrialHeld(trial="t0000", epoch=1, reason="asha: waits", at=20.0)
PROMOTED = TrialPromoted(trial="t0000", epoch=1, reason="asha: good", at=21.0)
LONGER = StudyExtended(study_id="", max_epochs=MAX_EPOCHS, num_trials=12, change="", study="", replaces="", at=60.0)
FAILED = TrialFailed(trial="t0000", kind="diverged", reason="the loss is nan", at=41.0)
INFEASIBLE = replace(FAILED, kind="infeasible", reason="no pixel is left")
ACTIONS = ["propose", "start", "report", "report", "stop", "fail", "lose", "pause", "go", "hold", "let-go"]
ENDED = {TrialState.COMPLETED, TrialState.STOPPED, TrialState.FAILED, TrialState.INFEASIBLE}


def proposed(number: int = 0, **changes: Any) -> TrialProposed:
    variant = {"family": "sequential", "params": {"filters": 8 + number}, "seed": 0}
    return TrialProposed(**{"trial": f"t{number:04d}", "number": number, "variant": variant, "at": 2.0} | changes)


def reported(epoch: int, *, trial: str = "t0000", loss: float = 0.5, at: float = 10.0) -> EpochReported:
    report = {
        "epoch": epoch,
        "metrics": {"val_loss": loss},
        "train_seconds": 1.0,
        "images_per_second": 9.0,
        "is_last": epoch == MAX_EPOCHS,
    }
    return EpochReported(trial=trial, report=report, worker={"node": trial}, at=at + epoch)


def told_values(**metrics: Any) -> EpochReported:
    return replace(reported(1), report={**reported(1).report, "metrics": metrics})


def vast() -> TrialProposed:
    return proposed(variant={"family": "sequential", "params": {"filters": 2**64}, "seed": 0})


def exported(folder: str) -> ModelExported:
    return ModelExported(trial="t0000", rank=1, folder=folder, test_metrics={"loss": 0.5}, at=60.0)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Record, dict[str, TrialState]]]:
    """Returns records that may follow one another, each with the states of all trials after it.

    The states come from a machine of their own that takes one step a record.
    """
    states: dict[str, TrialState] = {}
    epochs: dict[str, int] = {}
    history: list[tuple[Record, dict[str, TrialState]]] = [(OPENED, {}), (SESSION, {})]

    def tell(record: Record, **changes: TrialState) -> None:
        states.update(changes)
        history.append((record, dict(states)))

    def send_home(record: Record) -> None:
        tell(record, **{name: TrialState.PAUSED for name, state in states.items() if state is TrialState.RUNNING})

    for step in range(draw(st.integers(0, 30))):
        at = 10.0 + step
        action = draw(
            st.sampled_from(
                ["propose", "start", "report", "report", "stop", "fail", "lose", "pause", "go", "hold", "let go"]
            )
        )
        name = draw(st.sampled_from(sorted(states))) if states else ""
        state = states.get(name)
        if action == "propose":
            new = proposed(len(states), at=at)
            epochs[new.trial] = 0
            tell(new, **{new.trial: TrialState.WAITING})
        elif action == "pause":
            send_home(StudyPaused(reason="interrupted", at=at))
        elif action == "go":
            send_home(SessionStarted(driver_pid=step, slots=1, at=at))
        elif action == "start" and state in {TrialState.WAITING, TrialState.PAUSED}:
            tell(TrialStarted(trial=name, at=at), **{name: TrialState.RUNNING})
        elif action == "let-go" and state is TrialState.HELD:
            tell(TrialPromoted(trial=name, epoch=epochs[name], reason="good", at=at), **{name: TrialState.PAUSED})
        elif state is not TrialState.RUNNING and not (action == "stop" and state is TrialState.HELD):
            continue
        elif action == "hold" and epochs[name]:
            tell(TrialHeld(trial=name, epoch=epochs[name], reason="waits", at=at), **{name: TrialState.HELD})
        elif action == "report":
            epochs[name] += 1
            after = TrialState.COMPLETED if epochs[name] == MAX_EPOCHS else TrialState.RUNNING
            tell(reported(epochs[name], trial=name, loss=draw(st.sampled_from([0.1, 0.2, 0.3]))), **{name: after})
        elif action == "stop" and epochs[name]:
            stop = TrialStopped(trial=name, epoch=epochs[name], reason="weak", at=at)
            tell(stop, **{name: TrialState.STOPPED})
        elif action == "fail":
            kind = draw(st.sampled_from(["infeasible", "diverged", "worker_lost"]))
            after = TrialState.INFEASIBLE if kind == "infeasible" else TrialState.FAILED
            tell(TrialFailed(trial=name, kind=kind, reason="bad", at=at), **{name: after})
        elif action == "lose":
            tell(WorkerLost(trial=name, reason="killed", at=at), **{name: TrialState.PAUSED})
    return history


@settings(max_examples=60, deadline=None)
@given(history=histories())
def test_fold_of_every_prefix_equals_the_state_kept_step_by_step(
    history: list[tuple[Record, dict[str, TrialState]]],
) -> None:
    kept = StudyState()
    for count, (record, _) in enumerate(history, start=1):
        kept.apply(record)
        assert fold(told for told, _ in history[:count]) == kept
        assert kept.num_records == count


@settings(max_examples=100, deadline=None)
@given(history=histories())
def test_states_are_as_the_facts_say_at_every_moment(history: list[tuple[Record, dict[str, TrialState]]]) -> None:
    kept = StudyState()
    for record, states in history:
        kept.apply(record)
        assert {name: trial.state for name, trial in kept.trials.items()} == states
        assert [trial.name for trial in kept.unfinished] == [name for name in states if states[name] not in ENDED]
        told = [(item.trial, item.report["epoch"]) for item, _ in history if isinstance(item, EpochReported)]
        assert kept.report_order == told[: len(kept.report_order)]
        for trial in kept.trials.values():
            assert [report.epoch for report in trial.reports] == list(range(1, trial.epoch + 1))
            assert (trial.ended_at is not None) == trial.has_ended
            has_reason = trial.has_ended or trial.is_held
            assert bool(trial.reason) == (has_reason and trial.state is not TrialState.COMPLETED)
            assert trial.is_held == (trial.state is TrialState.HELD)


STATES = [
    ("waiting", [], TrialState.WAITING, ""),
    ("running", [STARTED], TrialState.RUNNING, ""),
    ("running after a report", [STARTED, reported(1)], TrialState.RUNNING, ""),
    ("lost", [STARTED, reported(1), LOST], TrialState.PAUSED, ""),
    ("taken up again", [STARTED, reported(1), LOST, STARTED], TrialState.RUNNING, ""),
    ("study paused", [STARTED, PAUSED], TrialState.PAUSED, ""),
    ("study paused before it started", [PAUSED], TrialState.WAITING, ""),
    ("driver died, another came", [STARTED, SESSION], TrialState.PAUSED, ""),
    ("stopped", [STARTED, reported(1), STOPPED], TrialState.STOPPED, "asha: too weak"),
    ("held", [STARTED, reported(1), HELD], TrialState.HELD, "asha: waits"),
    ("held as the study pauses", [STARTED, reported(1), HELD, PAUSED], TrialState.HELD, "asha: waits"),
    ("promoted", [STARTED, reported(1), HELD, PROMOTED], TrialState.PAUSED, ""),
    ("goes on", [STARTED, reported(1), HELD, PROMOTED, STARTED], TrialState.RUNNING, ""),
    ("ended as it waited", [STARTED, reported(1), HELD, STOPPED], TrialState.STOPPED, "asha: too weak"),
    (
        "ended as it waited, before more trials",
        [STARTED, reported(1), HELD, STOPPED, LONGER],
        TrialState.HELD,
        "asha: waits",
    ),
    ("stopped, then paused", [STARTED, reported(1), STOPPED, PAUSED], TrialState.STOPPED, "asha: too weak"),
    ("completed", [STARTED, reported(1), reported(2), reported(3)], TrialState.COMPLETED, ""),
    ("stopped at its last epoch", [reported(1), reported(2), reported(3), STOPPED], TrialState.COMPLETED, ""),
    ("failed", [STARTED, reported(1), FAILED], TrialState.FAILED, "the loss is nan"),
    ("stopped and failed", [STARTED, reported(1), STOPPED, FAILED], TrialState.FAILED, "the loss is nan"),
    ("infeasible", [STARTED, INFEASIBLE], TrialState.INFEASIBLE, "no pixel is left"),
]


@pytest.mark.parametrize("row", STATES, ids=lambda row: row[0])
def test_state_and_reason_follow_from_the_records(row: tuple[str, list[Record], TrialState, str]) -> None:
    _, records, state, reason = row
    trial = fold([OPENED, SESSION, proposed(), *records]).trials["t0000"]
    assert (trial.state, trial.reason) == (state, reason)
    assert trial.has_ended is (state in ENDED)


CONTRADICTIONS = [
    ("no opening", [SESSION], 1, "the first record does not open the study"),
    ("newer journal", [replace(OPENED, schema=3)], 1, "the journal has schema 3, expected 2"),
    ("two openings", [OPENED, SESSION, OPENED], 3, "the study is opened twice"),
    ("proposed twice", [OPENED, proposed(), proposed()], 3, "trial t0000 is proposed twice"),
    ("start of nobody", [OPENED, STARTED], 2, "names trial 't0000', which was never proposed"),
    ("report of nobody", [OPENED, reported(1)], 2, "names trial 't0000', which was never proposed"),
    ("epoch left out", [OPENED, proposed(), reported(1), reported(3)], 4, "t0000 reports epoch 3 after epoch 1"),
    ("epoch twice", [OPENED, proposed(), reported(1), reported(1)], 4, "t0000 reports epoch 1 after epoch 1"),
    (
        "report after the last",
        [OPENED, proposed(), *map(reported, range(1, MAX_EPOCHS + 2))],
        MAX_EPOCHS + 3,
        f"t0000 reports epoch {MAX_EPOCHS + 1} after its last one, {MAX_EPOCHS}",
    ),
    ("no report", [OPENED, proposed(), replace(reported(1), report={"epoch": 1})], 3, "metrics"),
    ("no variant", [OPENED, proposed(variant={"family": "sequential"})], 2, "variant.params: expected a value"),
    (
        "another's name",
        [OPENED, replace(proposed(), trial="../../t0000")],
        2,
        "trial: expected t0000, got '../../t0000'",
    ),
    ("value of a text", [OPENED, proposed(), replace(reported(1), at="now")], 3, "at: expected a number, got 'now'"),
    ("after all time", [OPENED, replace(SESSION, at=1e300)], 2, "at: expected seconds since 1970, got 1e+300"),
    ("no mode", [replace(OPENED, mode="most")], 1, "mode: expected max or min, got 'most'"),
    ("endless number", [OPENED, proposed(), told_values(val_loss=float("inf"))], 3, "report.metrics: expected numbers"),
    ("text for a number", [OPENED, proposed(), told_values(val_loss="low")], 3, "report.metrics: expected numbers"),
    ("not a process", [OPENED, proposed(), replace(reported(1), worker={"worker_pid": "7"})], 3, "worker.worker_pid"),
    ("export elsewhere", [OPENED, exported("../../home")], 2, "folder: expected a folder such as exports/1-t0007"),
    ("hidden export", [OPENED, exported("exports/..")], 2, "folder: expected a folder such as exports/1-t0007"),
    ("not a variant", [OPENED, proposed(variant=7)], 2, "variant: expected a mapping, got 7"),
]


@pytest.mark.parametrize("row", CONTRADICTIONS, ids=lambda row: row[0])
def test_contradiction_is_an_error_that_names_the_record(row: tuple[str, list[Record], int, str]) -> None:
    _, records, number, reason = row
    with pytest.raises(JournalError) as caught:
        fold(records)
    assert str(caught.value).startswith(f"record {number} cannot be true (")
    assert reason in str(caught.value)
    assert "restore it from a backup" in str(caught.value)


def test_empty_journal_has_no_header() -> None:
    with pytest.raises(JournalError, match="the study was never opened"):
        _ = fold([]).header


@pytest.mark.parametrize(("mode", "epoch"), [("min", 2), ("max", 1)])
def test_best_report_is_the_earliest_of_equals(mode: str, epoch: int) -> None:
    records = [OPENED, proposed(), reported(1, loss=0.5), reported(2, loss=0.3), reported(3, loss=0.3)]
    best = fold(records).trials["t0000"].best_report(metric="val_loss", mode=mode)
    assert best is not None
    assert best.epoch == epoch


def test_trial_without_reports_has_no_best_one() -> None:
    trial = fold([OPENED, proposed()]).trials["t0000"]
    assert trial.best_report(metric="val_loss", mode="min") is None
    assert trial.epoch == 0


def test_export_into_the_same_folder_replaces_the_one_before() -> None:
    first = ModelExported(trial="t0000", rank=1, folder="exports/1-t0000", test_metrics={"loss": 0.5}, at=60.0)
    again, other = replace(first, at=61.0), replace(first, rank=2, folder="exports/2-t0001", at=62.0)
    assert fold([OPENED, proposed(), first, again, other]).exports == [again, other]


@pytest.mark.parametrize(
    ("records", "is_active"),
    [
        ([], False),
        ([SESSION], True),
        ([SESSION, PAUSED], False),
        ([SESSION, PAUSED, SESSION], True),
        ([SESSION, StudyFinished(at=60.0)], False),
        ([SESSION, StudyFinished(at=60.0), SESSION], True),
    ],
)
def test_study_is_active_from_a_session_to_its_end(records: list[Record], is_active: bool) -> None:
    assert fold([OPENED, *records]).is_active is is_active


def test_made_up_sweep_of_the_other_tests_is_a_legal_history(make_sweep: Callable[..., list[Record]]) -> None:
    assert len(fold(make_sweep()).trials) == 14


def test_trial_that_ends_by_itself_is_completed_and_says_why() -> None:
    last = reported(1)
    patient = replace(last, report={**last.report, "is_last": True, "reason": "patience: no better val_loss"})
    trial = fold([OPENED, proposed(), STARTED, patient]).trials["t0000"]
    assert (trial.state, trial.has_ended, trial.ended_at) == (TrialState.COMPLETED, True, last.at)
    assert trial.reason == "patience: no better val_loss"
