"""The values a parameter may take, in one canonical form."""

import math
import re
from collections.abc import Callable
from numbers import Integral, Real

from search_spaces.problems import SpaceError

Scalar = str | int | float | bool | None
Value = Scalar | tuple[Scalar, ...]

# YAML 1.1 wants a dot and a signed exponent in a float, so PyYAML reads 1e-4 and 1.5e3 as text.
EXPONENT_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")

# Made once, unlike a union of types: used for every value of a journal.
_LISTS = (list, tuple)


def canonical(value: object) -> Value:
    """Returns the value as plain Python: numbers as int or float, lists as tuples.

    Text such as "1e-4" becomes the number it spells, because YAML 1.1 reads an unquoted 1e-4 as text.

    >>> canonical([16, 32]), canonical("1e-4"), canonical("same")
    ((16, 32), 0.0001, 'same')

    Raises:
        SpaceError: If the value is neither a finite scalar nor a flat list of finite scalars.
    """
    if isinstance(value, _LISTS):
        return tuple(_scalar(item) for item in value)
    return _scalar(value)


def identity(value: Value) -> str:
    """Returns a text that two canonical values share only when type and value are both equal.

    >>> identity(1) == identity(True), identity(1) == identity(1.0), identity((1, 2)) == identity((1, 2))
    (False, False, True)
    """
    return repr(value)


def loosely_equal(left: Value, right: Value) -> bool:
    """Returns whether two canonical values are equal when 1 and 1.0 count as the same number.

    >>> loosely_equal(1, 1.0), loosely_equal(1, True), loosely_equal((1, 2), (1.0, 2))
    (True, False, True)
    """
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(loosely_equal, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def accepts(normalise: Callable[[object], Value], value: object) -> bool:
    """Returns whether a domain's `normalise` takes the value."""
    try:
        normalise(value)
    except SpaceError:
        return False
    return True


def plain(value: Value) -> object:
    """Returns the value as JSON and YAML have it: tuples as lists."""
    return list(value) if isinstance(value, tuple) else value


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    # Before the abstract number types, whose checks take five times as long: a journal has many values.
    if type(value) is int:
        return value
    if type(value) is float:
        return _finite(value, received=value)
    if isinstance(value, str):
        return _finite(float(value), received=value) if EXPONENT_NUMBER.fullmatch(value) else str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _finite(float(value), received=value)
    raise SpaceError(f"expected text, a number, true, false, null or a flat list of these, got {value!r}")


def _finite(number: float, *, received: object) -> float:
    if not math.isfinite(number):
        raise SpaceError(f"expected a finite number, got {received!r}")
    # Adding zero turns -0.0 into 0.0: one number, one text.
    return number + 0.0
