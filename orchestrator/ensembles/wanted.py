"""What a user asks of an ensemble, and what is wrong with it; light enough for the command line."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.text import shown
from search_spaces import nearest
from trainables.specs.export import ENSEMBLE_METHODS, EnsembleMethod

#: Votes, or averaged weights, of an ensemble unless the user says otherwise.
USUAL_SIZE = 8
_LEAST_SIZE, _MOST_SIZE, _LONGEST_NUMBER = 2, 64, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedEnsemble:
    """What a user asks for.

    Attributes:
        method: greedy, soup or snapshot.
        size: How many votes are given, or how many weights are averaged, at most.
        formats: As `export.formats`.
    """

    method: EnsembleMethod
    size: int
    formats: Sequence[str]


def size_problem(value: object) -> str:
    """Returns what is wrong with the size of an ensemble; an empty text if nothing is.

    >>> size_problem("8"), size_problem(1)
    ('', 'must be a whole number from 2 to 64, got 1')

    Args:
        value: A number, or its text on a command line.
    """
    number = int(value[:_LONGEST_NUMBER]) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, int) and not isinstance(number, bool) and _LEAST_SIZE <= number <= _MOST_SIZE:
        return ""
    received = repr(value) if isinstance(value, str) else shown(value)
    return f"must be a whole number from {_LEAST_SIZE} to {_MOST_SIZE}, got {received}"


def method_problem(name: str) -> str:
    """Returns what is wrong with the name of a method; an empty text if nothing is.

    >>> method_problem("greedy"), method_problem("stew")
    ('', "must be one of greedy, soup, snapshot, got 'stew'")

    Args:
        name: As a user wrote it.
    """
    if name in ENSEMBLE_METHODS:
        return ""
    return f"must be one of {', '.join(ENSEMBLE_METHODS)}, got {name!r}{nearest(name, ENSEMBLE_METHODS)}"
