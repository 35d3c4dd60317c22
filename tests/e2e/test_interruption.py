"""Stopping in the middle and going on: nothing is missing, nothing doubled, and the numbers are the same."""

import os
import random
import signal

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_study_resumes_without_missing_or_doubled_reports(convfleet, number):
    study = convfleet.write_study("swept", schedule={"algorithm": "asha", "max_epochs": 4})
    process = convfleet.start("run", study)
    convfleet.wait_for("swept", "epoch_reported", 3, process)
    process.send_signal(number)
    output = convfleet.finish(process, code=130)
    assert "convfleet resume runs/swept" in output
    before = convfleet.reports("swept")
    assert convfleet.records("swept")[-1]["type"] == "study_paused"

    resumed = convfleet.run("resume", "runs/swept")
    after = convfleet.reports("swept")
    assert before.items() <= after.items()
    assert len(convfleet.records("swept", "trial_proposed")) == 4
    assert "finished" in resumed
    assert convfleet.run("resume", "runs/swept").count("t0000") >= 1  # a finished study has nothing left to do
    assert convfleet.reports("swept") == after


def test_killed_worker_is_replaced_and_its_trial_goes_on_from_its_checkpoint(convfleet):
    study = convfleet.write_study(
        "bereaved",
        search={"algorithm": "random", "trials": 1},
        schedule={"algorithm": "none", "max_epochs": 12},
    )
    process = convfleet.start("run", study)
    seed = random.randrange(10_000)
    print(f"seed {seed}")
    convfleet.wait_for("bereaved", "epoch_reported", random.Random(seed).randint(1, 8), process)
    worker = convfleet.records("bereaved", "epoch_reported")[-1]["worker"]["worker_pid"]
    os.kill(worker, signal.SIGKILL)
    convfleet.finish(process)
    reports = convfleet.reports("bereaved")
    assert sorted(reports) == [("t0000", epoch) for epoch in range(1, 13)]
    assert len(convfleet.records("bereaved", "worker_lost")) == 1
    assert convfleet.records("bereaved", "epoch_reported")[-1]["worker"]["worker_pid"] != worker


def test_second_driver_is_told_who_is_at_work(convfleet):
    study = convfleet.write_study("held", schedule={"algorithm": "none", "max_epochs": 200})
    process = convfleet.start("run", study)
    convfleet.wait_for("held", "epoch_reported", 1, process)
    output = convfleet.run("resume", "runs/held", code=2)
    assert "another convfleet is at work" in output
    process.send_signal(signal.SIGINT)
    convfleet.finish(process, code=130)
