"""Parameters of a space that have no effect because another one overrides them, such as filters beside a preset."""

from collections.abc import Sequence

from search_spaces import Parameter, Problem, SearchSpace, Value
from trainables.catalog.families import FAMILIES

_FAMILY = "family"


def replaced_parameter_problems(space: SearchSpace) -> list[Problem]:
    """Returns the parameters that would vary without effect in some variants of the space.

    Args:
        space: Its families, parameters and values are known and allowed.
    """
    return [
        Problem(path=f"space.params.{parameter.name}", message=message)
        for parameter in space.parameters[1:]
        for family in space.families
        if (message := _message(parameter, family, space=space))
    ]


def _message(parameter: Parameter, family: str, *, space: SearchSpace) -> str:
    """Returns what is wrong with a parameter under a family, or an empty string."""
    infos = FAMILIES[family].parameters
    info = infos.get(parameter.name)
    if info is None or info.replaced_by not in space.names:
        return ""
    other = space.parameter(info.replaced_by)
    idle = infos[other.name].default
    beside = _values_beside(parameter, other, family=family, space=space)
    replacing = [value for value in beside if value != idle]
    if not replacing:
        return ""
    shown = list(replacing[0]) if isinstance(replacing[0], tuple) else replacing[0]
    elsewhere = [name for name in space.families if parameter.name in FAMILIES[name].parameters and name != family]
    way_out = "drop one of the two"
    if elsewhere and _FAMILY not in parameter.when:
        way_out = f"add when: {{family: [{', '.join(elsewhere)}]}}, or {way_out}"
    elif idle in beside and isinstance(idle, str):
        way_out = f"add when: {{{other.name}: {idle}}}, or {way_out}"
    return f"family {family!r} ignores it where {other.name} is {shown!r}, got both; {way_out}"


def _values_beside(parameter: Parameter, other: Parameter, *, family: str, space: SearchSpace) -> Sequence[Value]:
    """Returns the values that another parameter can have while the parameter is active under a family."""
    allowed: dict[str, Sequence[Value]] = {_FAMILY: (family,), other.name: other.domain.values()}
    waiting = [parameter, other]
    while waiting:
        for parent, wanted in waiting.pop().when.items():
            # Conditions and domains have their values in one normal form, so equal ones are found.
            allowed[parent] = [value for value in allowed.get(parent, wanted) if value in wanted]
            waiting.append(space.parameter(parent))
    return allowed[other.name] if all(allowed.values()) else ()
