"""A parameter's domain as the distribution that Optuna draws from."""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces import Choice, Float, Int, Parameter


def optuna_distribution(parameter: Parameter) -> BaseDistribution | None:
    """Returns how Optuna sees a parameter; None for one that cannot vary."""
    match parameter.domain:
        case Choice(size=size) if size > 1:
            return CategoricalDistribution(tuple(range(size)))
        case Int(low=low, high=high, log=True) if low < high:
            return IntDistribution(low, high, log=True)
        case Int(size=size) if size > 1:
            # Counted in steps, so that every draw is a value of the domain.
            return IntDistribution(0, size - 1)
        case Float(low=low, high=high, log=log, size=None):
            return FloatDistribution(low, high, log=log)
        case Float(size=int() as size) if size > 1:
            return IntDistribution(0, size - 1)
        case _:
            return None
