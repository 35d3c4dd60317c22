"""Reads one parameter of a study file, a mapping or a bare value, into a domain and writes it back."""

from collections.abc import Mapping

from search_spaces.conditions import Condition
from search_spaces.domains import Domain
from search_spaces.domains.choices import Choice, Fixed
from search_spaces.domains.ranges import Float, Int
from search_spaces.domains.values import Value, canonical, plain
from search_spaces.problems import Problem, SpaceError, nearest
from search_spaces.space import Parameter

RANGES = {"int": Int, "float": Float}
KINDS = ("int", "float", "choice", "fixed")
RANGE_KEYS = ("log", "step")
KEYS = (*KINDS, *RANGE_KEYS, "when")


def parse_domain(raw: object, *, path: str) -> tuple[Domain | None, list[Problem]]:
    """Returns the domain that a parameter's entry declares, or the problems of the entry.

    >>> domain, _ = parse_domain({"float": ["1e-4", 0.1], "log": True}, path="space.params.learning_rate")
    >>> domain
    Float(low=0.0001, high=0.1, log=True, step=None)
    >>> _, problems = parse_domain({"float": [0, 0.1], "log": True}, path="space.params.learning_rate")
    >>> str(problems[0])[:75]
    'space.params.learning_rate.float: the low end must be > 0 on a log scale, g'
    """
    if not isinstance(raw, Mapping):
        return _built("fixed", {"fixed": raw}, path=path)
    problems = [
        Problem(path=f"{path}.{key}", message=f"unknown key; known are {', '.join(KEYS)}{nearest(key, KEYS)}")
        for key in raw
        if key not in KEYS
    ]
    kinds = [kind for kind in KINDS if kind in raw]
    if len(kinds) != 1:
        got = f"got {' and '.join(kinds)}" if kinds else f"got {dict(raw)!r}"
        message = f"expected exactly one of {', '.join(KINDS)}, {got}; write for example {{int: [2, 4]}}"
        # A misspelt kind is already reported as an unknown key.
        return None, problems or [Problem(path=path, message=message)]
    kind = kinds[0]
    if kind not in RANGES:
        problems += [
            Problem(path=f"{path}.{key}", message=f"{key} is for int and float, not for {kind}; drop it")
            for key in RANGE_KEYS
            if key in raw
        ]
    where = path if kind == "fixed" else f"{path}.{kind}"
    domain, found = _built(kind, raw, path=where)
    return (None if problems else domain), problems + found


def parse_condition(
    raw: object, *, domains: Mapping[str, Domain | None], path: str
) -> tuple[dict[str, tuple[Value, ...]], list[Problem]]:
    """Returns the condition that a `when` entry states, or the problems of its form.

    A list means any of its items, unless the parent's domain has the list itself as a value.

    Args:
        domains: All parameters of the space; None for a parameter whose own entry is wrong.
    """
    if not isinstance(raw, Mapping):
        message = f"expected a mapping of another parameter to its values, got {raw!r}; write {{optimizer: sgd}}"
        return {}, [Problem(path=path, message=message)]
    condition: dict[str, tuple[Value, ...]] = {}
    problems: list[Problem] = []
    for parent, wanted in raw.items():
        domain = domains.get(parent)
        is_any_of = isinstance(wanted, list | tuple) and not (domain and domain.contains(wanted))
        try:
            condition[str(parent)] = tuple(canonical(value) for value in (wanted if is_any_of else [wanted]))
        except SpaceError as error:
            problems.append(Problem(path=f"{path}.{parent}", message=str(error)))
    return condition, problems


def declaration(parameter: Parameter, *, domains: Mapping[str, Domain]) -> object:
    """Returns the entry that declares a parameter; `parse_domain` and `parse_condition` read it back."""
    domain = parameter.domain
    if isinstance(domain, Fixed):
        entry: dict[str, object] = {"fixed": plain(domain.value)}
        if not parameter.when:
            return entry["fixed"]
    elif isinstance(domain, Choice):
        entry = {"choice": [plain(option) for option in domain.options]}
    else:
        entry = {"float" if isinstance(domain, Float) else "int": [domain.low, domain.high]}
        if domain.log:
            entry["log"] = True
        if domain.step is not None:
            entry["step"] = domain.step
    if parameter.when:
        entry["when"] = _written(parameter.when, domains=domains)
    return entry


def _built(kind: str, raw: Mapping[str, object], *, path: str) -> tuple[Domain | None, list[Problem]]:
    try:
        return _domain(kind, raw), []
    except SpaceError as error:
        return None, [Problem(path=path, message=message) for message in str(error).splitlines()]


def _domain(kind: str, raw: Mapping[str, object]) -> Domain:
    content = raw[kind]
    if kind == "fixed":
        return Fixed(content)  # type: ignore[arg-type]  # Fixed checks what it is given.
    if kind == "choice":
        return Choice(content)  # type: ignore[arg-type]  # Choice checks what it is given.
    if not isinstance(content, list | tuple) or len(content) != 2:
        raise SpaceError(f"expected two ends [low, high], got {content!r}; to list single values write choice")
    low, high = content
    options: dict[str, object] = {key: raw[key] for key in RANGE_KEYS if key in raw}
    return RANGES[kind](low, high, **options)  # type: ignore[arg-type, return-value]  # both check their arguments


def _written(condition: Condition, *, domains: Mapping[str, Domain]) -> dict[str, object]:
    when: dict[str, object] = {}
    for parent, values in condition.items():
        written = [plain(value) for value in values]
        # A list that is itself one of the parent's values would be read as that value; a repeated item prevents that.
        while len(values) > 1 and domains[parent].contains(written):
            written.append(written[0])
        when[parent] = written if len(values) > 1 else written[0]
    return when
