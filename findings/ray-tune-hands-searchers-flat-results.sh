#!/usr/bin/env bash
# A Ray Tune searcher gets results laid flat, and never gets the last one of a trial as a result.
#
# One would guess: `Searcher.on_trial_result` gets the dictionary that the trainable returned, as callbacks do, each time.
# What happens: nested entries arrive as keys such as "worker/memory_mb", so `result["worker"]` is not there and
# `result.get("worker")` is None without a word; the result with `done` comes by `on_trial_complete` alone.
# Who is hurt: searchers that read more than one number of a result, and trials of a single epoch, of which
# `on_trial_result` never tells.
# Ours: orchestrator/tuning/searcher.py asks the journal what a trial reported, not Ray Tune's results.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import sys
import tempfile

import ray
from ray import tune
from ray.tune.search import Searcher

NUM_EPOCHS = 3
searcher, callback = [], []


class OneTrial(Searcher):
    is_asked = False

    def suggest(self, trial_id):
        if self.is_asked:
            return Searcher.FINISHED
        self.is_asked = True
        return {}

    def on_trial_result(self, trial_id, result):
        searcher.append({name: value for name, value in result.items() if name.startswith("worker")})

    def on_trial_complete(self, trial_id, result=None, error=False):
        pass

    def save(self, path):
        pass

    def restore(self, path):
        pass


class Callback(tune.Callback):
    def on_trial_result(self, iteration, trials, trial, result, **info):
        callback.append({name: value for name, value in result.items() if name.startswith("worker")})


class Trainable(tune.Trainable):
    def step(self):
        return {"loss": 1.0, "worker": {"memory_mb": 500}, "done": self.iteration + 1 == NUM_EPOCHS}


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
tune.Tuner(
    Trainable,
    tune_config=tune.TuneConfig(search_alg=OneTrial(metric="loss", mode="min")),
    run_config=tune.RunConfig(
        callbacks=[Callback()],
        storage_path=tempfile.mkdtemp(),
        verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    ),
).fit()
print(f"callback, {len(callback)} results:", callback)
print(f"searcher, {len(searcher)} results:", searcher)
if searcher != [{"worker/memory_mb": 500}] * (NUM_EPOCHS - 1):
    sys.exit("changed: searchers get other results")
PYTHON
quietly python "$work/finding.py"
