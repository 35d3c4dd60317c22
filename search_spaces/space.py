"""A search space: a family and its parameters, some of them active only under a condition."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from search_spaces.conditions import Condition, condition_problems, parents_first
from search_spaces.counting import count_assignments
from search_spaces.domains import Domain
from search_spaces.domains.values import Value, identity
from search_spaces.naming import FAMILY, declaration_path, family_problems, name_problems, value_path
from search_spaces.problems import Problem, SpaceError, nearest, space_error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameter:
    """One thing that may vary: a name, its domain, and when it is active.

    Args:
        name: A Python identifier; `family` is the parameter that names the model family.
        domain: The values it may take.
        when: By parent name, the parent's values under which this parameter is active. All parents must agree,
            and each must be active itself. Empty: always active.
    """

    name: str
    domain: Domain
    when: Condition = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", {parent: tuple(values) for parent, values in self.when.items()})

    # Not the generated equality: for Python, a condition on 1 and one on True would be equal.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameter) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash((self.name, self.domain))

    def _content(self) -> tuple[str, Domain, dict[str, str]]:
        return self.name, self.domain, {parent: repr(values) for parent, values in self.when.items()}


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All variants that a study may try.

    >>> from search_spaces import Choice, Fixed, Float
    >>> space = SearchSpace([
    ...     Parameter(name="family", domain=Fixed("sequential")),
    ...     Parameter(name="optimizer", domain=Choice(["adam", "sgd"])),
    ...     Parameter(name="momentum", domain=Float(0.8, 0.9, step=0.1), when={"optimizer": ("sgd",)}),
    ... ])
    >>> space.size
    3
    >>> for values in space.grid():
    ...     print(values)
    {'family': 'sequential', 'optimizer': 'adam'}
    {'family': 'sequential', 'optimizer': 'sgd', 'momentum': 0.8}
    {'family': 'sequential', 'optimizer': 'sgd', 'momentum': 0.9}

    Args:
        parameters: The first is `family`. They are kept with parents before children, else in the order given.
        limits: The most that a variant may cost, by the names in LIMITS; the code that builds variants checks them.
        base: The built-in space that it began as; empty for a space of one's own, and once it is written out in full.

    Raises:
        SpaceError: If names, conditions or the family do not fit together; lists every problem.
    """

    #: Parents before children, `family` first; every value in a condition has its parent's normal form.
    parameters: Sequence[Parameter]
    limits: Mapping[str, float] = field(default_factory=dict, hash=False)
    base: str = field(default="", compare=False, repr=False)
    _by_name: dict[str, Parameter] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parameters = tuple(self.parameters)
        problems = _problems(parameters)
        if problems:
            raise space_error(problems)
        by_name = {parameter.name: parameter for parameter in parameters}
        ordered = parents_first({name: parameter.when for name, parameter in by_name.items()})
        normal = {name: _normalised(by_name[name], by_name) for name in ordered}
        object.__setattr__(self, "parameters", tuple(normal.values()))
        object.__setattr__(self, "_by_name", normal)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(self._by_name)

    @property
    def families(self) -> tuple[str, ...]:
        """The names of the families that variants of this space can have."""
        return tuple(str(name) for name in self.parameters[0].domain.values())

    @property
    def size(self) -> int | None:
        """How many distinct variants there are (seeds aside), exactly; None when uncountable."""
        return count_assignments(
            {parameter.name: parameter.domain for parameter in self.parameters},
            {parameter.name: parameter.when for parameter in self.parameters},
        )

    def parameter(self, name: str) -> Parameter:
        """Returns the parameter of that name.

        Raises:
            SpaceError: If no parameter has that name.
        """
        if name not in self._by_name:
            known = ", ".join(self.names)
            raise SpaceError(f"no parameter is called {name!r}; known are {known}{nearest(name, self.names)}")
        return self._by_name[name]

    def is_active(self, name: str, values: Mapping[str, object]) -> bool:
        """Returns whether a parameter is active under its parents' values.

        A caller that chooses values in the order of `parameters` can call this before each choice. A parent without
        a value, or with one outside its domain, makes its children inactive.
        """
        return self._is_reached(self.parameter(name), self.active(values))

    def active(self, values: Mapping[str, object]) -> dict[str, object]:
        """Returns the values of the active parameters, in order; all other entries are dropped."""
        chosen: dict[str, object] = {}
        for parameter in self.parameters:
            if parameter.name in values and self._is_reached(parameter, chosen):
                chosen[parameter.name] = values[parameter.name]
        return chosen

    def validate(self, values: Mapping[str, object]) -> list[Problem]:
        """Returns every problem that keeps the values from being a variant of this space.

        Problems are an active parameter without a value, a value outside its domain, and an unknown name. Values of
        inactive parameters are ignored.
        """
        problems = [
            Problem(path=value_path(name), message=f"no parameter has this name{nearest(name, self.names)}")
            for name in values
            if name not in self._by_name
        ]
        chosen = self.active(values)
        for parameter in self.parameters:
            if self._is_reached(parameter, chosen):
                messages = _value_messages(parameter, chosen)
                problems += [Problem(path=value_path(parameter.name), message=message) for message in messages]
        return problems

    def grid(self) -> Iterator[dict[str, Value]]:
        """Returns an iterator over every distinct variant's values, the last parameter changing fastest.

        Raises:
            SpaceError: If a parameter is uncountable; names each of them.
        """
        problems = [
            Problem(
                path=declaration_path(parameter.name),
                message=f"{parameter.domain} has no grid; add a step, or list the values with choice",
            )
            for parameter in self.parameters
            if parameter.domain.size is None
        ]
        if problems:
            raise space_error(problems)
        return self._assignments({}, position=0)

    def _assignments(self, chosen: dict[str, Value], *, position: int) -> Iterator[dict[str, Value]]:
        if position == len(self.parameters):
            yield chosen
            return
        parameter = self.parameters[position]
        if not self._is_reached(parameter, chosen):
            yield from self._assignments(chosen, position=position + 1)
            return
        for index in range(parameter.domain.size or 0):
            value = parameter.domain.at(index)
            yield from self._assignments({**chosen, parameter.name: value}, position=position + 1)

    def _is_reached(self, parameter: Parameter, chosen: Mapping[str, object]) -> bool:
        # Only active parameters are in `chosen`, so children of an inactive parent are not reached either.
        return all(
            parent in chosen and self._matches(parent, chosen[parent], wanted=wanted)
            for parent, wanted in parameter.when.items()
        )

    def _matches(self, parent: str, value: object, *, wanted: Iterable[Value]) -> bool:
        try:
            normal = self._by_name[parent].domain.normalise(value)
        except SpaceError:
            return False
        return identity(normal) in map(identity, wanted)


def _value_messages(parameter: Parameter, chosen: Mapping[str, object]) -> list[str]:
    if parameter.name not in chosen:
        return [f"expected {parameter.domain}, got nothing; give a value to every active parameter"]
    try:
        parameter.domain.normalise(chosen[parameter.name])
    except SpaceError as error:
        return [str(error)]
    return []


def _problems(parameters: Sequence[Parameter]) -> list[Problem]:
    if not parameters or parameters[0].name != FAMILY:
        got = repr(parameters[0].name) if parameters else "no parameters"
        return [Problem(path="space", message=f"the first parameter must be 'family', got {got}; put it first")]
    family, *others = parameters
    problems = family_problems(family.domain, path="space") + name_problems([p.name for p in others], path="space")
    if family.when:
        message = f"the family is always active, got {dict(family.when)!r}; drop the condition"
        problems.append(Problem(path="space.family.when", message=message))
    return problems + condition_problems(
        {parameter.name: parameter.domain for parameter in parameters},
        {parameter.name: parameter.when for parameter in others},
        path="space",
    )


def _normalised(parameter: Parameter, by_name: Mapping[str, Parameter]) -> Parameter:
    when: dict[str, tuple[Value, ...]] = {}
    for parent, values in parameter.when.items():
        normal = [by_name[parent].domain.normalise(value) for value in values]
        when[parent] = tuple({identity(value): value for value in normal}.values())
    return Parameter(name=parameter.name, domain=parameter.domain, when=when)
