"""Defines the number types of a study file's sections."""

from typing import Annotated

from pydantic import BeforeValidator


def refuse_bool(value: object) -> object:
    """Returns the value unless it is true or false, which Python treats as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Count = Annotated[int, BeforeValidator(refuse_bool)]
Number = Annotated[float, BeforeValidator(refuse_bool)]
