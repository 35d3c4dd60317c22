"""A search space as a cube: every parameter that varies is an axis from 0 to 1."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from search_spaces import Choice, Domain, Float, Int, SearchSpace, Value
from search_spaces.axes import is_number, varies

Array = np.ndarray


class UnitCube:
    """Translates between a space's values and points of a cube.

    Args:
        space: The study's.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        #: The parameters that are axes, in the space's order.
        self.names: tuple[str, ...] = tuple(item.name for item in space.parameters if varies(item.domain))
        self._axis_of = {name: axis for axis, name in enumerate(self.names)}

    def values_at(self, point: Sequence[float] | Array) -> dict[str, Any]:
        """Returns the values at a point, those of the active parameters, parents before children.

        Args:
            point: A number from 0 to 1 for each of `names`; those of inactive parameters count for nothing.
        """
        places = dict(zip(self.names, point, strict=True))
        values: dict[str, Any] = {}
        for parameter in self._space.parameters:
            if self._space.is_active(parameter.name, values):
                values[parameter.name] = value_at(parameter.domain, places.get(parameter.name, 0.0))
        return values

    def snapped(self, points: Array) -> Array:
        """Returns the points of the values at points: the middle of a value's share, NaN where a parameter is inactive.

        Args:
            points: Numbers from 0 to 1, (count, axes).
        """
        found, is_active = np.array(points, float), {}
        for parameter in self._space.parameters:
            name = parameter.name
            is_active[name] = np.ones(len(found), bool)
            for parent, wanted in parameter.when.items():
                is_active[name] &= is_active[parent] & self._holds(parent, found, wanted=wanted)
            if name in self._axis_of:
                axis = self._axis_of[name]
                found[:, axis] = np.where(is_active[name], _snapped(parameter.domain, found[:, axis]), np.nan)
        return found

    def point_of(self, values: Mapping[str, Any]) -> Array:
        """Returns the point of values, NaN where a parameter is inactive."""
        domains = ((name, self._space.parameter(name).domain) for name in self.names)
        return np.array([place_of(domain, values[name]) if name in values else math.nan for name, domain in domains])

    def _holds(self, parent: str, snapped: Array, *, wanted: Iterable[Value]) -> Array | bool:
        """Returns at which points a parent has one of the values that a condition names."""
        domain = self._space.parameter(parent).domain
        if parent not in self._axis_of:
            return any(domain.contains(value) for value in wanted)
        places = np.array([place_of(domain, value) for value in wanted])
        return np.isclose(snapped[:, self._axis_of[parent], None], places, atol=1e-9).any(axis=1)


def value_at(domain: Domain, place: float) -> Value:
    """Returns the value of a domain at a place on its axis; each of countable values has an equal share of the axis.

    >>> value_at(Float(0, 10), 0.25), value_at(Int(1, 4), 0.99), value_at(Choice(["relu", "elu"]), 0.6)
    (2.5, 4, 'elu')
    >>> value_at(Choice([64, 8, 16]), 0.0), round(value_at(Float(1e-4, 1e-2, log=True), 0.5), 6)
    (8, 0.001)
    """
    match domain:
        case Float(low=low, high=high, log=True) if domain.size is None:
            return domain.normalise(min(max(low * (high / low) ** place, low), high))
        case Float(low=low, high=high) if domain.size is None:
            return domain.normalise(min(max(low * (1 - place) + high * place, low), high))
        case Int(low=low, high=high, log=True) if (high + 1) / low > 1:
            return max(low, min(int(low * ((high + 1) / low) ** place), high))
        case Choice():
            return domain.at(_order(domain)[_index(place, size=domain.size)])
        case _:
            return domain.at(_index(place, size=domain.size or 1))


def place_of(domain: Domain, value: Any) -> float:
    """Returns the place of a value on its domain's axis, the middle of its share where it has one.

    >>> place_of(Float(0, 10), 2.5), place_of(Int(1, 4), 4), place_of(Choice([64, 8, 16, 32]), 8)
    (0.25, 0.875, 0.125)
    """
    match domain:
        case Float(low=low, high=high, log=True) if domain.size is None:
            return math.log(value / low) / math.log(high / low)
        case Float(low=low, high=high) if domain.size is None:
            return (value / 2 - low / 2) / (high / 2 - low / 2)
        case Int(low=low, high=high, log=True) if (high + 1) / low > 1:
            return (math.log(value / low) + math.log((value + 1) / low)) / 2 / math.log((high + 1) / low)
        case Choice():
            return (_order(domain).index(domain.index(value)) + 0.5) / domain.size
        case Float(low=low, step=step) | Int(low=low, step=step):
            return (round((value - low) / (step or 1)) + 0.5) / (domain.size or 1)
        case _:
            return 0.5


def width_of(domain: Domain, value: Any) -> float:
    """Returns how long a value's share of its domain's axis is; 0 for one of uncountable values.

    >>> width_of(Float(0, 10), 2.5), width_of(Int(1, 4), 4), round(width_of(Int(1, 3, log=True), 1), 6)
    (0.0, 0.25, 0.5)
    """
    match domain:
        case Int(low=low, high=high, log=True) if (high + 1) / low > 1:
            return math.log((value + 1) / value) / math.log((high + 1) / low)
        case _:
            return 1 / domain.size if domain.size else 0.0


def _snapped(domain: Domain, places: Array) -> Array:
    """Returns `place_of(domain, value_at(domain, place))` of places."""
    match domain:
        case Int(low=low, high=high, log=True) if (high + 1) / low > 1:
            values = np.clip(np.floor(low * ((high + 1) / low) ** places), low, high)
            return (np.log(values / low) + np.log((values + 1) / low)) / 2 / math.log((high + 1) / low)
        case _ if domain.size is None:
            return places
        case _:
            return (np.minimum(np.floor(places * domain.size), domain.size - 1) + 0.5) / domain.size


def _index(place: float, *, size: int) -> int:
    return min(int(place * size), size - 1)


def _order(domain: Choice) -> list[int]:
    """Returns the options' indices in the order of the axis: numbers ascend, others stay as they were given."""
    numbers = [option for option in domain.options if is_number(option)]
    if len(numbers) < domain.size:
        return list(range(domain.size))
    return [int(index) for index in np.argsort(numbers, kind="stable")]
