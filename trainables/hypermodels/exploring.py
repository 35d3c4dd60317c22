"""Finds the space of a define-by-run build: its parameters, and the values of others under which each is asked for.

A build is a function of the values that it is given. From one call, each parameter in it is varied by itself; what
then is asked for, and no longer asked for, shows what depends on it. Calls that ask for new parameters are varied
likewise, until none is new. Random variants of the space found are then built as a check: a build that asks for more
loosens conditions. So a variant always has a value for all that its build asks for; where conditions cannot be said as
`when`, such as "a is 1 or b is 2", it may have a value that its build leaves alone, as all have in Keras Tuner.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search_spaces import Choice, Domain, Fixed, Float, Parameter, SearchSpace
from trainables.errors import UserCodeError
from trainables.hypermodels.asked import Asked, Trace, domain_of

#: The most calls of a build, and the seconds that they may take together.
MAX_BUILDS, MAX_SECONDS = 2000, 900.0
#: Variants that are built as a check, and the seconds after which there are no more of them.
NUM_CHECKS, CHECK_SECONDS = 24, 60.0
#: A range of at most so many values is tried in full; a larger one at its ends and in the middle.
_FEW = 12
#: A range of at most so many values is tried in full if what is asked for depends on it.
_MANY = 200
_FAMILY = "family"

Build = Callable[[Mapping[str, Any]], Trace]
Conditions = dict[str, dict[str, list[Any]]]


@dataclass(slots=True)
class Explorer:
    """The exploration of one build.

    Args:
        build: Calls the build with values, for the parameters without one with their defaults.
        clock: Returns seconds.
    """

    build: Build
    clock: Callable[[], float] = time.monotonic
    #: What was asked for first by each name that was active, in the order found.
    _found: dict[str, Asked] = field(default_factory=dict)
    _domains: dict[str, Domain] = field(default_factory=dict)
    _when: Conditions = field(default_factory=dict)
    _traces: list[Trace] = field(default_factory=list)
    _by_values: dict[str, Trace] = field(default_factory=dict)
    #: Values that explicit scopes name, by parent.
    _named: dict[str, list[Any]] = field(default_factory=dict)
    _started: float = 0.0

    def explore(self) -> SearchSpace:
        """Returns the space, of a family without a name.

        Raises:
            UserCodeError: The space cannot be said in a study file, or is too large to find; the message says why.
        """
        self._started = self.clock()
        first = self._called({})
        if first.error:
            raise UserCodeError(first.error)
        self._refuse_chance(first)
        self._vary(first)
        while (base := self._next_base()) is not None:
            self._vary(base)
        self._check()
        return self.space()

    def space(self) -> SearchSpace:
        """Returns what is found so far as a space."""
        when = {name: self._shortened(name) for name in self._found}
        parameters = [
            Parameter(name=name, domain=self._domains[name], when={p: tuple(v) for p, v in when[name].items()})
            for name in self._found
        ]
        return SearchSpace([Parameter(name=_FAMILY, domain=Fixed("found")), *parameters])

    def _called(self, values: Mapping[str, Any]) -> Trace:
        key = repr(sorted(values.items()))
        if key not in self._by_values:
            seconds = self.clock() - self._started
            if len(self._traces) >= MAX_BUILDS or seconds > MAX_SECONDS:
                raise UserCodeError(
                    f"its space is not found after {len(self._traces):,} calls in {seconds:.0f} s, with "
                    f"{len(self._found)} parameters so far; use fewer of them, or smaller ranges where a loop or an if "
                    "depends on them"
                )
            trace = self.build(values)
            self._by_values[key] = trace
            self._traces.append(trace)
            self._note(trace)
        return self._by_values[key]

    def _note(self, trace: Trace) -> None:
        """Takes over what is new in a trace; refuses what does not fit what was there."""
        for asked in trace.asked:
            for parent, values in asked.conditions:
                named = self._named.setdefault(parent, [])
                named += [value for value in values if value not in named]
            known = self._found.get(asked.name)
            if known is not None:
                _refuse_another(known, asked)
            elif asked.is_active:
                domain, problem = domain_of(asked.entry)
                if asked.name == _FAMILY:
                    domain, problem = None, "a space has its families under this name; rename it"
                if domain is None:
                    raise UserCodeError(f"{asked.place}: hp.{asked.text}: {problem}")
                self._found[asked.name], self._domains[asked.name] = asked, domain

    def _refuse_chance(self, first: Trace) -> None:
        again = self.build(first.values)
        before, now = ([asked.given for asked in trace.asked] for trace in (first, again))
        if before != now:
            raise UserCodeError(
                f"the same values lead to other parameters at each call, first {', '.join(before)} and then "
                f"{', '.join(now)}; ask for parameters by the values of others alone, not by chance, time or files"
            )

    def _vary(self, base: Trace) -> None:
        """Varies each parameter of a trace by itself, and notes on what the others depend."""
        names = list(base.values)
        effects: dict[str, list[tuple[Any, Trace]]] = {}
        for name in names:
            effects[name] = self._variations(base, name)
        for position, name in enumerate(names):
            conditions: dict[str, list[Any]] = {}
            for parent in names[:position]:
                allowed = [base.values[parent]]
                missing = False
                for value, trace in effects[parent]:
                    if name in trace.values:
                        allowed.append(value)
                    elif not trace.error:
                        missing = True
                if missing and self._is_countable(parent):
                    conditions[parent] = self._in_order(parent, allowed)
            self._loosen(name, conditions)

    def _variations(self, base: Trace, name: str) -> list[tuple[Any, Trace]]:
        """Returns (value, trace) for the values of one parameter that are tried, without its own in the base."""
        domain = self._domains[name]
        tried = [(value, self._called({**base.values, name: value})) for value in self._probes(name, domain)]
        size = domain.size
        has_effect = any(trace.values.keys() != base.values.keys() for _, trace in tried if not trace.error)
        if has_effect and size is not None and len(tried) < size <= _MANY:
            values = [domain.at(index) for index in range(size)]
            tried = [(value, self._called({**base.values, name: value})) for value in values]
        own = repr(base.values[name])
        return [(value, trace) for value, trace in tried if repr(value) != own]

    def _probes(self, name: str, domain: Domain) -> list[Any]:
        if isinstance(domain, Choice | Fixed) or (domain.size is not None and domain.size <= _FEW):
            return [domain.at(index) for index in range(domain.size or 0)]
        named = [domain.normalise(value) for value in self._named.get(name, ()) if domain.contains(value)]
        if domain.size is None:
            ends = [domain.low, (domain.low + domain.high) / 2, domain.high]
        else:
            ends = [domain.at(index) for index in (0, 1, domain.size // 2, domain.size - 1)]
        return list(dict.fromkeys([*ends, *named]))

    def _is_countable(self, name: str) -> bool:
        domain = self._domains[name]
        return domain.size is not None and domain.size <= _MANY

    def _in_order(self, name: str, values: Sequence[Any]) -> list[Any]:
        domain = self._domains[name]
        wanted = {repr(domain.normalise(value)) for value in values if domain.contains(value)}
        return [value for index in range(domain.size or 0) if repr(value := domain.at(index)) in wanted]

    def _loosen(self, name: str, conditions: Mapping[str, list[Any]]) -> None:
        """Lets a parameter be active wherever it was already, and under these conditions."""
        known = self._when.get(name)
        if known is None:
            self._when[name] = dict(conditions)
            return
        self._when[name] = {
            parent: self._in_order(parent, [*known[parent], *conditions[parent]])
            for parent in known
            if parent in conditions
        }

    def _next_base(self) -> Trace | None:
        """Returns a trace to vary: of those with parameters that no base has had yet, the one with the most."""
        waiting = self._found.keys() - self._when.keys()
        if waiting:
            return max(self._traces, key=lambda trace: len(waiting & trace.values.keys()))
        return self._opened_scope() or self._contradiction()

    def _opened_scope(self) -> Trace | None:
        """Returns a trace inside explicit scopes that were closed until now: they may need several values at once."""
        for trace in list(self._traces):
            for asked in trace.asked:
                if asked.name in self._found or not all(self._can_be(*condition) for condition in asked.conditions):
                    continue
                opened = self._called({**trace.values, **{parent: values[0] for parent, values in asked.conditions}})
                if asked.name in opened.values:
                    return opened
        return None

    def _can_be(self, name: str, values: Sequence[Any]) -> bool:
        return name in self._domains and self._domains[name].contains(values[0])

    def _contradiction(self) -> Trace | None:
        """Returns a trace that asked for more than the space has under its values."""
        space = self.space()
        for trace in self._traces:
            active = space.active({_FAMILY: "found", **trace.values})
            if missing := [name for name in trace.values if name not in active]:
                self._vary(trace)
                for name in missing:
                    # Where varying by itself did not explain it, the parameter is active everywhere.
                    if name not in self.space().active({_FAMILY: "found", **trace.values}):
                        self._when[name] = {}
                return trace
        return None

    def _check(self) -> None:
        generator = np.random.default_rng(0)
        began = self.clock()
        for _ in range(NUM_CHECKS):
            if self.clock() - began > CHECK_SECONDS:
                return
            self._called(self._random(generator))
            while (base := self._next_base()) is not None:
                self._vary(base)

    def _random(self, generator: np.random.Generator) -> dict[str, Any]:
        """Returns the values of a random variant."""
        space = self.space()
        values: dict[str, Any] = {_FAMILY: "found"}
        for parameter in space.parameters[1:]:
            if space.is_active(parameter.name, values):
                values[parameter.name] = _drawn(parameter.domain, generator)
        del values[_FAMILY]
        return values

    def _shortened(self, name: str) -> dict[str, list[Any]]:
        """Returns the conditions of a parameter without those that one of its parents has as well."""
        earlier = list(self._found)[: list(self._found).index(name)]
        when = {parent: values for parent, values in self._when.get(name, {}).items() if parent in earlier}
        return {
            parent: values
            for parent, values in when.items()
            if not any(
                other != parent and parent in inherited and set(map(repr, inherited[parent])) <= set(map(repr, values))
                for other in when
                for inherited in [self._when.get(other, {})]
            )
        }


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
