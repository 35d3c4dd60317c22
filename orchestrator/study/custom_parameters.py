"""Parameters that a family takes without declaring them: those of a user's own code."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.study.own_code import hypermodel_problem
from search_spaces import Domain, Parameter, Problem, SearchSpace, nearest
from search_spaces.declarations import parse_domain
from trainables.catalog.custom import SHARED
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import TRAINING
from trainables.errors import DataError
from trainables.hypermodels.finding import find_space_in_process

#: How alike two names must be, from 0 to 1, to count as a slip of the pen: batch_norm is not one of batch_size.
_ALIKE = 0.85
_FUNCTION = "space.params.function"
#: A domain of at most so many values is compared with another value by value.
_LARGEST_COMPARED = 10_000


def own_parameter_problem(parameter: Parameter, families: Sequence[str], *, space: SearchSpace) -> str:
    """Returns what is wrong with a parameter under families that run a user's code, or an empty string.

    Args:
        families: The families under which the parameter can be active.
    """
    ignoring = [family for family in families if parameter.name in FAMILIES[family].ignores]
    if ignoring:
        others = [family for family in space.families if family not in ignoring]
        condition = others[0] if len(others) == 1 else f"[{', '.join(others)}]"
        way_out = f"add when: {{family: {condition}}}" if others else "drop it"
        return f"family {ignoring[0]!r} ignores it: its function gets pixels of 0-255 and scales them itself; {way_out}"
    takers = [
        family
        for family in families
        if is_own_parameter(parameter.name, family) and not FAMILIES[family].finds_parameters
    ]
    if not takers:
        return ""
    idle = frozenset.union(*(FAMILIES[family].ignores | FAMILIES[family].hands_over for family in takers))
    known = (TRAINING.keys() - idle).union(*(FAMILIES[family].parameters for family in families))
    hint = nearest(parameter.name, sorted(known), alike=_ALIKE)
    if not hint or parameter.name in known:
        return ""
    return f"family {takers[0]!r} would hand it to its function{hint} If it is yours, call it something less alike"


def is_own_parameter(name: str, family: str) -> bool:
    """Returns whether a parameter is one of the user's code under a family.

    >>> is_own_parameter("width", "custom"), is_own_parameter("learning_rate", "custom")
    (True, False)
    """
    declared = name in TRAINING.keys() - FAMILIES[family].hands_over or name in FAMILIES[family].parameters
    return FAMILIES[family].has_own_parameters and not declared


def found_parameters(raw: object, *, folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    """Returns the entries of parameters that a space's hypermodel asks for, and the problems of the space beside them.

    A process of its own calls the hypermodel. A space that has the hash of its code has its parameters as well: that of
    a run is not looked for again.

    Args:
        raw: The space section as the user wrote it; what is wrong without the hypermodel's parameters is not looked at.
        folder: The folder of the hypermodel's module.
    """
    family = _finding_family(raw)
    if not isinstance(raw, Mapping) or not family:
        return {}, []
    own = raw.get("params")
    if not isinstance(own, Mapping) or "source" in own or not isinstance(own.get("function"), str):
        return {}, _shape_problems(raw, family, own if isinstance(own, Mapping) else {})
    problems = _shape_problems(raw, family, own)
    if not problems and (message := hypermodel_problem(own["function"], folder=folder)):
        problems = [Problem(path=_FUNCTION, message=message)]
    if problems:
        return {}, problems
    try:
        found = dict(find_space_in_process(own["function"], folder=folder))
    except DataError as exc:
        return {}, [Problem(path=_FUNCTION, message=" ".join(str(exc).split("\n")))]
    return found, [*_clashes(found, family), *_narrowing_problems(own, found, family)]


def _finding_family(raw: object) -> str:
    """Returns the family of a space whose parameters are found, or an empty text."""
    families = raw.get("family") if isinstance(raw, Mapping) else None
    if isinstance(families, Mapping):
        families = families.get("choice", families.get("fixed"))
    named = families if isinstance(families, list | tuple) else [families]
    # `parse_space` has the problem of a name that is none.
    known = (name for name in named if isinstance(name, str) and name in FAMILIES)
    return next((name for name in known if FAMILIES[name].finds_parameters), "")


def _shape_problems(raw: Mapping[str, Any], family: str, own: Mapping[str, Any]) -> list[Problem]:
    if raw["family"] not in (family, {"fixed": family}):
        message = f"{family!r} has your code's names for its parameters, so it stands alone, got {raw['family']!r}"
        return [Problem(path="space.family", message=f"{message}; make a study for each")]
    if "base" in raw:
        message = f"family {family!r} finds its parameters in your code, got {raw['base']!r}; drop it"
        return [Problem(path="space.base", message=message)]
    if isinstance(own.get("function"), Mapping) and "choice" in own["function"]:
        message = f"each function has a space of its own, got {own['function']['choice']!r}; make a study for each"
        return [Problem(path=_FUNCTION, message=message)]
    return []


def _clashes(found: Mapping[str, Any], family: str) -> Iterator[Problem]:
    """Yields a problem for each parameter of the code that the study has under the same name."""
    for name in found:
        if not is_own_parameter(name, family) and name not in SHARED:
            message = f"your code asks for {name!r}, which is also a parameter of the study; rename it in your code"
            yield Problem(path=_FUNCTION, message=message)


def _narrowing_problems(own: Mapping[str, Any], found: Mapping[str, Any], family: str) -> Iterator[Problem]:
    """Yields what is wrong with parameters in a study file beside those that were found."""
    for name, entry in own.items():
        path = f"space.params.{name}"
        if name not in found:
            if isinstance(name, str) and is_own_parameter(name, family):
                others = f"{nearest(name, found)}; it asks for {', '.join(found)}"
                yield Problem(path=path, message=f"your code does not ask for {name!r}{others}")
            continue
        if isinstance(entry, Mapping) and "when" in entry:
            yield Problem(path=f"{path}.when", message="your code says when it asks for it, got a condition; drop it")
        domain, problems = parse_domain(entry, path=path)
        whole, _ = parse_domain(found[name], path=path)
        if domain is None or whole is None or problems:
            continue  # `parse_space` has the problem
        if (value := _outside(domain, whole)) is not None:
            text = f"expected a part of what your code asks for, {whole}, got {value}; narrow it, or change your code"
            yield Problem(path=path, message=text)


def _outside(domain: Domain, whole: Domain) -> str | None:
    """Returns what of a domain another does not hold, None if it holds it all."""
    if domain.size is not None and domain.size <= _LARGEST_COMPARED:
        values = [domain.at(index) for index in range(domain.size)]
        return next((repr(value) for value in values if not whole.contains(value)), None)
    ends = [getattr(domain, "low", None), getattr(domain, "high", None)]
    if whole.size is None or isinstance(domain, type(whole)):
        is_stepped = getattr(whole, "step", None) not in (None, 1, getattr(domain, "step", None))
        outside = [repr(end) for end in ends if not whole.contains(end)]
        return str(domain) if is_stepped else next(iter(outside), None)
    return str(domain)
