"""Reads the `space` section of a study file into a SearchSpace and writes it back.

The section is the name of a built-in space, a change to one, or a space of its own:

    space: cnn-small
    space: {base: cnn-small, params: {filters: 16}}
    space: {family: sequential, params: {filters: {choice: [8, 16]}}}

An entry of `params` that changes a built-in parameter replaces its domain; the built-in condition stays unless
the entry has a `when` of its own. The parser drops built-in parameters that can never be active any more:
with `optimizer: adam`, it drops `momentum`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from search_spaces.builtin import builtin_names, builtin_text
from search_spaces.conditions import condition_problems
from search_spaces.declarations import declaration, parse_condition, parse_domain
from search_spaces.domains import Domain
from search_spaces.domains.values import Value
from search_spaces.limits import parse_limits
from search_spaces.naming import FAMILY, family_problems, name_problems
from search_spaces.problems import Problem, SpaceError, nearest, space_error
from search_spaces.space import Parameter, SearchSpace

KEYS = ("base", "family", "params", "limits")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A space section with its base merged in, not yet parsed."""

    #: The family's entry; None when missing.
    family: object
    #: Entries by parameter name, all names good.
    params: Mapping[str, object]
    #: The entry of the limits, not yet parsed.
    limits: object
    #: The built-in space that it changes; empty without one.
    base: str
    #: Parameters taken from the base as they are.
    untouched: frozenset[str]
    #: Parameters with a domain of their own and the condition of the base.
    half_inherited: frozenset[str]


def parse_space(
    raw: object, path: str = "space", *, inherited: Mapping[str, object] | None = None
) -> tuple[SearchSpace | None, list[Problem]]:
    """Returns the space that a section declares, or None and every problem it has.

    >>> space, problems = parse_space({"family": "sequential", "params": {"filters": {"int": [16, 8]}}})
    >>> print(space, *problems)
    None space.params.filters.int: the low end must not exceed the high end, got [16, 8]; swap the ends

    Args:
        inherited: Entries of parameters that the section changes as it changes a built-in space's.
    """
    section, problems = _read_section(raw, path=path, inherited=inherited or {})
    if section is None:
        return None, problems
    entries = {FAMILY: section.family, **section.params}
    domains: dict[str, Domain | None] = {}
    for name, entry in entries.items():
        where = f"{path}.{FAMILY}" if name == FAMILY else f"{path}.params.{name}"
        domains[name], found = parse_domain(entry, path=where)
        problems += found
    problems += _family_problems(section.family, domains[FAMILY], path=path)
    conditions: dict[str, dict[str, tuple[Value, ...]]] = {}
    for name, entry in section.params.items():
        raw_condition = entry.get("when", {}) if isinstance(entry, Mapping) else {}
        where = f"{path}.params.{name}.when"
        conditions[name], found = parse_condition(raw_condition, domains=domains, path=where)
        problems += found
    limits, found = parse_limits(section.limits, path=f"{path}.limits")
    problems += found
    _drop_unreachable(domains, conditions, names=section.untouched)
    found = condition_problems(domains, conditions, path=path)
    problems += [_explained(problem, section.half_inherited, path=path) for problem in found]
    if problems:
        return None, problems
    return SearchSpace(
        tuple(
            Parameter(name=name, domain=domain, when=conditions.get(name, {}))
            for name, domain in domains.items()
            if domain is not None
        ),
        limits,
        section.base,
    ), []


def space_from_mapping(raw: object) -> SearchSpace:
    """Returns the space that a section declares; `raw` may also be the name of a built-in space.

    >>> space_from_mapping("cnn-small").families
    ('sequential',)

    Raises:
        SpaceError: If the section has a problem; lists every problem with its path.
    """
    space, problems = parse_space(raw)
    if space is None:
        raise space_error(problems)
    return space


def space_to_mapping(space: SearchSpace) -> dict[str, object]:
    """Returns the section that declares the space, in plain types; `space_from_mapping` reads it back.

    >>> space_to_mapping(space_from_mapping({"family": "sequential", "params": {"filters": {"int": [8, 64]}}}))
    {'family': 'sequential', 'params': {'filters': {'int': [8, 64]}}}
    """
    domains = {parameter.name: parameter.domain for parameter in space.parameters}
    family, *params = (declaration(parameter, domains=domains) for parameter in space.parameters)
    limits: dict[str, object] = {"limits": dict(space.limits)} if space.limits else {}
    return {FAMILY: family, "params": dict(zip(space.names[1:], params, strict=True)), **limits}


def _read_section(raw: object, *, path: str, inherited: Mapping[str, object]) -> tuple[_Section | None, list[Problem]]:
    base_path = path if isinstance(raw, str) else f"{path}.base"
    if isinstance(raw, str):
        raw = {"base": raw}
    if not isinstance(raw, Mapping):
        built_in = ", ".join(builtin_names())
        message = f"expected a built-in space ({built_in}) or a mapping of {', '.join(KEYS)}, got {raw!r}"
        return None, [Problem(path=path, message=message)]
    problems = [
        Problem(path=f"{path}.{key}", message=f"unknown key; known are {', '.join(KEYS)}{nearest(key, KEYS)}")
        for key in raw
        if key not in KEYS
    ]
    base: Mapping[str, Any] = {"params": inherited}
    if "base" in raw:
        try:
            base = yaml.safe_load(builtin_text(raw["base"]))
        except SpaceError as error:
            return None, [*problems, Problem(path=base_path, message=str(error))]
    own = {} if raw.get("params") is None else raw["params"]
    if not isinstance(own, Mapping):
        message = f"expected a mapping of parameter names to domains, got {own!r}"
        problems.append(Problem(path=f"{path}.params", message=message))
        own = {}
    problems += name_problems(list(own), path=path)
    section = _merged(base, own, family=raw.get("family", base.get("family")))
    limits = raw.get("limits", base.get("limits", {}))
    return replace(section, limits=limits, base=str(raw.get("base", ""))), problems


def _merged(base: Mapping[str, Any], own: Mapping[object, object], *, family: object) -> _Section:
    inherited: Mapping[str, object] = base.get("params", {})
    entries: dict[str, object] = dict(inherited)
    half_inherited: set[str] = set()
    for name, entry in own.items():
        if not isinstance(name, str) or name_problems([name], path=""):
            continue
        condition = _condition_of(inherited.get(name))
        if condition is not None and _condition_of(entry) is None:
            domain = entry if isinstance(entry, Mapping) else {"fixed": entry}
            entries[name] = {**domain, "when": condition}
            half_inherited.add(name)
        else:
            entries[name] = entry
    untouched = frozenset(inherited) - {name for name in own if isinstance(name, str)}
    return _Section(
        family=family, params=entries, limits={}, base="", untouched=untouched, half_inherited=frozenset(half_inherited)
    )


def _condition_of(entry: object) -> object:
    return entry.get("when") if isinstance(entry, Mapping) else None


def _family_problems(entry: object, domain: Domain | None, *, path: str) -> list[Problem]:
    if entry is None:
        message = "expected the name of a family, got nothing; write family: sequential"
        return [Problem(path=f"{path}.{FAMILY}", message=message)]
    problems = family_problems(domain, path=path) if domain is not None else []
    if _condition_of(entry) is not None:
        message = f"the family is always active, got {_condition_of(entry)!r}; drop the condition"
        problems.append(Problem(path=f"{path}.{FAMILY}.when", message=message))
    return problems


def _drop_unreachable(
    domains: dict[str, Domain | None], conditions: dict[str, dict[str, tuple[Value, ...]]], *, names: frozenset[str]
) -> None:
    """Drops the named parameters that can no longer be active, and the values in conditions that no parent can have."""
    remaining = [name for name in domains if name in names]
    # As many passes as names: each may make the next unreachable, in whatever order they stand.
    for name in remaining * len(remaining):
        if name not in domains:
            continue
        for parent, values in conditions[name].items():
            domain = domains.get(parent)
            is_wrong = parent in domains and domain is None
            conditions[name][parent] = tuple(v for v in values if is_wrong or (domain and domain.contains(v)))
        if not all(conditions[name].values()):
            del domains[name], conditions[name]


def _explained(problem: Problem, half_inherited: frozenset[str], *, path: str) -> Problem:
    if not any(problem.path.startswith(f"{path}.params.{name}.when") for name in half_inherited):
        return problem
    return Problem(path=problem.path, message=f"{problem.message} (it comes from the base; when: {{}} drops it)")
