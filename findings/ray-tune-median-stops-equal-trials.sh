#!/usr/bin/env bash
# Ray Tune's median rule stops a trial that reports the same numbers as all others.
#
# One would guess: MedianStoppingRule stops what is worse than the median of the others, so of trials that report equal
# numbers it stops none.
# What happens: it compares a trial's best value with the others' running means, and takes these without care for
# rounding: the mean of three values of 0.1 is 0.10000000000000002, and 0.1 is less. Of trials that report 0.1 at every
# epoch, each one after the first few is stopped at the third, as with every number whose threefold sum rounds up.
# Who is hurt: whoever has ten balanced classes and trials that start slowly: they all report an accuracy of 0.1 at first,
# and are stopped for it although none is worse than another.
# Ours: orchestrator/early_stopping/median.py keeps a mean between the lowest and the highest of its values.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0' numpy==2.4.6
quietly python - <<'PYTHON'
import sys

from ray.tune.schedulers import MedianStoppingRule, TrialScheduler


class Trial:
    def __init__(self, name):
        self.trial_id = self.name = name


class Controller:
    # The rule asks for trials that wait while it has too few to judge; none do.
    def get_trials(self):
        return []

    get_live_trials = get_trials


def stopped(value, num_epochs):
    """Returns, for each of six trials that run together and report one value, the epoch at which it is stopped."""
    rule = MedianStoppingRule(time_attr="epoch", metric="accuracy", mode="max", grace_period=1, min_samples_required=3)
    trials, controller = [Trial(f"trial {number}") for number in range(6)], Controller()
    found = dict.fromkeys(trials)
    for trial in trials:
        rule.on_trial_add(controller, trial)
    for epoch in range(1, num_epochs + 1):
        for trial in trials:
            result = {"epoch": epoch, "accuracy": value}
            if found[trial] is None and rule.on_trial_result(controller, trial, result) == TrialScheduler.STOP:
                found[trial] = epoch
    return list(found.values())


for value in (0.5, 0.1):
    print(f"six trials of accuracy {value} at epochs 1 to 3 are stopped at epochs {stopped(value, 3)}")
if any(stopped(0.5, 3)) or not any(stopped(0.1, 3)):
    sys.exit("changed: of equal trials none is stopped")
PYTHON
