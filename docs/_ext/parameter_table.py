"""A table of parameters, from the catalog's entries; shared by families and training."""

from collections.abc import Mapping
from typing import Any

from docstrings import code, require, table

from trainables.catalog.parameter import ParameterInfo


def parameter_table(parameters: Mapping[str, ParameterInfo]) -> str:
    """Returns one row a parameter: values, default, meaning.

    Raises:
        ValueError: If a parameter has no description.
    """
    return table(
        ["parameter", "takes", "default", "meaning"],
        (
            [code(name), _values(info), code(_shown(info.default)), require(info.summary, what=name)]
            for name, info in parameters.items()
        ),
    )


def _values(info: ParameterInfo) -> str:
    if len(info.options) > _MANY:
        return f"one of {len(info.options)} names"
    return ", ".join(code(_shown(option)) for option in info.options) or info.expectation


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[]" if value == () else str(value)


_MANY = 12
