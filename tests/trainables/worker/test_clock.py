"""Every second of a worker is accounted for, once."""

import subprocess
import sys
import time

import pytest

from trainables.machine.processes import process_age
from trainables.reports import EpochReport
from trainables.worker.clock import WorkerClock


@pytest.fixture
def clock(monkeypatch):
    """A worker's clock, 3 s after its process began, on a time that tests set."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = WorkerClock(age=3.0)

    def step(trial, *, wait, takes, train=0.0, validate=0.0):
        now[0] += wait
        began = now[0]
        now[0] += takes
        if train == "fails":
            return clock.fail(trial=trial)
        report = EpochReport(
            epoch=1,
            metrics={},
            train_seconds=train,
            images_per_second=1.0,
            overhead_seconds={"validate": validate},
        )
        return dict(clock.accounted(report, trial=trial, began=began).overhead_seconds)

    return step


def test_time_around_steps_has_the_name_of_what_it_was(clock):
    assert clock("t0000", wait=0.5, takes=6.0, train=4.0, validate=1.5) == {
        "start": 3.5,
        "validate": 1.5,
        "other": 0.5,
    }
    assert clock("t0000", wait=0.25, takes=5.5, train=4.0, validate=1.5) == {
        "report": 0.25,
        "validate": 1.5,
        "other": 0.0,
    }
    assert clock("t0001", wait=2.0, takes=1.0, train=1.0) == {"idle": 2.0, "validate": 0.0, "other": 0.0}


def test_all_kinds_together_are_the_time_since_the_process_began(clock):
    told = [
        clock("t0000", wait=0.5, takes=6.0, train=4.0),
        clock("t0000", wait=0.5, takes=3.0, train="fails"),
        clock("t0001", wait=0.25, takes=2.0, train=2.0),
    ]
    assert sum(sum(kinds.values()) for kinds in told if kinds) + 4.0 + 2.0 == 3.0 + 0.5 + 6.0 + 0.5 + 3.0 + 0.25 + 2.0


def test_an_import_ahead_of_the_first_trial_is_neither_its_start_nor_its_wait(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = WorkerClock(age=9.0, early_import=(92.0, 95.0))
    now[0] = 105.0
    report = EpochReport(
        epoch=1, metrics={}, train_seconds=1.5, images_per_second=1.0, overhead_seconds={"import": 0.25, "data": 2.0}
    )
    told = clock.accounted(report, trial="t0000", began=101.0)
    expected = {"start": 1.0 + 1.0, "import": 3.0 + 0.25, "idle": 5.0, "data": 2.0, "other": 0.25}
    assert dict(told.overhead_seconds) == expected
    assert sum(expected.values()) + 1.5 == 105.0 - (100.0 - 9.0)


def test_an_import_before_a_forked_worker_began_is_no_second_of_its_own(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = WorkerClock(age=4.0, early_import=(80.0, 90.0))
    now[0] = 105.0
    report = EpochReport(epoch=1, metrics={}, train_seconds=3.0, images_per_second=1.0, overhead_seconds={})
    told = clock.accounted(report, trial="t0000", began=101.0)
    assert dict(told.overhead_seconds) == {"start": 1.0, "import": 0.0, "idle": 4.0, "other": 1.0}


def test_a_wait_for_data_is_no_part_of_a_first_trial_that_failed(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = WorkerClock(age=90.0, early_import=(12.0, 15.0))
    now[0] = 102.0
    clock.fail(trial="t0000")
    now[0] = 104.0
    report = EpochReport(epoch=1, metrics={}, train_seconds=2.0, images_per_second=1.0, overhead_seconds={})
    told = clock.accounted(report, trial="t0001", began=102.0)
    # Two seconds passed before the import, two in the step that failed.
    assert dict(told.overhead_seconds) == {"idle": 85.0, "import": 3.0, "other": 2.0 + 2.0}


def test_a_report_of_an_epoch_that_was_trained_before_takes_no_time_back(clock):
    assert clock("t0000", wait=0.0, takes=0.5, train=60.0)["other"] == 0.0


def test_a_process_is_no_older_than_whoever_waited_for_it_says():
    code = "from trainables.machine.processes import process_age; import time; time.sleep(0.3); print(process_age())"
    started = time.monotonic()
    age = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    # The system counts in hundredths of a second.
    assert 0.28 < age < time.monotonic() - started + 0.02
    assert process_age() > age
