"""Describes the parameters of families, so that a study is checked before any training."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

ACTIVATIONS = ("relu", "elu", "gelu", "selu", "silu", "leaky_relu", "tanh")
POOLINGS = ("max", "average", "none")


class Entries(Enum):
    """How many values a parameter takes at once."""

    ONE = "one"
    ONE_OR_ONE_A_BLOCK = "one, or a list with one a block"
    LIST = "a list"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterInfo:
    """One parameter's meaning and range.

    Args:
        kind: The Python type of its values; float accepts an int too.
        default: The value if the space does not name the parameter.
        summary: One sentence for people.
        low: The lowest value, included.
        high: The highest value, included.
        below: A bound that values must stay under.
        options: The only values, if not empty; a text without options may be any but an empty one.
        entries: Whether it takes one value, a list, or either; kind and bounds hold for each entry of a list.
        replaced_by: A parameter of the same family; if that has another value than its default, this one has no
            effect. Loading refuses a study that varies both at once.
    """

    kind: type
    default: Any
    summary: str
    low: float | None = None
    high: float | None = None
    below: float | None = None
    options: tuple[Any, ...] = ()
    entries: Entries = Entries.ONE
    replaced_by: str = ""

    def problem(self, value: object) -> str:
        """Returns the problem of a value, or an empty string.

        >>> ParameterInfo(kind=int, default=3, summary="", low=1).problem(0)
        'must be an int >= 1, got 0'
        """
        received = list(value) if isinstance(value, tuple) else value
        if isinstance(received, list):
            is_welcome = self.entries is Entries.LIST or (self.entries is Entries.ONE_OR_ONE_A_BLOCK and received)
            is_allowed = is_welcome and all(map(self._is_allowed, received))
        else:
            is_allowed = self.entries is not Entries.LIST and self._is_allowed(received)
        return "" if is_allowed else f"must be {self.expectation}, got {received!r}"

    def normalised(self, value: Any) -> Any:
        """Returns an allowed value in its own kind: Keras refuses an int where it means a float.

        >>> ParameterInfo(kind=float, default=0.9, summary="").normalised(1)
        1.0
        >>> ParameterInfo(kind=int, default=(), summary="", entries=Entries.LIST).normalised([3, 5])
        (3, 5)
        """
        if isinstance(value, list | tuple):
            return tuple(map(self.normalised, value))
        return float(value) if self.kind is float else value

    def _is_allowed(self, value: object) -> bool:
        if self.options:
            return any(value == option and type(value) is type(option) for option in self.options)
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        if self.kind is str or isinstance(value, str):
            return self.kind is str and isinstance(value, str) and bool(value)
        if not isinstance(value, int if self.kind is int else (int, float)):
            return False
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.below is None or value < self.below)
        )

    @property
    def expectation(self) -> str:
        """The values that are allowed, in words."""
        if self.options:
            return "one of " + ", ".join(map(repr, self.options))
        bounds = [
            f"{sign} {bound:g}"
            for sign, bound in ((">=", self.low), ("<=", self.high), ("<", self.below))
            if bound is not None
        ]
        name = "text" if self.kind is str else self.kind.__name__
        noun = f"{name}s" if self.entries is Entries.LIST else f"{'an' if self.kind is int else 'a'} {name}"
        one = " ".join([noun, " and ".join(bounds)]).strip()
        match self.entries:
            case Entries.ONE:
                return one
            case Entries.ONE_OR_ONE_A_BLOCK:
                return f"{one}, or a list of these, one a block"
            case Entries.LIST:
                return f"a list of {one}"


#: Parameters that set widths of layers alone: how many filters or units they have.
WIDTHS = ("filters", "filters_growth", "dense_units")
#: Parameters that the work of a network's convolutions grows with, other things equal.
LENGTHENING = (
    *("filters", "filters_growth", "alpha"),
    "image_side",
    "kernel_size",
    *("num_blocks", "convs_per_block"),
    *("num_stages", "blocks_per_stage"),
    *("num_modules", "branches"),
    *("depth", "convs_per_level"),
)

#: Parameters that most families have.
COMMON: Mapping[str, ParameterInfo] = {
    "filters": ParameterInfo(kind=int, default=16, low=1, high=4096, summary="Filters of the first block or stage."),
    "filters_growth": ParameterInfo(
        kind=float, default=2.0, low=0.25, high=8.0, summary="Factor from one block's filters to the next one's."
    ),
    "activation": ParameterInfo(
        kind=str, default="relu", options=ACTIVATIONS, summary="Activation after every convolution."
    ),
    "batch_norm": ParameterInfo(
        kind=bool, default=True, summary="Batch normalisation between convolution and activation."
    ),
    "dropout": ParameterInfo(
        kind=float, default=0.0, low=0.0, below=1.0, summary="Share of features dropped before the last layer."
    ),
}
