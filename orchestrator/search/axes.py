"""Which parameters of a space are axes of it, and which of these have an order."""

from typing import TypeGuard

from search_spaces import Choice, Domain


def varies(domain: Domain) -> bool:
    """Returns whether a domain has more than one value."""
    return domain.size is None or domain.size > 1


def is_ordered(domain: Domain) -> bool:
    """Returns whether neighbours on a domain's axis are neighbours in value: numbers are, named options are not."""
    return not isinstance(domain, Choice) or all(is_number(option) for option in domain.options)


def is_number(value: object) -> TypeGuard[int | float]:
    """Returns whether a value is a number, which True is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
