"""One family's parameters, packaged study and built-in spaces, from the catalog."""

from parameter_table import parameter_table

from search_spaces import builtin_names, space_from_mapping
from trainables.catalog.families import FAMILIES


def markdown(argument: str) -> str:
    """Returns a family's summary, spaces and parameters."""
    family = FAMILIES[argument]
    spaces = [name for name in builtin_names() if argument in space_from_mapping(name).families]
    known = ", ".join(f"`{name}`" for name in spaces) or "none: it needs a function of yours"
    others = [f", but for {', '.join(f'`{name}`' for name in sorted(family.ignores))}" if family.ignores else ""]
    if family.hands_over:
        others.append(f"; {', '.join(f'`{name}`' for name in sorted(family.hands_over))} goes to your function")
    takes = "Any number of targets and of images an example." if family.takes_several else "One target, one image."
    parts = [
        f"{family.summary} {takes}",
        f"Packaged study: `convfleet run {argument}`. Built-in spaces: {known}.",
        "## Parameters",
        parameter_table(family.parameters),
        f"All [training parameters](../training-parameters.md) as well{''.join(others)}.",
    ]
    return "\n\n".join(parts)
