"""A search space as Optuna sees it: distributions, and values to and from what Optuna draws."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces import Choice, Float, Int, Parameter, SearchSpace


class EncodedSpace:
    """Translates between a space's values and Optuna's: positions instead of choices and steps.

    Args:
        space: The study's.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._distributions = {parameter.name: optuna_distribution(parameter) for parameter in space.parameters}
        varying = (name for name, found in self._distributions.items() if found is not None)
        #: The place of each parameter that varies in a row of numbers.
        self.columns = {name: at for at, name in enumerate(varying)}

    def distribution(self, name: str) -> BaseDistribution:
        """Returns how Optuna sees a parameter that varies."""
        found = self._distributions[name]
        if found is None:
            raise KeyError(name)
        return found

    def suggest(self, pick: Callable[[str, BaseDistribution], Any]) -> dict[str, Any]:
        """Returns values for the active parameters, parents before children.

        Args:
            pick: Returns Optuna's value of a parameter that varies.
        """
        values: dict[str, Any] = {}
        for parameter in self._space.parameters:
            if self._space.is_active(parameter.name, values):
                values[parameter.name] = self._value_of(parameter, pick)
        return values

    def random(self, *, seed: int) -> dict[str, Any]:
        """Returns random values for the active parameters, each from its domain alone."""
        study, nobody = optuna.create_study(), optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING)
        sampler = optuna.samplers.RandomSampler(seed=seed)
        return self.suggest(lambda name, found: sampler.sample_independent(study, nobody, name, found))

    def numbers(self, values: Mapping[str, Any]) -> np.ndarray:
        """Returns values as Optuna counts them, by column; NaN for an inactive parameter."""
        row = np.full(len(self.columns), np.nan)
        for name, value in self.encode(values).items():
            row[self.columns[name]] = self.distribution(name).to_internal_repr(value)
        return row

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns values as Optuna knows them."""
        encoded: dict[str, Any] = {}
        for name, value in values.items():
            distribution = self._distributions[name]
            match distribution, self._space.parameter(name).domain:
                case None, _:
                    continue
                case CategoricalDistribution(), Choice() as domain:
                    encoded[name] = domain.index(value)
                case IntDistribution(log=False), Float(low=low, step=step) | Int(low=low, step=step):
                    encoded[name] = round((value - low) / (step or 1))
                case _:
                    encoded[name] = value
        return encoded

    def _value_of(self, parameter: Parameter, pick: Callable[[str, BaseDistribution], Any]) -> Any:
        distribution, domain = self._distributions[parameter.name], parameter.domain
        if distribution is None:
            return domain.at(0)
        picked = pick(parameter.name, distribution)
        match distribution:
            case FloatDistribution():
                return domain.normalise(picked)
            case IntDistribution(log=True):
                return int(picked)
            case _:
                return domain.at(int(picked))


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
