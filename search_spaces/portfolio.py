"""Variants that are worth trying first, from the YAML files of `portfolios/`, one for a built-in space."""

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import yaml

from search_spaces.builtin import builtin_names
from search_spaces.domains import Choice, Domain, Fixed, Float, Int
from search_spaces.naming import FAMILY
from search_spaces.parsing import space_from_mapping
from search_spaces.problems import SpaceError
from search_spaces.space import SearchSpace


def portfolio_of(space: SearchSpace, *, num_train: int) -> list[dict[str, Any]]:
    """Returns the values of the variants to try first, those for so many training images.

    A space of a user's own has those of the built-in space whose family it shares, with what is fixed in that one.
    Numbers that a space does not have move to its nearest one; a variant with another value that the space does not
    have is left out, and so is one that became another's equal.

    >>> narrowed = space_from_mapping({"base": "cnn-small", "params": {"filters": 24, "head": "flatten"}})
    >>> {(values["filters"], values["head"]) for values in portfolio_of(narrowed, num_train=200)}
    {(24, 'flatten')}
    >>> own = {"family": "sequential", "params": {"kernel_size": {"int": [2, 5]}, "batch_size": 32}}
    >>> portfolio_of(space_from_mapping(own), num_train=200)
    [{'family': 'sequential', 'kernel_size': 3, 'batch_size': 32}]

    Args:
        space: For one whose families have no portfolio, and one that began as a built-in space without, there is none.
        num_train: The training images; nor is there one for more of them than were tried.
    """
    found: list[dict[str, Any]] = []
    for entry in _entries(space, num_train=num_train):
        values = _fitted(entry, space)
        if values is not None and not space.validate(values) and values not in found:
            found.append(values)
    return found


def _entries(space: SearchSpace, *, num_train: int) -> Iterator[Mapping[str, Any]]:
    folder = resources.files("search_spaces.portfolios")
    for name in [space.base] if space.base else builtin_names():
        file = folder.joinpath(f"{name}.yaml")
        if not file.is_file():
            continue
        sizes = yaml.safe_load(file.read_text(encoding="utf-8"))
        fitting = [size for size in sizes if num_train < size["below"]]
        fixed = {} if space.base else _fixed(space_from_mapping(name))
        if fitting and fixed.get(FAMILY) in (None, *space.families):
            yield from ({**fixed, **variant} for variant in fitting[0]["variants"])


def _fixed(space: SearchSpace) -> dict[str, Any]:
    return {item.name: item.domain.value for item in space.parameters if isinstance(item.domain, Fixed)}


def _fitted(entry: Mapping[str, Any], space: SearchSpace) -> dict[str, Any] | None:
    values: dict[str, Any] = {}
    for parameter in space.parameters:
        if not space.is_active(parameter.name, values):
            continue
        domain = parameter.domain
        if isinstance(domain, Fixed):
            values[parameter.name] = domain.value
            continue
        value = _nearest(domain, entry[parameter.name]) if parameter.name in entry else None
        if value is None:
            return None
        values[parameter.name] = value
    return values


def _nearest(domain: Domain, value: object) -> Any:
    """Returns a domain's value that equals another or, for numbers, is nearest to it; None without one."""
    try:
        return domain.normalise(value)
    except SpaceError:
        pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(domain, Choice):
        numbers = [item for item in domain.values() if isinstance(item, int | float) and not isinstance(item, bool)]
        return min(numbers, key=lambda item: abs(item - value), default=None)
    if isinstance(domain, Int | Float):
        return _nearest_in_range(domain, value)
    return None


def _nearest_in_range(domain: Int | Float, value: float) -> float | int:
    if domain.step is None:
        return min(max(value, domain.low), domain.high)
    index = round((min(max(value, domain.low), domain.high) - domain.low) / domain.step)
    return domain.at(min(index, (domain.size or 1) - 1))
