#!/usr/bin/env bash
# A trial whose worker fails or dies while it is handed over is lost at once, whatever `max_failures` says.
#
# One would guess: `FailureConfig(max_failures=3)` tries a trial four times, wherever it fails.
# What happens: with `reuse_actors=True`, an error in `reset_config` ends the trial with no second try. Where the process
# ends there (as if the system killed it), Ray Tune takes its death up twice, once for the worker and once for its task:
# the first puts the trial back in line, the second ends it. The failed trial's entry in the results has the
# config of the trial that the worker had before.
# Who is hurt: sweeps with reuse on machines where workers may be killed: a trial is lost that never ran.
# Ours: orchestrator/tuning/tune_internals.py has a controller that counts a death once; `reset_config` in
# trainables/worker/adapter.py only takes note, so that what can fail happens in `step`, which is retried.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import os
import sys
import tempfile
from pathlib import Path

import ray
from ray import tune


class Trainable(tune.Trainable):
    def setup(self, config):
        self.reset_config(config)

    def reset_config(self, config):
        self.settings = config
        self.fail_at("handover")
        return True

    def step(self):
        self.fail_at("step")
        return {"done": True, "loss": 1.0}

    def fail_at(self, where):
        if self.settings["number"] != 1 or self.settings["where"] != where:
            return
        with open(self.settings["log"], "a") as log:
            log.write("x")
        if self.settings["how"] == "dies":
            os._exit(1)
        raise OSError("the disk is busy")

    def save_checkpoint(self, folder):
        pass

    def load_checkpoint(self, folder):
        pass


def tries(**settings):
    log = Path(tempfile.mkstemp()[1])
    results = tune.Tuner(
        Trainable,
        param_space={"number": tune.grid_search([0, 1]), "log": str(log), **settings},
        tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=1),
        run_config=tune.RunConfig(
            storage_path=tempfile.mkdtemp(),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=3),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    print("trial 1", settings, "tries:", len(log.read_text()), "numbers in the results:", [result.config["number"] for result in results], file=out, flush=True)
    return len(log.read_text())


out = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
found = [tries(where="step", how="raises"), tries(where="handover", how="raises"), tries(where="handover", how="dies")]
if found != [4, 1, 1]:
    print("changed: a failure while a worker is handed over is retried", file=out)
    sys.exit(1)
PYTHON
quietly python "$work/finding.py"
