"""Domains of named values: Choice and Fixed."""

from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.domains.values import Value, accepts, canonical, identity, loosely_equal
from search_spaces.problems import SpaceError, nearest


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One of some options: scalars, or flat lists of scalars (kept as tuples).

    Options differ by type and value: 1, 1.0 and True are three options.

    >>> Choice(["relu", "elu"]).contains("elu")
    True
    >>> Choice([[16, 32], [32, 64]]).values()
    [(16, 32), (32, 64)]

    Raises:
        SpaceError: If the list has no option, or one of them twice.
    """

    options: Sequence[Value]

    def __post_init__(self) -> None:
        if isinstance(self.options, str) or not isinstance(self.options, Sequence):
            raise SpaceError(f"expected a list of options, got {self.options!r}; write [first, second]")
        if not self.options:
            raise SpaceError("expected at least one option, got []; name the values to choose from")
        options = tuple(canonical(option) for option in self.options)
        names = [identity(option) for option in options]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise SpaceError(f"expected each option once, got {', '.join(twice)} more than once; remove the repeats")
        object.__setattr__(self, "options", options)

    # Not the generated equality: for Python, Choice([1]) and Choice([True]) would be equal.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __str__(self) -> str:
        listed = ", ".join(identity(option) for option in self.options)
        return f"one of {listed}" if self.size > 1 else listed

    @property
    def size(self) -> int:
        """How many options there are."""
        return len(self.options)

    def at(self, index: int) -> Value:
        """Returns the option at an index from 0 to size - 1."""
        if not 0 <= index < self.size:
            raise IndexError(f"index must be from 0 to {self.size - 1}, got {index!r}")
        return self.options[index]

    def values(self) -> list[Value]:
        """Returns all options in the order they were given."""
        return list(self.options)

    def index(self, value: object) -> int:
        """Returns the index of an option; the inverse of `at`.

        An option of the same type and value wins; else 4.0 finds 4, unless two options equal it.

        Raises:
            SpaceError: If the value is not an option.
        """
        wanted = canonical(value)
        exact = [i for i, option in enumerate(self.options) if identity(option) == identity(wanted)]
        found = exact or [i for i, option in enumerate(self.options) if loosely_equal(option, wanted)]
        if len(found) != 1:
            close = nearest(wanted, [option for option in self.options if isinstance(option, str)])
            raise SpaceError(f"expected {self}, got {value!r}" + (close if isinstance(wanted, str) else ""))
        return found[0]

    def contains(self, value: object) -> bool:
        """Returns whether the value is an option; 4.0 counts as 4 unless both are options."""
        return accepts(self.normalise, value)

    def normalise(self, value: object) -> Value:
        """Returns the option that equals the value.

        Raises:
            SpaceError: If the value is not an option.
        """
        return self.at(self.index(value))


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """The same value in every variant: a scalar, or a flat list of scalars (kept as a tuple).

    >>> Fixed([16, 32]).values()
    [(16, 32)]
    """

    value: Value

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", canonical(self.value))

    # Not the generated equality: for Python, Fixed(1) and Fixed(True) would be equal.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __str__(self) -> str:
        return identity(self.value)

    @property
    def size(self) -> int:
        """How many values there are: one."""
        return 1

    def at(self, index: int) -> Value:
        """Returns the value, which stands at index 0."""
        return self._choice().at(index)

    def values(self) -> list[Value]:
        """Returns the value, alone in a list."""
        return [self.value]

    def contains(self, value: object) -> bool:
        """Returns whether the value is the fixed one; 4.0 counts as 4."""
        return accepts(self.normalise, value)

    def normalise(self, value: object) -> Value:
        """Returns the fixed value.

        Raises:
            SpaceError: If the value is another one.
        """
        return self._choice().normalise(value)

    def _choice(self) -> Choice:
        return Choice((self.value,))


def named_values(domain: object) -> list[Value]:
    """Returns the values that a domain names one by one; none of a range, which may have more than fit into memory.

    >>> named_values(Choice(["relu", "elu"])), named_values(Fixed("relu"))
    (['relu', 'elu'], ['relu'])

    Args:
        domain: Of any kind.
    """
    return domain.values() if isinstance(domain, Choice | Fixed) else []
