"""Finds the space of a define-by-run build: its parameters, and the values of others under which each is asked for.

A build is a function of the values that it is given. From one call, each parameter in it is varied by itself; what
then is asked for, and no longer asked for, shows what depends on it. Calls that ask for new parameters are varied
likewise, until none is new. Random variants of the space found are then built as a check: a build that asks for more
loosens conditions. So a variant always has a value for all that its build asks for; where conditions cannot be said as
`when`, such as "a is 1 or b is 2", it may have a value that its build leaves alone, as all have in Keras Tuner.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search_spaces import SearchSpace
from trainables.errors import UserCodeError
from trainables.hypermodels.asked import Trace
from trainables.hypermodels.findings import MANY, Findings

#: The most calls of a build, and the seconds that they may take together.
MAX_BUILDS, MAX_SECONDS = 2000, 900.0
#: Variants that are built as a check, and the seconds after which there are no more of them.
NUM_CHECKS, CHECK_SECONDS = 24, 60.0

Build = Callable[[Mapping[str, Any]], Trace]


@dataclass(slots=True)
class Explorer:
    """The exploration of one build.

    Args:
        build: Calls the build with values, for the parameters without one with their defaults.
        clock: Returns seconds.
    """

    build: Build
    clock: Callable[[], float] = time.monotonic
    _findings: Findings = field(default_factory=Findings)
    _traces: list[Trace] = field(default_factory=list)
    _by_values: dict[str, Trace] = field(default_factory=dict)
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
        self._vary_what_is_new()
        self._check()
        return self._findings.space()

    def _called(self, values: Mapping[str, Any]) -> Trace:
        key = repr(sorted(values.items()))
        if key not in self._by_values:
            seconds = self.clock() - self._started
            if len(self._traces) >= MAX_BUILDS or seconds > MAX_SECONDS:
                raise UserCodeError(
                    f"its space is not found after {len(self._traces):,} calls in {seconds:.0f} s, with "
                    f"{len(self._findings.found)} parameters so far; use fewer of them, or smaller ranges where a loop "
                    "or an if depends on them"
                )
            trace = self.build(values)
            self._by_values[key] = trace
            self._traces.append(trace)
            self._findings.note(trace)
        return self._by_values[key]

    def _refuse_chance(self, first: Trace) -> None:
        again = self.build(first.values)
        before, now = ([asked.given for asked in trace.asked] for trace in (first, again))
        if before != now:
            raise UserCodeError(
                f"the same values lead to other parameters at each call, first {', '.join(before)} and then "
                f"{', '.join(now)}; ask for parameters by the values of others alone, not by chance, time or files"
            )

    def _vary_what_is_new(self) -> None:
        while (base := self._next_base()) is not None:
            self._vary(base)

    def _vary(self, base: Trace) -> None:
        """Varies each parameter of a trace by itself, and notes on what the others depend."""
        names = list(base.values)
        effects = {name: self._variations(base, name) for name in names}
        for position, name in enumerate(names):
            conditions: dict[str, list[Any]] = {}
            for parent in names[:position]:
                is_missed = any(name not in trace.values and not trace.error for _, trace in effects[parent])
                if is_missed and self._findings.is_countable(parent):
                    others = [value for value, trace in effects[parent] if name in trace.values]
                    conditions[parent] = self._findings.in_order(parent, [base.values[parent], *others])
            self._findings.loosen(name, conditions)

    def _variations(self, base: Trace, name: str) -> list[tuple[Any, Trace]]:
        """Returns (value, trace) for the values of one parameter that are tried, without its own in the base."""
        domain = self._findings.domains[name]
        tried = [(value, self._called({**base.values, name: value})) for value in self._findings.probes(name)]
        has_effect = any(trace.values.keys() != base.values.keys() for _, trace in tried if not trace.error)
        if has_effect and domain.size is not None and len(tried) < domain.size <= MANY:
            values = [domain.at(index) for index in range(domain.size)]
            tried = [(value, self._called({**base.values, name: value})) for value in values]
        own = repr(base.values[name])
        return [(value, trace) for value, trace in tried if repr(value) != own]

    def _next_base(self) -> Trace | None:
        """Returns a trace to vary: of those with parameters that no base has had yet, the one with the most."""
        waiting = self._findings.found.keys() - self._findings.when.keys()
        if waiting:
            return max(self._traces, key=lambda trace: len(waiting & trace.values.keys()))
        return self._contradiction()

    def _contradiction(self) -> Trace | None:
        """Returns a trace that asked for more than the space has under its values, which has it from now on."""
        for trace in self._traces:
            if missing := self._findings.missing(trace):
                self._vary(trace)
                for name in missing:
                    # Where varying by itself did not explain it, the parameter is active everywhere.
                    if name in self._findings.missing(trace):
                        self._findings.when[name] = {}
                return trace
        return None

    def _check(self) -> None:
        generator = np.random.default_rng(0)
        began = self.clock()
        for _ in range(NUM_CHECKS):
            if self.clock() - began > CHECK_SECONDS:
                return
            self._called(self._findings.random(generator))
            self._vary_what_is_new()
