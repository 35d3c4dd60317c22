"""Every touch of Optuna's private parts, seen in Optuna 5.0."""

from collections.abc import Callable

import optuna


def choose_number_of_good_trials(sampler: optuna.samplers.TPESampler, num_good: Callable[[int], int]) -> None:
    """Lets a function say how many of so many trials the estimator takes for good ones.

    Optuna deprecates the argument of this purpose; tests of the proposer see it go.
    """
    sampler._gamma = num_good
