#!/usr/bin/env bash
# Optuna's add_trial refuses trials whose stepped values Optuna drew itself.
#
# One would guess: whatever suggest_float(low, high, step=...) returns is a value of that distribution, so add_trial takes
# trials of another study, as its documentation shows.
# What happens: a value counts as one of a stepped range where it lies within 1e-8 of a step from a multiple of it, and the
# rounding of a float exceeds that once value / step is around 1e8. Of a range from 0 to 10000 in steps of 0.0001, some in
# a hundred of Optuna's own values are refused with a ValueError; copy_study, which asks nobody, copies the same trials.
# Who is hurt: whoever adds trials of stepped ranges to a study, from another study or a log: it fails at one in twenty,
# after the others were added.
# Ours: orchestrator/results/optuna_journal.py tells Optuna such ranges without their step.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv optuna==5.0.0 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.InMemoryStorage()
study = optuna.create_study(study_name="old", storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
study.optimize(lambda trial: trial.suggest_float("x", 0, 10000, step=0.0001), n_trials=300)
other, refused, said = optuna.create_study(), 0, None
for trial in study.trials:
    try:
        other.add_trial(trial)
    except ValueError as error:
        refused, said = refused + 1, error
print(f"add_trial refuses {refused} of {len(study.trials)} trials that Optuna drew itself; of the last one it says:")
print(f"  {said}")
if not refused:
    sys.exit("changed: every value that suggest_float draws is one of its distribution")
optuna.copy_study(from_study_name="old", from_storage=storage, to_storage=storage, to_study_name="new")
copied = len(optuna.load_study(study_name="new", storage=storage).trials)
print(f"copy_study copies {copied} of them")
if copied != len(study.trials):
    sys.exit("changed: copy_study refuses them as well")
PYTHON
