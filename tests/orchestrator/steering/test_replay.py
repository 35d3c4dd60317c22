"""Early stopping of a steered study: a scheduler resumed from any prefix decides as the undisturbed one."""

import random
from pathlib import Path

import pytest
from judged_reports import Rig, Settings, rig

from orchestrator.journal.file import read_journal
from orchestrator.journal.records import EpochReported, Record, SessionStarted, TrialHeld, TrialPromoted, TrialStopped
from orchestrator.journal.steering_records import AnnotationAdded, SteeringRecord, TrialKept, TrialStopAsked
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import is_stopped_by_hand, is_to_stop

NAMES = [f"t{number:04d}" for number in range(6)]
#: (trial, value of its next report, or what is asked of it).
Event = tuple[str, float | str]


def settings_of(chance: random.Random, algorithm: str) -> Settings:
    factor = chance.choice([1.2, 1.5, 2, 3])
    is_promoting = algorithm == "promotion"
    return Settings(
        algorithm="asha" if is_promoting else algorithm,
        promotion=is_promoting,
        max_epochs=7,
        reduction_factor=2 if is_promoting else factor,
        min_rivals=1,
    )


def events_of(chance: random.Random, count: int) -> list[Event]:
    asked = ["stop", "keep", "keep", "undo"]
    values: list[float | str] = [
        chance.choice(asked) if chance.random() < 0.3 else chance.random() for _ in range(count)
    ]
    return [(chance.choice(NAMES), value) for value in values]


def asking(word: str, trial: str, *, position: int) -> SteeringRecord:
    request = f"{position:020d}-{position:08x}"
    if word == "stop":
        return TrialStopAsked(request=request, trial=trial, at=1.0)
    return TrialKept(request=request, trial=trial, keep=word == "keep", at=1.0)


def play(driver: Rig, events: list[tuple[int, Event]]) -> list[tuple[int, str]]:
    """Returns (position, decision) of each event that leaves a record; before each, what waits goes on or ends."""
    decisions, promotions = [], driver.scheduler.promotions
    for position, (name, value) in events:
        promotions.end_by_hand()
        while promotion := promotions.kept() or promotions.first():
            promotions.promote(promotion)
        trial = driver.recorder.trial(name)
        if trial.has_ended:
            continue
        if isinstance(value, str):
            driver.recorder.append(asking(value, name, position=position))
            decisions.append((position, value))
        elif not trial.is_held:
            decisions.append((position, driver.report(name, value)))
    promotions.end_by_hand()
    return decisions


@pytest.mark.parametrize("algorithm", ["asha", "hyperband", "median", "pasha", "promotion"])
def test_scheduler_of_a_steered_study_goes_on_from_every_prefix_of_its_journal(algorithm: str) -> None:
    effects: set[str] = set()
    for seed in range(5):
        chance = random.Random(f"{algorithm} {seed}")
        chosen = settings_of(chance, algorithm)
        events, opening = list(enumerate(events_of(chance, 40))), chosen.opening(NAMES)
        with rig(chosen, opening) as driver:
            decisions = play(driver, events)
            records = list(read_journal(driver.recorder.folder.journal))
        effects |= effects_of(records)
        for length in range(len(opening), len(records) + 1):
            count = sum(isinstance(record, EpochReported | SteeringRecord) for record in records[:length])
            last = decisions[count - 1][0] if count else -1
            with rig(chosen, records[:length]) as resumed:
                assert play(resumed, events[last + 1 :]) == decisions[count:], f"seed {seed}, cut at {length}"
                again = list(read_journal(resumed.recorder.folder.journal))
                assert sorted(map(repr, again)) == sorted(map(repr, records)), f"seed {seed}, cut at {length}"
    assert effects >= {"stopped by hand", "stopped", "kept"}


def effects_of(records: list[Record]) -> set[str]:
    trials = fold(records).trials.values()
    found = {"stopped by hand" for trial in trials if is_stopped_by_hand(trial)}
    found |= {
        "stopped" for item in records if isinstance(item, TrialStopped | TrialHeld) and "by hand" not in item.reason
    }
    found |= {"kept" for trial in trials if trial.steering.keeps}
    return found


def opened_trial(*more: Record) -> StudyState:
    """Returns a study whose trial has reported its first epoch, and what follows."""
    chosen = Settings(promotion=True)
    report = {"epoch": 1, "metrics": {"val_accuracy": 0.5}, "train_seconds": 1.0, "images_per_second": 1.0}
    reported = EpochReported(trial="t0000", report={**report, "is_last": False}, worker={}, at=10.0)
    return fold([*chosen.opening(["t0000"]), reported, *more])


def test_trial_that_gets_to_a_rung_after_its_end_was_asked_for_ends_at_once() -> None:
    asked = TrialStopAsked(request=f"{1:020d}-{1:08x}", trial="t0000", at=11.0)
    assert not is_to_stop(opened_trial(asked).trials["t0000"])
    held = TrialHeld(trial="t0000", epoch=1, reason="asha: waits", at=12.0)
    assert is_to_stop(opened_trial(asked, held).trials["t0000"])
    # One that went on meanwhile gets to its next report.
    promoted = TrialPromoted(trial="t0000", epoch=1, reason="asha: good", at=13.0)
    assert not is_to_stop(opened_trial(asked, held, promoted).trials["t0000"])


def test_trial_that_a_driver_took_from_its_worker_ends_without_another_report_if_that_is_asked_then() -> None:
    session = SessionStarted(driver_pid=1, slots=1, at=11.0)
    asked = TrialStopAsked(request=f"{1:020d}-{1:08x}", trial="t0000", at=12.0)
    assert is_to_stop(opened_trial(session, asked).trials["t0000"])
    assert not is_to_stop(opened_trial(asked, session).trials["t0000"])


def test_time_at_which_a_note_is_written_is_none_of_a_killed_studys(tmp_path: Path) -> None:
    session = SessionStarted(driver_pid=1, slots=1, at=5.0)
    note = AnnotationAdded(request=f"{1:020d}-{1:08x}", trial="", text="why did it die?", at=1_000_000.0)
    again = SessionStarted(driver_pid=2, slots=1, at=2_000_000.0)
    plain, noted = (opened_trial(session, *more, again) for more in ((), (note,)))
    assert noted.clock == plain.clock
    assert noted.num_records == plain.num_records + 1
