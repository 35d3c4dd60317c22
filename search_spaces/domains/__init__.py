"""Defines the domains that a parameter's value is chosen from: Float, Int, Choice and Fixed.

All four have the same methods:

    contains(value)    whether the parameter may take it
    normalise(value)   the one form of it, so that equal choices have equal ids
    size               how many values there are; None when uncountable (a Float without step)
    at(index)          the value at an index from 0 to size - 1
    values()           all values: numbers ascending, options in the order they were given

`str(domain)` describes the expected values, for messages.
"""

from search_spaces.domains.choices import Choice, Fixed
from search_spaces.domains.ranges import Float, Int

__all__ = ["Choice", "Domain", "Fixed", "Float", "Int"]

Domain = Float | Int | Choice | Fixed
