#!/usr/bin/env bash
# Optuna's TPE takes the pruned trial that came furthest for the best one, however bad its values are.
#
# One would guess: among pruned trials, those with better values at the same step rank higher.
# What happens: they are ordered by their last step first, and by value only within equal steps. A trial that was pruned at
# step 9 with 0.1 is "good", and ones pruned at step 1 with 0.8 are "bad": TPE then proposes near the former.
# Who is hurt: whoever reports a failed or diverged trial as pruned after some steps: it becomes the model to follow.
# Ours: orchestrator/search/algorithms/proposer.py tells steps and values of what was stopped, and none of what failed.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv optuna==5.0.0 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import numpy as np
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def proposal(seed, last_step):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    rng = np.random.default_rng(seed)
    for number in range(10):
        is_bad = number == 0
        study.enqueue_trial({"x": 0.9 if is_bad else rng.uniform(0, 0.5)})
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        for step in range(1, last_step + 1 if is_bad else 2):
            trial.report(0.1 if is_bad else 0.8, step)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return study.ask().suggest_float("x", 0, 1)


near = {last: np.mean([proposal(seed, last) > 0.75 for seed in range(20)]) for last in (1, 9)}
for last, share in near.items():
    print(f"bad trial (0.1, others 0.8) at x=0.9 pruned at step {last}, others at 1: {share:.0%} of proposals near it")
if near[9] - near[1] < 0.3:
    sys.exit("changed: how far a pruned trial came does not outweigh its value any more")
PYTHON
