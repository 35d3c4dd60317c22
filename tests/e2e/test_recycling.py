"""Worker processes make room for fresh ones, as the study asks."""

from collections import Counter

import pytest

pytestmark = pytest.mark.slow


def test_worker_processes_are_replaced_after_so_many_trials(convfleet):
    study = convfleet.write_study(
        "renewed",
        search={"algorithm": "random", "trials": 6},
        schedule={"algorithm": "none", "max_epochs": 1},
        resources={"cpus": 1, "trials_per_worker": 2},
    )
    convfleet.run("run", study)
    trained = Counter(record["worker"]["worker_pid"] for record in convfleet.records("renewed", "epoch_reported"))
    assert sorted(trained.values()) == [2, 2, 2]
    assert all(record["worker"]["memory_mb"] > 50 for record in convfleet.records("renewed", "epoch_reported"))
