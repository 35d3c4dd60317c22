#!/usr/bin/env bash
# A seeded Optuna study that is resumed from its storage proposes its first trials again.
#
# One would guess: `load_if_exists=True` with the same seeded sampler goes on where the study stopped.
# What happens: trials are in the storage, the state of the sampler's generator is not: it starts anew from its seed. Until TPE
# has its 10 trials, and for ever with RandomSampler, the same points come again, in the same order.
# Who is hurt: studies that are interrupted early or often: the same models are trained twice, and the record shows fewer
# different ones than trials.
# Ours: orchestrator/search/algorithms/proposer.py makes a sampler for every proposal, seeded by the study's seed and the trial's number.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv optuna==5.0.0
quietly python - "$work" <<'PYTHON'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = f"sqlite:///{sys.argv[1]}/study.db"


def session(sampler):
    study = optuna.create_study(study_name=type(sampler).__name__, storage=storage, sampler=sampler, load_if_exists=True)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
    return [round(trial.params["x"], 4) for trial in study.trials[-4:]]


for make in (optuna.samplers.TPESampler, optuna.samplers.RandomSampler):
    first, resumed = session(make(seed=1)), session(make(seed=1))
    print(f"{make.__name__}(seed=1): first session {first}, resumed session {resumed}")
    if first != resumed:
        sys.exit("changed: a resumed study goes on with other proposals")
PYTHON
