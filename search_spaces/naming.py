"""Checks the names of parameters and families, and gives the paths of messages about them."""

import re
from collections.abc import Sequence

from search_spaces.domains import Choice, Domain, Fixed
from search_spaces.problems import Problem

FAMILY = "family"
PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def name_problems(names: Sequence[object], *, path: str) -> list[Problem]:
    """Returns every problem in the names of a space's parameters, without the family."""
    problems: list[Problem] = []
    for name in dict.fromkeys(names):
        if name == FAMILY:
            message = "the family stands beside params, not in it; write it one level higher"
            problems.append(Problem(path=f"{path}.params.{FAMILY}", message=message))
        elif not isinstance(name, str) or not PARAMETER_NAME.fullmatch(name):
            yaml = "; YAML reads on, off, yes and no as true or false, so quote them" if isinstance(name, bool) else ""
            message = f"a parameter's name must be letters, digits and underscores, got {name!r}{yaml}"
            problems.append(Problem(path=f"{path}.params", message=message))
        elif list(names).count(name) > 1:
            message = "a parameter must be given once, got it twice or more; remove the repeats"
            problems.append(Problem(path=f"{path}.params.{name}", message=message))
    return problems


def family_problems(domain: Domain, *, path: str) -> list[Problem]:
    """Returns the problem if a domain does not name model families."""
    if isinstance(domain, Choice | Fixed) and all(isinstance(name, str) and name for name in domain.values()):
        return []
    message = f"expected the name of a family or a choice of names, got {domain}; write family: sequential"
    return [Problem(path=f"{path}.{FAMILY}", message=message)]


def declaration_path(name: object) -> str:
    """Returns the path at which a space declares a parameter."""
    return "space.family" if name == FAMILY else f"space.params.{name}"


def value_path(name: object) -> str:
    """Returns the path of a parameter's value in a variant."""
    return "variant.family" if name == FAMILY else f"variant.params.{name}"
