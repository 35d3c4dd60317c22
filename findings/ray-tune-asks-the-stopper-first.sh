#!/usr/bin/env bash
# The result at which a Ray Tune stopper ends a trial reaches neither scheduler nor searcher as a result.
#
# One would guess: every result goes to the scheduler, the searcher and the callbacks, and then a stopper may end the trial.
# What happens: the stopper is asked first. Where it says stop, the scheduler and the searcher get no `on_trial_result`
# for this one, callbacks do, and all get `on_trial_complete`. Results of other epochs go stopper, scheduler, searcher,
# callbacks.
# Who is hurt: whoever counts or keeps results in a scheduler or searcher: the last, often the best, is missing.
# Ours: orchestrator/journal/recorder.py is the stopper as well as a callback: as a stopper it sees every result before
# anything acts on it, writes it down, and stops nothing.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import sys
import tempfile

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

told = []


class Stopper(tune.Stopper):
    def __call__(self, trial_id, result):
        told.append((result["training_iteration"], "stopper"))
        return result["training_iteration"] >= 2

    def stop_all(self):
        return False


class Scheduler(FIFOScheduler):
    def on_trial_result(self, controller, trial, result):
        told.append((result["training_iteration"], "scheduler"))
        return super().on_trial_result(controller, trial, result)


class OneTrial(Searcher):
    is_asked = False

    def suggest(self, trial_id):
        if self.is_asked:
            return Searcher.FINISHED
        self.is_asked = True
        return {}

    def on_trial_result(self, trial_id, result):
        told.append((result["training_iteration"], "searcher"))

    def on_trial_complete(self, trial_id, result=None, error=False):
        pass

    def save(self, path):
        pass

    def restore(self, path):
        pass


class Callback(tune.Callback):
    def on_trial_result(self, iteration, trials, trial, result, **info):
        told.append((result["training_iteration"], "callback"))


class Trainable(tune.Trainable):
    def step(self):
        return {"loss": 1.0}


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
tune.Tuner(
    Trainable,
    tune_config=tune.TuneConfig(search_alg=OneTrial(metric="loss", mode="min"), scheduler=Scheduler()),
    run_config=tune.RunConfig(
        stop=Stopper(),
        callbacks=[Callback()],
        storage_path=tempfile.mkdtemp(),
        verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    ),
).fit()
by_epoch = {epoch: [who for at, who in told if at == epoch] for epoch in (1, 2)}
for epoch, order in by_epoch.items():
    print(f"epoch {epoch}:", ", ".join(order), "(the stopper ends the trial)" if epoch == 2 else "")
if by_epoch != {1: ["stopper", "scheduler", "searcher", "callback"], 2: ["stopper", "callback"]}:
    sys.exit("changed: Ray Tune tells of results in another order")
PYTHON
quietly python "$work/finding.py"
