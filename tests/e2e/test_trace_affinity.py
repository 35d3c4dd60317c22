"""Real workers get what they have built; a driver's death between loses nothing of what waits."""

import os
import signal
from collections import defaultdict

import pytest

pytestmark = pytest.mark.slow

#: Four architectures, each with two learning rates.
GRID = {
    "space": {
        "family": "sequential",
        "params": {
            "dense_units": {"choice": [0, 8]},
            "filters": {"choice": [2, 4]},
            "learning_rate": {"choice": [0.01, 0.001]},
        },
    },
    "search": {"algorithm": "grid", "trials": 8},
    "schedule": {"algorithm": "none", "max_epochs": 6},
    "resources": {"max_concurrent": 2},
}
NAMES = [f"t{number:04d}" for number in range(8)]


def architecture(record):
    params = record["variant"]["params"]
    return params["dense_units"], params["filters"]


def expected_variants():
    return [
        {"dense_units": units, "filters": filters, "learning_rate": rate}
        for units in (0, 8)
        for filters in (2, 4)
        for rate in (0.01, 0.001)
    ]


def test_two_workers_begin_with_two_structures_and_each_goes_on_with_its_own(joined):
    joined.run("run", joined.write_study("shared", **GRID))
    proposed = {record["trial"]: record for record in joined.records("shared", "trial_proposed")}
    assert list(proposed) == NAMES
    assert [record["variant"]["params"] for record in proposed.values()] == expected_variants()

    begun = [record["trial"] for record in joined.records("shared", "trial_started")]
    assert sorted(begun) == NAMES
    assert sorted(begun[:2]) == ["t0000", "t0004"], "one without a dense layer, one with it"
    trained = defaultdict(list)
    for record in joined.records("shared", "epoch_reported"):
        if record["report"]["is_last"]:
            trained[record["worker"]["worker_pid"]].append(architecture(proposed[record["trial"]]))
    assert len(trained) == 2
    for architectures in trained.values():
        assert architectures[0] == architectures[1], "the second trial of a worker is of its first one's architecture"


def test_what_waits_when_the_driver_is_killed_is_trained_after_a_resume(joined):
    process = joined.start("run", joined.write_study("killed", **GRID))
    joined.wait_for("killed", "epoch_reported", 3, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    waiting = {record["trial"] for record in joined.records("killed", "trial_proposed")} - {
        record["trial"] for record in joined.records("killed", "trial_started")
    }
    assert waiting
    assert "waiting" in joined.run("status", "runs/killed")
    before = joined.reports("killed")
    joined.run("resume", "runs/killed")
    after = joined.reports("killed")
    assert before.items() <= after.items()
    assert sorted(after) == [(name, epoch) for name in NAMES for epoch in range(1, 7)]
    proposed = joined.records("killed", "trial_proposed")
    assert [record["variant"]["params"] for record in proposed] == expected_variants()
