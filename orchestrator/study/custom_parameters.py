"""Parameters that a family takes without declaring them: those of a user's own code."""

from collections.abc import Sequence

from search_spaces import Parameter, SearchSpace, nearest
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import TRAINING

#: How alike two names must be, from 0 to 1, to count as a slip of the pen: batch_norm is not one of batch_size.
_ALIKE = 0.85


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
    takers = [family for family in families if is_own_parameter(parameter.name, family)]
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
