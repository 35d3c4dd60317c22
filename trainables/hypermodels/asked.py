"""What one call of a `build(hp)` asked for: names, domains, places; no Keras Tuner."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces import Domain, Problem, SpaceError
from search_spaces.declarations import parse_domain
from search_spaces.domains.values import EXPONENT_NUMBER

#: The types of values that a space may hold.
_SCALARS = (str, bool, int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One parameter that a build asked for.

    Attributes:
        name: As a space has it: letters, digits and underscores.
        given: As the build has it.
        text: The call, such as `Int('units', 8, 64)`.
        entry: The domain as a study file declares it.
        default: The value that Keras Tuner would begin with.
        place: The user's file and line.
        conditions: Of explicit scopes: names of parents and the values that open the scope.
        is_active: Whether all of them held.
    """

    name: str
    given: str
    text: str
    entry: Mapping[str, Any]
    default: Any
    place: str
    conditions: tuple[tuple[str, tuple[Any, ...]], ...]
    is_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One call of a build.

    Attributes:
        asked: In the order of the calls.
        values: Of the active parameters, in the order in which they were first asked for.
        error: What the build raised, in words; empty if it returned.
    """

    asked: tuple[Asked, ...]
    values: Mapping[str, Any]
    error: str = ""


def name_of(given: str) -> str:
    """Returns the name that a space has for one of Keras Tuner's.

    >>> name_of("conv 1/filters"), name_of("2nd")
    ('conv_1_filters', '_2nd')
    """
    name = re.sub(r"\W", "_", given, flags=re.ASCII)
    return f"_{name}" if name[:1].isdigit() or not name else name


def domain_of(entry: Mapping[str, Any]) -> tuple[Domain | None, str]:
    """Returns the domain that an entry declares, or None and what is wrong with it.

    >>> domain_of({"int": [1, 4]})[0], domain_of({"choice": []})[1]
    (Int(low=1, high=4, log=False, step=None), 'expected at least one option, got []; name the values to choose from')
    """
    values = [*entry.get("choice", ()), *([entry["fixed"]] if "fixed" in entry else ())]
    for value in values:
        if isinstance(value, str) and EXPONENT_NUMBER.fullmatch(value):
            return None, f"a study file would read the text {value!r} as a number; use the number, or another text"
        if not isinstance(value, _SCALARS):
            return None, f"expected texts, numbers or booleans, got {value!r} of type {type(value).__name__}; use these"
    try:
        domain, problems = parse_domain(entry, path="")
    except SpaceError as error:
        return None, str(error)
    return domain, "; ".join(_message(problem) for problem in problems)


def _message(problem: Problem) -> str:
    return problem.message
