#!/usr/bin/env bash
# Ray starts worker processes ahead, and Ray Tune's trials never use them.
#
# One would guess: the idle workers that `ray.init` starts become the workers of the first trials, which then begin at once.
# What happens: Ray Tune gives its actors a runtime environment of their own (variables such as the folder to work in), and
# Ray hands them only processes that were started for it. An actor without one gets an idle process.
# Who is hurt: short sweeps: each first trial waits for a new process while others lie idle, some 80 MB each.
# Ours: orchestrator/cluster/connection.py has Ray start none unasked and keeps the environment of the trials empty;
# orchestrator/cluster/ray_internals.py asks for as many as trials run at once.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0' psutil==7.2.2
cat > "$work/finding.py" <<'PYTHON'
import os
import sys
import tempfile
import time

import psutil
import ray
from ray import tune


def idle_workers():
    processes = psutil.Process().children(recursive=True)
    return {process.pid: process.memory_info().rss for process in processes if "".join(process.cmdline()).startswith("ray::IDLE")}


class Trainable(tune.Trainable):
    def step(self):
        return {"done": True, "loss": 1.0, "worker_pid": os.getpid()}


@ray.remote(num_cpus=1)
class Plain:
    def pid(self):
        return os.getpid()


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
deadline = time.monotonic() + 60
while not idle_workers() and time.monotonic() < deadline:
    time.sleep(0.5)
idle = idle_workers()
in_workers = []


class Callback(tune.Callback):
    def on_trial_result(self, iteration, trials, trial, result, **info):
        in_workers.append(result["worker_pid"])


tune.Tuner(
    Trainable,
    tune_config=tune.TuneConfig(num_samples=2, max_concurrent_trials=1),
    run_config=tune.RunConfig(
        callbacks=[Callback()],
        storage_path=tempfile.mkdtemp(),
        verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    ),
).fit()
plain = Plain.remote()
pid = ray.get(plain.pid.remote())
print(f"{len(idle)} idle workers beforehand, the largest of {max(idle.values(), default=0) >> 20} MB")
print(f"trials in one of them: {sum(worker in idle for worker in in_workers)} of {len(in_workers)}; a plain actor in one of them: {pid in idle}")
if not idle:
    sys.exit("changed: Ray starts no workers ahead")
if set(in_workers) & set(idle):
    sys.exit("changed: Ray Tune's trials use workers that were started ahead")
PYTHON
quietly python "$work/finding.py"
