"""What each worker was given, with Ray's logical GPUs: there is no real GPU in these tests."""

import os

import pandas as pd
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow


def most_at_once(intervals: list[tuple[pd.Timestamp, pd.Timestamp]]) -> int:
    """Returns how many intervals overlap at the most."""
    events = sorted([(start, 1) for start, _ in intervals] + [(end, -1) for _, end in intervals])
    level = highest = 0
    for _, change in events:
        level += change
        highest = max(highest, level)
    return highest


def test_four_half_gpu_trials_share_two_gpus_two_on_each(convfleet):
    study = convfleet.write_study(
        "shared-gpus",
        search={"algorithm": "random", "trials": 6},
        schedule={"algorithm": "none", "max_epochs": 2},
        resources={"cpus": 8, "gpus": 2, "cpus_per_trial": 1, "gpus_per_trial": 0.5},
    )
    output = convfleet.run("run", study)
    assert "4 trials at a time" in output
    trials = pq.read_table(convfleet.folder / "runs/shared-gpus/trials.parquet").to_pandas()
    assert (trials["state"] == "completed").all()
    assert (trials["gpus"] == 0.5).all()
    # These GPUs are Ray's alone, and whoever reads the tables is told.
    told = {record["trial"]: record for record in convfleet.records("shared-gpus", "trial_noted")}
    assert {record["kind"] for record in told.values()} == {"gpus_not_seen"}
    assert set(told) == set(trials["trial"])
    assert trials["worker_pid"].notna().all()
    assert {len(ids) for ids in trials["gpu_ids"]} == {1}
    trials["gpu"] = [ids[0] for ids in trials["gpu_ids"]]
    assert set(trials["gpu"]) == {"0", "1"}
    intervals = list(zip(trials["started_at"], trials["ended_at"], strict=True))
    assert most_at_once(intervals) <= 4
    for _, on_one in trials.groupby("gpu"):
        assert most_at_once(list(zip(on_one["started_at"], on_one["ended_at"], strict=True))) <= 2
    seen = {
        (record["worker"]["gpu_ids"][0], record["worker"]["visible_gpus"])
        for record in convfleet.records("shared-gpus", "epoch_reported")
    }
    assert all(given == visible for given, visible in seen)


def test_trials_without_gpus_see_none_of_the_machines(convfleet):
    study = convfleet.write_study(
        "no-gpus", search={"algorithm": "random", "trials": 1}, resources={"cpus": 2, "gpus": 4, "gpus_per_trial": 0}
    )
    convfleet.run("run", study)
    workers = [record["worker"] for record in convfleet.records("no-gpus", "epoch_reported")]
    assert workers
    assert all(worker["gpu_ids"] == [] and worker["visible_gpus"] == "" for worker in workers)


def test_request_that_can_never_be_met_is_an_error_at_once(convfleet):
    study = convfleet.write_study("greedy", resources={"cpus": 2, "gpus": 1, "gpus_per_trial": 2})
    output = convfleet.run("run", study, code=1)
    assert "gpus_per_trial 2" in output
    assert "2 CPUs and 1 GPUs" in output
    assert not (convfleet.folder / "runs" / "greedy").exists()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_workers_packed_on_a_gpu_keep_to_cores_of_their_own(convfleet):
    nvidia_smi = convfleet.folder / "bin/nvidia-smi"
    nvidia_smi.parent.mkdir()
    nvidia_smi.write_text("#!/bin/sh\necho 0, GPU-aa, 16000\n")
    nvidia_smi.chmod(0o755)
    convfleet.environment["PATH"] = f"{nvidia_smi.parent}{os.pathsep}{convfleet.environment['PATH']}"
    resources = {"cpus": 2, "gpus": 1, "gpus_per_trial": "auto", "pin_cpus": True}
    output = convfleet.run("run", convfleet.write_study("packed", resources=resources))
    assert "gpus_per_trial: auto is 0.5: a step of the largest variant tried takes" in output
    workers = [record["worker"] for record in convfleet.records("packed", "epoch_reported")]
    assert {worker["gpus"] for worker in workers} == {0.5}
    cores = {(worker["worker_pid"], worker["cores"]) for worker in workers}
    assert len(cores) == len({core for _, core in cores}) == 2
    assert {int(core) for _, core in cores} <= os.sched_getaffinity(0)
