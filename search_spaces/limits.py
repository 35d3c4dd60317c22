"""Reads the `limits` of a space: a variant that costs more is refused before it is built or trained."""

import math
from collections.abc import Mapping

from search_spaces.problems import Problem, nearest

#: The costs that may be limited, each with its unit.
LIMITS: Mapping[str, str] = {
    "parameters": "numbers that a model keeps",
    "multiply_adds": "multiply-adds of one image's prediction",
    "memory_mb": "MB of a training step, an estimate",
}


def parse_limits(raw: object, *, path: str) -> tuple[dict[str, float], list[Problem]]:
    """Returns the limits by name, and every problem of the section.

    >>> parse_limits({"parameters": 1e6}, path="space.limits")
    ({'parameters': 1000000.0}, [])
    """
    if not isinstance(raw, Mapping):
        message = f"expected a mapping of {', '.join(LIMITS)} to numbers, got {raw!r}"
        return {}, [Problem(path=path, message=message)]
    problems = []
    for name, value in raw.items():
        if name not in LIMITS:
            message = f"unknown limit; known are {', '.join(LIMITS)}{nearest(name, LIMITS)}"
            problems.append(Problem(path=f"{path}.{name}", message=message))
        elif not _is_positive(value):
            message = f"expected a number > 0 of {LIMITS[name]}, got {value!r}; for example {name}: 1000000"
            problems.append(Problem(path=f"{path}.{name}", message=message))
    return ({} if problems else {str(name): float(value) for name, value in raw.items()}), problems


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
