"""Domains of numbers between two ends: Float and Int."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ulp

from search_spaces.domains.values import accepts, canonical
from search_spaces.problems import SpaceError

# A stepped float that was computed in binary arithmetic may miss its grid value by this share of a step.
STEP_TOLERANCE = Fraction(1, 10**6)


@dataclass(frozen=True, slots=True)
class Float:
    """A real number from low to high, both included.

    >>> Float(0, 0.3, step=0.1).values()
    [0.0, 0.1, 0.2, 0.3]
    >>> Float(0, 0.3, step=0.1).normalise(0.1 + 0.2)
    0.3

    Args:
        low: The smallest value; above 0 when log is set.
        high: The largest value.
        log: Whether the search looks on a logarithmic scale.
        step: The values are low, low + step, ... up to high, in exact decimal arithmetic; excludes log.

    Raises:
        SpaceError: If the arguments contradict each other.
    """

    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        problems: list[str] = []
        low = _float(self.low, what="the low end", problems=problems)
        high = _float(self.high, what="the high end", problems=problems)
        if not problems:
            problems += _range_problems(self, low=_exact(low), high=_exact(high))
        step = None if self.step is None else _float(self.step, what="step", problems=problems)
        if not problems and step is not None:
            problems += _step_problems(self, span=_exact(high) - _exact(low), step=_exact(step))
        # Two numbers further apart than the float spacing at the larger end stay two floats when rounded.
        if not problems and step is not None and step <= ulp(max(abs(low), abs(high))):
            problems.append(f"step is too small to tell the values apart, got {self.step!r}; use a larger step")
        _set(self, problems, low=low, high=high, step=step)

    def __str__(self) -> str:
        stepped = "" if self.step is None else f" in steps of {self.step!r}"
        return f"a number from {self.low!r} to {self.high!r}{stepped}"

    @property
    def size(self) -> int | None:
        """How many values there are; None when uncountable."""
        if self.step is not None:
            return (_exact(self.high) - _exact(self.low)) // _exact(self.step) + 1
        return 1 if self.low == self.high else None

    def at(self, index: int) -> float:
        """Returns the value at an index from 0 to size - 1; the smallest is at 0."""
        if self.size is None:
            raise SpaceError(f"{self} has no list of values; give it a step, or name the values with choice")
        if not 0 <= index < self.size:
            raise IndexError(f"index must be from 0 to {self.size - 1}, got {index!r}")
        return float(self._grid_point(index))

    def values(self) -> list[float]:
        """Returns all values, ascending."""
        return [self.at(index) for index in range(self.size or 1)]

    def contains(self, value: object) -> bool:
        """Returns whether the parameter may take this value; whole numbers count as floats."""
        return accepts(self.normalise, value)

    def normalise(self, value: object) -> float:
        """Returns the value as a float, snapped onto the steps when there are any.

        Raises:
            SpaceError: If the value is outside the domain.
        """
        number = _as_number(value)
        if number is None:
            raise SpaceError(f"expected {self}, got {value!r}")
        if self.step is not None:
            number = self._snapped(number)
        if number is None or not self.low <= number <= self.high:
            raise SpaceError(f"expected {self}, got {value!r}")
        return float(number)

    def _snapped(self, number: int | float) -> float | None:
        step = _exact(self.step)
        index = round((_exact(number) - _exact(self.low)) / step)
        if not 0 <= index < (self.size or 1):
            return None
        point = self._grid_point(index)
        is_near = abs(_exact(number) - point) <= step * STEP_TOLERANCE
        return float(point) if is_near or number == float(point) else None

    def _grid_point(self, index: int) -> Fraction:
        return _exact(self.low) + index * _exact(self.step)


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number from low to high, both included.

    >>> Int(8, 32, step=8).values()
    [8, 16, 24, 32]

    Args:
        low: The smallest value; above 0 when log is set.
        high: The largest value.
        log: Whether the search looks on a logarithmic scale.
        step: The values are low, low + step, ... up to high; excludes log.

    Raises:
        SpaceError: If the arguments contradict each other.
    """

    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        problems: list[str] = []
        low = _int(self.low, what="the low end", problems=problems)
        high = _int(self.high, what="the high end", problems=problems)
        if not problems:
            problems += _range_problems(self, low=_exact(low), high=_exact(high))
        step = None if self.step is None else _int(self.step, what="step", problems=problems)
        if not problems and step is not None:
            problems += _step_problems(self, span=_exact(high) - _exact(low), step=_exact(step))
        _set(self, problems, low=low, high=high, step=step)

    def __str__(self) -> str:
        stepped = "" if self.step is None else f" in steps of {self.step!r}"
        return f"a whole number from {self.low!r} to {self.high!r}{stepped}"

    @property
    def size(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // (self.step or 1) + 1

    def at(self, index: int) -> int:
        """Returns the value at an index from 0 to size - 1; the smallest is at 0."""
        if not 0 <= index < self.size:
            raise IndexError(f"index must be from 0 to {self.size - 1}, got {index!r}")
        return self._range()[index]

    def values(self) -> list[int]:
        """Returns all values, ascending."""
        return list(self._range())

    def contains(self, value: object) -> bool:
        """Returns whether the parameter may take this value; 4.0 counts as 4."""
        return accepts(self.normalise, value)

    def normalise(self, value: object) -> int:
        """Returns the value as an int.

        Raises:
            SpaceError: If the value is outside the domain.
        """
        number = _as_number(value)
        if number is None or number != int(number) or int(number) not in self._range():
            raise SpaceError(f"expected {self}, got {value!r}")
        return int(number)

    def _range(self) -> range:
        return range(self.low, self.high + 1, self.step or 1)


def _as_number(value: object) -> int | float | None:
    try:
        number = canonical(value)
    except SpaceError:
        return None
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None


def _float(value: object, *, what: str, problems: list[str]) -> float:
    try:
        number = _as_number(value)
        if number is not None:
            return float(number)
    except OverflowError:
        # A whole number too long for a float is refused like any other value that is no finite number.
        number = None
    problems.append(f"{what} must be a finite number, got {value!r}")
    return 0.0


def _int(value: object, *, what: str, problems: list[str]) -> int:
    number = _as_number(value)
    if number is not None and number == int(number):
        return int(number)
    problems.append(f"{what} must be a whole number, got {value!r}")
    return 0


def _exact(number: int | float | None) -> Fraction:
    # The decimal that the number is written as, not its binary neighbour: 0.1 is one tenth.
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number or 0)


def _range_problems(domain: Float | Int, *, low: Fraction, high: Fraction) -> list[str]:
    found: list[str] = []
    log: object = domain.log
    if not isinstance(log, bool):
        found.append(f"log must be true or false, got {domain.log!r}")
    if low > high:
        found.append(f"the low end must not exceed the high end, got [{domain.low!r}, {domain.high!r}]; swap the ends")
    if domain.log is True and low <= 0:
        small = "1e-5" if isinstance(domain, Float) else "1"
        found.append(
            f"the low end must be > 0 on a log scale, got {domain.low!r}; use a small positive number such as {small}, "
            "or drop log: true"
        )
    if domain.log is True and domain.step is not None:
        found.append(f"log and step exclude each other, got log: true and step: {domain.step!r}; drop one of them")
    return found


def _step_problems(domain: Float | Int, *, span: Fraction, step: Fraction) -> list[str]:
    if step <= 0:
        return [f"step must be > 0, got {domain.step!r}; use a positive step, or drop it"]
    if step > span:
        return [
            f"step must not be larger than the range [{domain.low!r}, {domain.high!r}], got {domain.step!r}; "
            "use a smaller step, or fixed for a single value"
        ]
    return []


def _set(domain: Float | Int, problems: list[str], **fields: object) -> None:
    if problems:
        raise SpaceError("\n".join(problems))
    for name, value in fields.items():
        object.__setattr__(domain, name, value)
