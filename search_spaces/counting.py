"""Counts the distinct variants of a space without listing them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import prod

from search_spaces.conditions import Condition
from search_spaces.domains import Domain
from search_spaces.domains.values import identity


def count_assignments(domains: Mapping[str, Domain], conditions: Mapping[str, Condition]) -> int | None:
    """Returns the number of distinct active assignments; None when a domain is uncountable.

    Parameters that no condition connects multiply. Within a connected group, the first parent is split by what
    its values do to its children: values with the same effect are counted together, so the work depends on
    the conditions and not on the number of values.

    Args:
        domains: By parameter name, parents before children.
        conditions: By parameter name, one for every parameter.
    """
    sizes = {name: domain.size for name, domain in domains.items()}
    if None in sizes.values():
        return None

    def count(names: Sequence[str]) -> int:
        return prod(count_group(group) for group in _connected(names, conditions))

    # Different branches leave the same groups: each is counted once.
    @cache
    def count_group(group: tuple[str, ...]) -> int:
        # Parents stand first and dead branches are already gone: the first of a group is active.
        first, *others = group
        if not others:
            return sizes[first] or 0
        effects = _effects(first, others, domain=domains[first], conditions=conditions)
        return sum(times * count(_alive(others, dead, conditions)) for dead, times in effects.items())

    return count(list(domains))


def _connected(names: Sequence[str], conditions: Mapping[str, Condition]) -> list[tuple[str, ...]]:
    """Returns the names in groups that no condition connects, each in the order given."""
    groups: list[tuple[str, ...]] = []
    for name in names:
        linked = [group for group in groups if any(parent in group for parent in conditions[name])]
        merged = {member for group in linked for member in group} | {name}
        groups = [group for group in groups if group not in linked]
        groups.append(tuple(member for member in names if member in merged))
    return groups


def _effects(
    parent: str, others: Iterable[str], *, domain: Domain, conditions: Mapping[str, Condition]
) -> Counter[frozenset[str]]:
    """Returns how many of the parent's values switch off each set of children."""
    wanted = {
        child: {identity(value) for value in conditions[child][parent]}
        for child in others
        if parent in conditions[child]
    }
    mentioned = set().union(*wanted.values())
    effects = Counter(frozenset(child for child in wanted if value not in wanted[child]) for value in mentioned)
    unmentioned = (domain.size or 0) - len(mentioned)
    if unmentioned:
        effects[frozenset(wanted)] += unmentioned
    return effects


def _alive(names: Sequence[str], dead: frozenset[str], conditions: Mapping[str, Condition]) -> list[str]:
    gone = set(dead)
    for name in names:
        if any(parent in gone for parent in conditions[name]):
            gone.add(name)
    return [name for name in names if name not in gone]
