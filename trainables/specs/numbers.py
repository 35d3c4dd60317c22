"""Defines the number types of a study file's sections, and the checks of numbers that may be auto."""

import math
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator


def refuse_bool(value: object) -> object:
    """Returns the value unless it is true or false, which Python treats as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Count = Annotated[int, BeforeValidator(refuse_bool)]
Number = Annotated[float, BeforeValidator(refuse_bool)]


def whole_or_fraction(value: float) -> float:
    """Returns a share of CPUs or GPUs: 0, a fraction below 1, or a whole number."""
    if not math.isfinite(value) or (value > 1 and value != int(value)):
        raise ValueError("must be 0, a fraction below 1, or a whole number")
    return value


def auto_or_share(value: object) -> object:
    """Returns auto, or a share of CPUs or GPUs."""
    if value == "auto":
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return whole_or_fraction(float(value))
    raise ValueError("must be auto, 0, a fraction below 1, or a whole number")


def auto_or_bool(value: object) -> object:
    """Returns auto, true or false."""
    if value == "auto" or isinstance(value, bool):
        return value
    raise ValueError("must be auto, true or false")


def auto_or_from(low: int, *, most: int | None = None) -> Callable[[object], object]:
    """Returns a check for auto or a whole number.

    Args:
        low: The smallest number.
        most: The largest one; None: any.
    """

    def check(value: object) -> object:
        if value == "auto":
            return value
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= (most or math.inf):
            return value
        bound = "" if most is None else f" and at most {most:,}"
        raise ValueError(f"must be auto or a whole number of at least {low}{bound}")

    return check


def auto_or_number_from(low: float) -> Callable[[object], object]:
    """Returns a check for auto or a finite number of at least `low`."""

    def check(value: object) -> object:
        if value == "auto":
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value < math.inf:
            return value
        raise ValueError(f"must be auto or a number of at least {low:g}")

    return check
