"""The time that drivers were at work follows from the journal: sessions count from their preparation on."""

from typing import Any

import pytest

from orchestrator.journal.records import (
    ModelExported,
    Record,
    SessionStarted,
    StudyExtended,
    StudyFinished,
    StudyPaused,
)
from orchestrator.journal.study_state import fold


def session(began_at: float, at: float) -> SessionStarted:
    return SessionStarted(driver_pid=1, slots=1, began_at=began_at, at=at)


def exported(at: float) -> ModelExported:
    return ModelExported(trial="t0000", rank=1, folder="exports/1-t0000", test_metrics={}, at=at)


def extended(at: float) -> StudyExtended:
    return StudyExtended(study_id="i", max_epochs=9, num_trials=9, change="", study="", replaces="", at=at)


CASES: dict[str, tuple[list[Record], float]] = {
    "the present session counts up to now": ([session(90, 100)], 110.0),
    "a journal without began_at counts from the session": ([session(0, 100)], 100.0),
    "a paused one ends there": ([session(90, 100), StudyPaused(reason="", at=130)], 40.0),
    "a finished one ends with its last trial": ([session(90, 100), StudyFinished(at=131)], 10.0),
    "exports do not count": ([session(90, 100), exported(125), exported(130), StudyFinished(at=131)], 10.0),
    "an export after a killed driver ends its session": ([session(90, 100), exported(170), session(180, 190)], 30.0),
    "sessions add up": ([session(90, 100), StudyPaused(reason="", at=130), session(180, 190)], 60.0),
    "a killed driver's last record ends its session": ([session(90, 100), session(180, 190)], 30.0),
    "an extension between sessions counts for nothing": (
        [session(90, 100), StudyPaused(reason="", at=130), extended(170), session(180, 190)],
        60.0,
    ),
    "an extension ends the session of a killed driver": ([session(90, 100), extended(170), session(180, 190)], 30.0),
    "a clock that was put back takes no time away": ([session(90, 100), StudyPaused(reason="", at=20)], 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_seconds_of_all_sessions_up_to_200(case: str, make_opened: Any) -> None:
    records, expected = CASES[case]
    assert fold([make_opened(at=80.0), *records]).clock.seconds(200.0) == expected
