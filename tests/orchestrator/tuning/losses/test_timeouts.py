"""A trial is late when its worker was silent for longer than allowed, by the journal and the time alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    StudyOpened,
    StudyPaused,
    TrialFailed,
    TrialProposed,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.study.sections import Resources
from orchestrator.tuning.losses.timeouts import LEAST_SECONDS, TIMES_LONGEST, report_limit, silent_trials

NUM_EPOCHS = 4
SESSION = SessionStarted(driver_pid=1, slots=2, at=0.0)


def opening(num_trials: int = 2) -> list[Record]:
    opened = StudyOpened(schema=2, study="s", seed=7, metric="v", mode="max", max_epochs=NUM_EPOCHS, num_trials=2, at=0)
    variant = {"family": "sequential", "params": {}, "seed": 7}
    proposals = [TrialProposed(trial=f"t{n:04d}", number=n, variant=variant, at=0) for n in range(num_trials)]
    return [opened, SESSION, *proposals]


def started(at: float, *, trial: str = "t0000") -> TrialStarted:
    return TrialStarted(trial=trial, at=at)


def reported(epoch: int, at: float, *, trial: str = "t0000") -> EpochReported:
    report: dict[str, Any] = {"epoch": epoch, "metrics": {"v": 0.5}, "train_seconds": 1.0, "images_per_second": 1.0}
    return EpochReported(trial=trial, report=report | {"is_last": epoch == NUM_EPOCHS}, worker={}, at=at)


def timed_out(at: float, *, trial: str = "t0000") -> WorkerLost:
    return WorkerLost(trial=trial, kind="timed_out", reason="silent", at=at)


def state_of(*records: Record) -> StudyState:
    return fold([*opening(), *records])


def late(state: StudyState, *, now: float, setting: Any = 60, not_before: float = 0.0) -> list[tuple[str, int, float]]:
    found = silent_trials(state, setting=setting, now=now, not_before=not_before)
    return [(trial.name, trial.epoch, trial.seconds) for trial in found]


@pytest.mark.parametrize(
    ("records", "now", "expected"),
    [
        ([], 1000, []),
        ([started(10)], 70, []),
        ([started(10)], 71, [("t0000", 1, 61)]),
        ([started(10), reported(1, 50)], 110, []),
        ([started(10), reported(1, 50)], 111, [("t0000", 2, 61)]),
        ([started(10), reported(1, 50), started(90)], 111, []),
        ([started(10), started(20, trial="t0001")], 81, [("t0000", 1, 71), ("t0001", 1, 61)]),
        ([started(10), TrialFailed(trial="t0000", kind="diverged", reason="nan", at=11)], 1000, []),
        ([started(10), reported(1, 50), TrialStopped(trial="t0000", epoch=1, reason="weak", at=50)], 1000, []),
        ([started(10), *(reported(epoch, 10 + epoch) for epoch in range(1, 5))], 1000, []),
        ([started(10), timed_out(80)], 1000, []),
        ([started(10), timed_out(80), started(90)], 151, [("t0000", 1, 61)]),
        ([started(10), StudyPaused(reason="interrupted", at=20)], 1000, []),
        ([started(10), SESSION], 1000, []),
    ],
    ids=[
        "waiting",
        "in time since its begin",
        "late since its begin",
        "in time since its report",
        "late since its report",
        "in time since it went on",
        "two",
        "failed",
        "stopped",
        "completed",
        "lost its worker",
        "late again",
        "paused",
        "of a session before",
    ],
)
def test_silence_counts_from_the_last_sign_of_a_worker(
    records: list[Record], now: float, expected: list[tuple[str, int, float]]
) -> None:
    assert late(state_of(*records), now=now) == expected


def test_silence_that_a_sleeping_driver_could_not_hear_does_not_count() -> None:
    state = state_of(started(10))
    assert late(state, now=500, not_before=450) == []
    assert late(state, now=511, not_before=450) == [("t0000", 1, 501)]


@pytest.mark.parametrize(
    ("records", "limit"),
    [
        ([started(10)], None),
        ([started(10), reported(1, 30)], LEAST_SECONDS),
        ([started(10), reported(1, 130), reported(2, 140)], 120 * TIMES_LONGEST),
        (
            [started(10), started(10, trial="t0001"), reported(1, 20), reported(1, 110, trial="t0001")],
            100 * TIMES_LONGEST,
        ),
        # The time between two workers is nobody's.
        ([started(10), WorkerLost(trial="t0000", reason="died", at=20), started(5000), reported(1, 5100)], 1000),
    ],
)
def test_limit_follows_from_the_slowest_report_so_far(records: list[Record], limit: float | None) -> None:
    assert report_limit("auto", longest=state_of(*records).longest_report_seconds) == limit


def test_without_any_report_auto_waits_for_ever() -> None:
    assert late(state_of(started(0)), now=1e9, setting="auto") == []


def test_second_time_in_a_session_is_the_last_and_says_what_to_change() -> None:
    once = state_of(started(0), reported(1, 5))
    twice = state_of(started(0), reported(1, 5), timed_out(100), started(110))
    resumed = state_of(started(0), reported(1, 5), timed_out(100), SESSION, started(110))
    found = [silent_trials(state, setting=60, now=190)[0] for state in (once, twice, resumed)]
    assert [trial.is_again for trial in found] == [False, True, False]
    assert found[0].reason == (
        "no report of epoch 2 for 3 min 05 s (limit 1 min 00 s): its worker is ended, and it goes on from its last "
        "checkpoint"
    )
    assert found[1].reason == (
        "no report of epoch 2 for 1 min 20 s (limit 1 min 00 s), for the second time; if it only needs longer, raise "
        "resources.report_timeout_seconds"
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Record], float]:
    """Returns records of two trials in the order of time, as a driver could have written them, and a time after."""
    records: list[Record] = []
    at, epochs, is_running = 0.0, {"t0000": 0, "t0001": 0}, {"t0000": False, "t0001": False}
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.floats(0, 2000))
        name = draw(st.sampled_from(["t0000", "t0001"]))
        if epochs[name] == NUM_EPOCHS:
            continue
        if not is_running[name]:
            records.append(TrialStarted(trial=name, at=at))
            is_running[name] = True
        elif draw(st.integers(0, 3)):
            epochs[name] += 1
            records.append(reported(epochs[name], at, trial=name))
        else:
            records.append(timed_out(at, trial=name))
            is_running[name] = False
    return records, at + draw(st.floats(0, 20_000))


@given(history=histories(), setting=st.just("auto") | st.floats(1, 5000))
def test_only_trials_with_workers_are_late_and_more_time_makes_no_trial_less_late(
    history: tuple[list[Record], float], setting: Any
) -> None:
    records, now = history
    state = state_of(*records)
    limit = report_limit(setting, longest=state.longest_report_seconds)
    found = silent_trials(state, setting=setting, now=now)
    for trial in found:
        known = state.trials[trial.name]
        assert known.is_with_worker
        assert not known.has_ended
        assert limit is not None
        assert trial.seconds > limit == trial.limit
        moments = [record.at for record in records if getattr(record, "trial", "") == trial.name]
        assert trial.seconds == now - max(moments)
    names = [trial.name for trial in found]
    later = [trial.name for trial in silent_trials(state, setting=setting, now=now + 1)]
    assert set(names) <= set(later)
    assert silent_trials(state, setting=setting, now=now, not_before=now) == []


@given(history=histories())
def test_slowest_report_is_the_same_however_the_journal_is_cut(history: tuple[list[Record], float]) -> None:
    records, _ = history
    state, longest = state_of(), 0.0
    for record in records:
        since = state.trials[record.trial].silent_since  # type: ignore[union-attr]
        state.apply(record)
        if isinstance(record, EpochReported):
            assert since is not None
            longest = max(longest, record.at - since)
        assert (state.longest_report_seconds or 0.0) == longest


@pytest.mark.parametrize("value", [0, 0.5, -1, "soon", True, float("inf"), float("nan"), None])
def test_what_is_no_limit_is_refused_in_words(value: object) -> None:
    with pytest.raises(ValueError, match="must be auto or a number of at least 1"):
        Resources.model_validate({"report_timeout_seconds": value})


@pytest.mark.parametrize("value", ["auto", 1, 90.5, 86_400])
def test_limit_is_auto_or_a_number(value: object) -> None:
    assert Resources.model_validate({"report_timeout_seconds": value}).report_timeout_seconds == value
