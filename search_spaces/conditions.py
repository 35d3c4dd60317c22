"""Checks the conditions under which parameters are active, and orders parents before children."""

from collections.abc import Mapping, Sequence

from search_spaces.domains import Domain
from search_spaces.domains.values import Value
from search_spaces.problems import Problem, nearest

#: By parent: the values of it under which the parameter is active. All parents must agree.
Condition = Mapping[str, tuple[Value, ...]]


def condition_problems(
    domains: Mapping[str, Domain | None], conditions: Mapping[str, Condition], *, path: str
) -> list[Problem]:
    """Returns every problem in the conditions of a space's parameters.

    Args:
        domains: By parameter name; None where the domain itself is already known to be wrong.
        conditions: By parameter name; parameters without a condition may be left out.
    """
    problems: list[Problem] = []
    for name, condition in conditions.items():
        for parent, values in condition.items():
            where = f"{path}.params.{name}.when.{parent}"
            messages = _parent_messages(name, parent, values=values, domains=domains)
            problems += [Problem(path=where, message=message) for message in messages]
    for cycle in _cycles(conditions):
        circle = " -> ".join([*cycle, cycle[0]])
        message = f"the conditions go in a circle, {circle}; remove one of them"
        problems.append(Problem(path=f"{path}.params.{cycle[0]}.when", message=message))
    return problems


def parents_first(conditions: Mapping[str, Condition]) -> list[str]:
    """Returns the names so that every parent stands before its children, else in the order given.

    >>> parents_first({"momentum": {"optimizer": ("sgd",)}, "filters": {}, "optimizer": {}})
    ['filters', 'optimizer', 'momentum']

    Args:
        conditions: By parameter name, one for every parameter; without cycles and unknown parents.
    """
    ordered: dict[str, None] = {}
    waiting = list(conditions)
    while waiting:
        name = next(name for name in waiting if all(parent in ordered for parent in conditions[name]))
        ordered[name] = None
        waiting.remove(name)
    return list(ordered)


def _parent_messages(
    name: str, parent: str, *, values: Sequence[Value], domains: Mapping[str, Domain | None]
) -> list[str]:
    if parent == name:
        return [f"a parameter cannot depend on itself, got {parent!r}; name another parameter"]
    if parent not in domains:
        known = [other for other in domains if other != name]
        return [f"no parameter is called {parent!r}; name one of this space{nearest(parent, known)}"]
    if not values:
        return [f"expected at least one value of {parent}, got []; name the values, or drop the condition"]
    domain = domains[parent]
    if domain is None:
        return []
    return [
        f"expected a value that {parent} can have ({domain}), got {value!r}; correct it, or drop the condition"
        for value in values
        if not domain.contains(value)
    ]


def _cycles(conditions: Mapping[str, Condition]) -> list[list[str]]:
    """Returns the cycles of two or more parameters, each once, each from its first name in the order given."""
    found: dict[frozenset[str], list[str]] = {}
    for start in conditions:
        for cycle in _ways_back(start, conditions):
            found.setdefault(frozenset(cycle), cycle)
    return list(found.values())


def _ways_back(start: str, conditions: Mapping[str, Condition]) -> list[list[str]]:
    trails = [[start]]
    seen = {start}
    while trails:
        trail = trails.pop()
        for parent in conditions.get(trail[-1], {}):
            if parent == start and len(trail) > 1:
                return [trail]
            if parent not in seen:
                seen.add(parent)
                trails.append([*trail, parent])
    return []
