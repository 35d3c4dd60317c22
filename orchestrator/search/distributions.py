"""A search space as Optuna sees it: distributions, and values to and from what Optuna draws."""

from collections.abc import Mapping
from typing import Any

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

    def distribution(self, name: str) -> BaseDistribution:
        """Returns how Optuna sees a parameter that varies."""
        found = self._distributions[name]
        if found is None:
            raise KeyError(name)
        return found

    def suggest(self, asked: optuna.Trial) -> dict[str, Any]:
        """Returns values for the active parameters, parents before children."""
        values: dict[str, Any] = {}
        for parameter in self._space.parameters:
            if self._space.is_active(parameter.name, values):
                values[parameter.name] = self._suggest_one(asked, parameter)
        return values

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

    def _suggest_one(self, asked: optuna.Trial, parameter: Parameter) -> Any:
        distribution, name, domain = self._distributions[parameter.name], parameter.name, parameter.domain
        match distribution:
            case FloatDistribution():
                drawn = asked.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
                return domain.normalise(drawn)
            case IntDistribution(log=True):
                return asked.suggest_int(name, distribution.low, distribution.high, log=True)
            case IntDistribution():
                return domain.at(asked.suggest_int(name, distribution.low, distribution.high))
            case CategoricalDistribution():
                return domain.at(asked.suggest_categorical(name, distribution.choices))
            case _:
                return domain.at(0)


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
