#!/usr/bin/env bash
# With `reuse_actors`, Ray Tune ends workers that are still starting: a slow `setup` leaves one worker of four.
#
# One would guess: reusing workers saves their start, so the slower `setup` is, the better.
# What happens: a worker that is free takes over the next trial that waits, which is the one whose own worker is starting;
# that one is ended for it. With short trials the others never come up: all work is done by the first worker, while new
# ones are started and ended beside it.
# Who is hurt: sweeps of short trials whose `setup` imports a large library or loads data: `reuse_actors=True` makes them
# as slow as one worker.
# Ours: `setup` in trainables/worker/adapter.py only takes note; TensorFlow is imported in the first `step`.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import os
import sys
import tempfile
import time
from pathlib import Path

import ray
from ray import tune

START_SECONDS, TRIAL_SECONDS = 6, 1


class Trainable(tune.Trainable):
    def setup(self, config):
        self.settings, self.is_ready = config, False
        self.log("setup")
        if config["slow"] == "setup":
            # The first worker finds the library in the disk's cache.
            self.start(1 if config["number"] == 0 else START_SECONDS)

    def start(self, seconds):
        time.sleep(seconds)
        self.is_ready = True

    def reset_config(self, config):
        self.settings = config
        return True

    def step(self):
        if not self.is_ready:
            self.start(START_SECONDS)
        self.log("step")
        time.sleep(TRIAL_SECONDS)
        return {"done": True, "loss": 1.0}

    def log(self, what):
        with open(self.settings["log"], "a") as log:
            log.write(f"{what} {os.getpid()}\n")

    def save_checkpoint(self, folder):
        pass

    def load_checkpoint(self, folder):
        pass


def working(slow):
    log, began = Path(tempfile.mkstemp()[1]), time.monotonic()
    tune.Tuner(
        Trainable,
        param_space={"number": tune.grid_search(list(range(16))), "slow": slow, "log": str(log)},
        tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=4),
        run_config=tune.RunConfig(
            storage_path=tempfile.mkdtemp(),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    seconds = time.monotonic() - began
    events = [line.split() for line in log.read_text().splitlines()]
    started = len([pid for what, pid in events if what == "setup"])
    worked = len({pid for what, pid in events if what == "step"})
    print(f"slow {slow}: {started} workers began their setup, {worked} of 4 did all trials, {seconds:.0f} s", file=out)
    return worked


out = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
if working("setup") >= working("first step"):
    print("changed: workers with a slow setup come up as others do", file=out)
    sys.exit(1)
PYTHON
quietly python "$work/finding.py"
