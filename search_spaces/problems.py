"""Defines a problem of a space with its path, and the error that lists problems."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem at one place.

    >>> print(Problem(path="space.params.filters.int", message="expected two ends, got [8]"))
    space.params.filters.int: expected two ends, got [8]
    """

    #: Where it is: the keys from the top of the study file, joined by dots.
    path: str
    #: What was received, what is expected and how to fix it; never contains a newline.
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SpaceError(ValueError):
    """A space, or the values chosen from it, cannot be used; the message has one problem a line."""


def space_error(problems: Iterable[Problem]) -> SpaceError:
    """Returns one error that lists all the problems, one a line."""
    return SpaceError("\n".join(str(problem) for problem in problems))


def nearest(name: object, known: Iterable[str], *, alike: float = 0.6) -> str:
    """Returns a suggestion to append to a message; empty if no known name is close.

    >>> nearest("learning_rat", ["learning_rate", "momentum"])
    "; did you mean 'learning_rate'?"
    >>> nearest("zebra", ["learning_rate", "momentum"])
    ''

    Args:
        alike: From 0 to 1, how close counts as close.
    """
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=alike)
    return f"; did you mean {close[0]!r}?" if close else ""
