"""The recorder writes a record to the file and folds it into the state, as one step to other threads."""

import os
import threading

from open_journals import WORKER, Rig, proposed

from orchestrator.errors import StudyPausedError
from orchestrator.journal.records import (
    EpochReported,
    TrialFailed,
    TrialStarted,
    TrialStopped,
)
from orchestrator.journal.trial import TrialState
from trainables.reports import FailureKind


def test_record_is_in_the_file_and_in_the_state_when_append_returns(rig: Rig) -> None:
    rig.recorder.append(TrialStarted(trial="t0000", at=1.0))
    assert rig.records == [TrialStarted(trial="t0000", at=1.0)]
    assert rig.recorder.trial("t0000").state is TrialState.RUNNING


def test_failure_on_the_drivers_decision_carries_the_trials_last_worker(rig: Rig) -> None:
    report = {"epoch": 1, "metrics": {"val_accuracy": 0.5}, "train_seconds": 1.0, "images_per_second": 1.0}
    rig.recorder.append(EpochReported(trial="t0000", report={**report, "is_last": False}, worker=WORKER, at=1.0))
    rig.recorder.fail("t0000", kind=FailureKind.TIMED_OUT, reason="silent")
    assert rig.records[1:] == [TrialFailed(trial="t0000", kind="timed_out", reason="silent", worker=WORKER, at=101.0)]
    assert not rig.folder.failures.exists()


def test_stop_is_recorded_once_and_not_after_a_pause(rig: Rig) -> None:
    rig.recorder.append(proposed(1))
    for _ in range(2):
        rig.recorder.stop_trial("t0000", epoch=1, reason="weak")
    rig.recorder.pause_requested.set()
    rig.recorder.stop_trial("t0001", epoch=1, reason="weak")
    assert [record.trial for record in rig.records if isinstance(record, TrialStopped)] == ["t0000"]


def test_driver_does_not_take_its_own_record_for_another_programs(rig, monkeypatch):
    really_write, complaints = os.write, []
    threads = []

    def check():
        try:
            rig.recorder.check()
        except StudyPausedError as exc:
            complaints.append(exc)

    def write(file, data):
        written = really_write(file, data)
        # The bytes are there, and what is known of the journal's length is not yet.
        threads.append(threading.Thread(target=check))
        threads[-1].start()
        threads[-1].join(0.2)
        return written

    with monkeypatch.context() as context:
        context.setattr("orchestrator.journal.file.os.write", write)
        rig.recorder.append(TrialStarted(trial="t0000", at=1.0))
    threads[0].join()
    assert complaints == []
