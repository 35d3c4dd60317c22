"""Optuna's TPE sampler, set up for one study."""

import optuna

#: Random trials before the estimator of `tpe` has anything to learn from.
NUM_STARTUP_TRIALS = 8


def new_tpe_study(mode: str) -> optuna.Study:
    """Returns an empty Optuna study that minimises or maximises, as `mode` says: min or max."""
    direction = "maximize" if mode == "max" else "minimize"
    return optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=0))
