#!/usr/bin/env bash
# Ray Tune imports every experiment tracker that is installed, to count whether callbacks of it are used.
#
# One would guess: an experiment without callbacks of MLflow, Comet or Weights & Biases imports none of them.
# What happens: given any callback at all, `Tuner.fit` first counts callbacks by their classes, and imports the modules
# of its integrations for that, each of which imports its tracker; turning usage statistics off changes nothing.
# Who is hurt: whoever has a tracker installed: each experiment starts later by its import (half a second of the driver
# with MLflow and Weights & Biases), and code of the tracker runs where nobody asked for it.
# Ours: `trackers_not_imported` in orchestrator/tuning/tune_internals.py.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0' 'mlflow-skinny==3.17.2'
cat > "$work/finding.py" <<'PYTHON'
import sys
import tempfile

import ray
from ray import tune


class Nothing(tune.Callback):
    pass


def train(config):
    tune.report({"loss": 1.0})


def imported_by(callbacks):
    config = tune.RunConfig(callbacks=callbacks, storage_path=tempfile.mkdtemp(), verbose=0)
    tune.Tuner(train, run_config=config).fit()
    return sorted({name.partition(".")[0] for name in sys.modules} & {"mlflow"})


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
without, with_one = imported_by(None), imported_by([Nothing()])
print("without a callback:", without)
print("with a callback that does nothing:", with_one)
if with_one != ["mlflow"]:
    sys.exit("changed: Ray Tune imports no tracker")
PYTHON
quietly python "$work/finding.py"
