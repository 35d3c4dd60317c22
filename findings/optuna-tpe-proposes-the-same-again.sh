#!/usr/bin/env bash
# Optuna's TPE proposes combinations that it has tried already, though most of the space is untried.
#
# One would guess: a search over 64 combinations does not spend trials on one whose value it knows.
# What happens: TPE draws from a density and never looks whether a point is new; of 40 trials about a quarter repeat others.
# Who is hurt: searches over choices and whole numbers where a trial is expensive and repeatable, such as a training
# with a fixed seed: it is done again for the same result.
# Ours: orchestrator/search/algorithms/proposer.py draws again until a variant is new, and then walks through the untried ones.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv optuna==5.0.0
quietly python - <<'PYTHON'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def num_repeated(seed):
    tried = []

    def objective(trial):
        values = tuple(trial.suggest_categorical(name, [1, 2, 3, 4]) for name in "abc")
        tried.append(values)
        return abs(values[0] - 2) + abs(values[1] - 3) + values[2]

    optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)).optimize(objective, n_trials=40)
    return len(tried) - len(set(tried))


repeated = [num_repeated(seed) for seed in range(5)]
print("of 40 trials over 64 combinations, repeated ones (five seeds):", repeated)
if not any(repeated):
    sys.exit("changed: TPE repeats no combination any more")
PYTHON
