"""Which parameters of a space are axes of it, and which of these have an order."""

from typing import TypeGuard

from search_spaces.domains import Choice, Domain
from search_spaces.space import SearchSpace


def varies(domain: Domain) -> bool:
    """Returns whether a domain has more than one value."""
    return domain.size is None or domain.size > 1


def drawn_together(space: SearchSpace) -> list[str]:
    """Returns the parameters that are numbers and active in every variant: those with a distribution in common.

    >>> from search_spaces import space_from_mapping
    >>> drawn_together(space_from_mapping({"family": "sequential", "params": {
    ...     "filters": {"choice": [8, 16]}, "optimizer": {"choice": ["adam", "sgd"]},
    ...     "momentum": {"float": [0, 1], "when": {"optimizer": "sgd"}}}}))
    ['filters']
    """
    return [
        item.name
        for item in space.parameters
        if varies(item.domain) and is_ordered(item.domain) and not item.when and item.name != "family"
    ]


def is_ordered(domain: Domain) -> bool:
    """Returns whether neighbours on a domain's axis are neighbours in value: numbers are, named options are not."""
    return not isinstance(domain, Choice) or all(is_number(option) for option in domain.options)


def is_number(value: object) -> TypeGuard[int | float]:
    """Returns whether a value is a number, which True is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
