"""Stopping in the middle and going on: nothing is missing, nothing doubled, and the numbers are the same."""

import os
import random
import signal
import textwrap

import pytest

pytestmark = pytest.mark.slow

#: A model's code that kills its worker once, when that is handed to the next trial.
DYING = """
    import os, pathlib, signal
    import keras
    from keras import layers
    from trainables.worker.trial_run import TrialRun

    leave = TrialRun.leave

    def die_once(self):
        try:
            pathlib.Path(__file__).with_name("died").touch(exist_ok=False)
        except FileExistsError:
            return leave(self)
        os.kill(os.getpid(), signal.SIGKILL)

    TrialRun.leave = die_once

    def build(params, input_shape, targets):
        image = keras.Input(input_shape)
        features = layers.Dense(params["width"])(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
        return keras.Model(image, layers.Dense(targets[0].size, activation="softmax")(features))
"""


# What SIGTERM does, test_going_on.py tells.
def test_interrupted_study_resumes_without_missing_or_doubled_reports(convfleet):
    study = convfleet.write_study("swept", schedule={"algorithm": "asha", "max_epochs": 40, "grace_epochs": 1})
    process = convfleet.start("run", study)
    convfleet.wait_for("swept", "epoch_reported", 3, process)
    process.send_signal(signal.SIGINT)
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


def test_killed_worker_is_replaced_and_its_trial_goes_on_from_its_checkpoint(joined):
    study = joined.write_study(
        "bereaved",
        search={"algorithm": "random", "trials": 1},
        schedule={"algorithm": "none", "max_epochs": 60},
    )
    process = joined.start("run", study)
    seed = random.randrange(10_000)
    print(f"seed {seed}")
    joined.wait_for("bereaved", "epoch_reported", random.Random(seed).randint(1, 8), process)
    worker = joined.records("bereaved", "epoch_reported")[-1]["worker"]["worker_pid"]
    os.kill(worker, signal.SIGKILL)
    joined.finish(process)
    reports = joined.reports("bereaved")
    assert sorted(reports) == [("t0000", epoch) for epoch in range(1, 61)]
    assert len(joined.records("bereaved", "worker_lost")) == 1
    assert joined.records("bereaved", "epoch_reported")[-1]["worker"]["worker_pid"] != worker


def test_worker_that_dies_while_it_is_handed_to_the_next_trial_costs_that_trial_nothing(joined):
    (joined.folder / "dying.py").write_text(textwrap.dedent(DYING), encoding="utf-8")
    study = joined.write_study(
        "handed",
        space={"family": "custom", "params": {"function": "dying:build", "width": {"int": [2, 90]}}},
        schedule={"algorithm": "none", "max_epochs": 2},
        resources={"max_concurrent": 1, "retries": 1},
    )
    joined.run("run", study)
    assert (joined.folder / "died").exists()
    (loss,) = joined.records("handed", "worker_lost")
    assert (loss["trial"], loss["kind"]) == ("t0001", "worker_lost")
    assert sorted(joined.reports("handed")) == [(f"t{trial:04d}", epoch) for trial in range(4) for epoch in (1, 2)]


def test_second_driver_is_told_who_is_at_work(joined):
    study = joined.write_study(
        "held", schedule={"algorithm": "none", "max_epochs": 5000}, resources={"max_concurrent": 1}
    )
    process = joined.start("run", study)
    joined.wait_for("held", "epoch_reported", 1, process)
    output = joined.run("resume", "runs/held", code=2)
    assert "another convfleet is at work" in output
    process.send_signal(signal.SIGINT)
    joined.finish(process, code=130)
