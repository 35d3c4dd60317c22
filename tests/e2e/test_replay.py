"""A run without early stopping tells exactly what a real run with early stopping does and costs."""

import json

import pytest

pytestmark = pytest.mark.slow

SECTIONS = {
    "space": {
        "family": "sequential",
        "params": {
            "filters": {"choice": [4, 8]},
            "learning_rate": {"float": [1e-4, 1e-1], "log": True},
            "batch_size": 64,
        },
    },
    "search": {"algorithm": "sobol", "trials": 6},
    # One at a time: of two, which one reports first may differ from run to run.
    "resources": {"max_concurrent": 1},
    "export": {"top": 0},
}
#: Rungs closer than an epoch, as well.
SCHEDULE = {"max_epochs": 4, "grace_epochs": 1, "reduction_factor": 1.5}


def test_a_replay_of_a_full_run_is_what_a_real_stopped_run_does(joined):
    for algorithm in ("none", "asha"):
        joined.run("run", joined.write_study(algorithm, **SECTIONS, schedule={**SCHEDULE, "algorithm": algorithm}))
    real, full = joined.reports("asha"), joined.reports("none")
    told = json.loads(joined.run("replay", "runs/none", "--schedule", "asha", "--json"))["policies"][0]
    assert 6 < len(real) < len(full) == 6 * 4
    assert told["epochs"] == {"low": len(real), "high": len(real)}
    assert told["survivors"] == [trial for trial, epoch in real if epoch == 4]
    assert told["open"] == []
    stopped = joined.records("asha", "trial_stopped")
    assert told["num_stopped"] == {"low": len(stopped), "high": len(stopped)}
