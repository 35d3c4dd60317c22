"""What is known of a define-by-run build so far: its parameters, their domains, and when each is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search_spaces import Choice, Domain, Fixed, Float, Parameter, SearchSpace
from trainables.errors import UserCodeError
from trainables.hypermodels.asked import Asked, Trace, domain_of

#: A range of at most so many values is tried in full; a larger one at its ends and in the middle.
_FEW = 12
#: A range of at most so many values is tried in full if what is asked for depends on it.
MANY = 200
FAMILY = {"family": "found"}


@dataclass(slots=True)
class Findings:
    """The parameters found, in the order in which they were first asked for."""

    #: The first call of each name that was active.
    found: dict[str, Asked] = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=dict)
    #: By name and parent, the parent's values; a name is missing until its conditions were looked for.
    when: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    #: Values that explicit scopes name, by parent.
    _named: dict[str, list[Any]] = field(default_factory=dict)

    def note(self, trace: Trace) -> None:
        """Takes over what is new in a trace.

        Raises:
            UserCodeError: A parameter cannot be one of a space, or is not what it was before.
        """
        for asked in trace.asked:
            for parent, values in asked.conditions:
                named = self._named.setdefault(parent, [])
                named += [value for value in values if value not in named]
            known = self.found.get(asked.name)
            if known is not None:
                _refuse_another(known, asked)
            elif asked.is_active:
                self.found[asked.name], self.domains[asked.name] = asked, _domain(asked)

    def loosen(self, name: str, conditions: Mapping[str, list[Any]]) -> None:
        """Lets a parameter be active wherever it was already, and under these conditions."""
        known = self.when.get(name)
        if known is None:
            self.when[name] = dict(conditions)
            return
        self.when[name] = {
            parent: self.in_order(parent, [*known[parent], *conditions[parent]])
            for parent in known
            if parent in conditions
        }

    def space(self) -> SearchSpace:
        """Returns what is found so far as a space, of a family without a name."""
        parameters = [
            Parameter(
                name=name,
                domain=self.domains[name],
                when={parent: tuple(values) for parent, values in self._shortened(name).items()},
            )
            for name in self.found
        ]
        return SearchSpace([Parameter(name="family", domain=Fixed(FAMILY["family"])), *parameters])

    def missing(self, trace: Trace) -> list[str]:
        """Returns the parameters that a trace asked for and that the space does not have under its values."""
        active = self.space().active({**FAMILY, **trace.values})
        return [name for name in trace.values if name not in active]

    def probes(self, name: str) -> list[Any]:
        """Returns the values of a parameter that are tried."""
        domain = self.domains[name]
        if isinstance(domain, Choice | Fixed) or (domain.size is not None and domain.size <= _FEW):
            return [domain.at(index) for index in range(domain.size or 0)]
        named = [domain.normalise(value) for value in self._named.get(name, ()) if domain.contains(value)]
        if domain.size is None:
            ends: list[Any] = [domain.low, (domain.low + domain.high) / 2, domain.high]
        else:
            ends = [domain.at(index) for index in (0, 1, domain.size // 2, domain.size - 1)]
        return list(dict.fromkeys([*ends, *named]))

    def is_countable(self, name: str) -> bool:
        """Returns whether conditions may list a parameter's values."""
        size = self.domains[name].size
        return size is not None and size <= MANY

    def in_order(self, name: str, values: Sequence[Any]) -> list[Any]:
        """Returns values of a countable parameter in the order of its domain, each once."""
        domain = self.domains[name]
        wanted = {repr(domain.normalise(value)) for value in values if domain.contains(value)}
        return [value for index in range(domain.size or 0) if repr(value := domain.at(index)) in wanted]

    def random(self, generator: np.random.Generator) -> dict[str, Any]:
        """Returns the values of a random variant."""
        space = self.space()
        values: dict[str, Any] = dict(FAMILY)
        for parameter in space.parameters[1:]:
            if space.is_active(parameter.name, values):
                values[parameter.name] = _drawn(parameter.domain, generator)
        return {name: value for name, value in values.items() if name not in FAMILY}

    def _shortened(self, name: str) -> dict[str, list[Any]]:
        """Returns the conditions of a parameter without those that one of its parents has as well."""
        earlier = list(self.found)[: list(self.found).index(name)]
        when = {parent: values for parent, values in self.when.get(name, {}).items() if parent in earlier}
        return {
            parent: values
            for parent, values in when.items()
            if not any(
                other != parent and parent in inherited and set(map(repr, inherited[parent])) <= set(map(repr, values))
                for other in when
                for inherited in [self.when.get(other, {})]
            )
        }


def _domain(asked: Asked) -> Domain:
    domain, problem = domain_of(asked.entry)
    if asked.name in FAMILY:
        domain, problem = None, "a space has its families under this name; rename it"
    if domain is None:
        raise UserCodeError(f"{asked.place}: hp.{asked.text}: {problem}")
    return domain


def _drawn(domain: Domain, generator: np.random.Generator) -> Any:
    if domain.size is not None:
        return domain.at(int(generator.integers(domain.size)))
    return float(generator.uniform(domain.low, domain.high)) if isinstance(domain, Float) else None


def _refuse_another(known: Asked, asked: Asked) -> None:
    """Raises UserCodeError if two calls of one name are not of one parameter."""
    if known.given != asked.given:
        raise UserCodeError(
            f"{asked.place}: hp.{asked.text}: a space has letters, digits and underscores in names, so that "
            f"{asked.given!r} and {known.given!r} ({known.place}) are both {asked.name!r}; rename one of them"
        )
    if repr(known.entry) == repr(asked.entry):
        return
    if known.place == asked.place:
        raise UserCodeError(
            f"{asked.place}: hp.{asked.text}: the range changes with other values, it was hp.{known.text} before, and "
            "Keras Tuner would keep the first; use one range, or a name for each"
        )
    raise UserCodeError(
        f"{asked.place}: hp.{asked.text}: {asked.given!r} is hp.{known.text} in {known.place}, and Keras Tuner would "
        "draw one value for both; give each a name of its own"
    )
