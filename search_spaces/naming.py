"""What parameters and families may be called, and how messages point at them."""

import re
from collections.abc import Sequence

from search_spaces.domains import Choice, Domain, Fixed
from search_spaces.problems import Problem

FAMILY = "family"
PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def name_problems(names: Sequence[object], *, path: str) -> list[Problem]:
    """Returns what is wrong with the names of a space's parameters, the family not among them."""
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
    """Returns what keeps a domain from naming model families."""
    if isinstance(domain, Choice | Fixed) and all(isinstance(name, str) and name for name in domain.values()):
        return []
    message = f"expected the name of a family or a choice of names, got {domain}; write family: sequential"
    return [Problem(path=f"{path}.{FAMILY}", message=message)]


def declaration_path(name: object) -> str:
    """Returns where a space declares a parameter."""
    return "space.family" if name == FAMILY else f"space.params.{name}"


def value_path(name: object) -> str:
    """Returns where a variant has a parameter's value."""
    return "variant.family" if name == FAMILY else f"variant.params.{name}"
