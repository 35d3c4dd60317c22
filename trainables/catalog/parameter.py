"""What each parameter of a family may be, so that a study is checked before anything is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
        kind: The Python type of its values; an int is welcome where a float is meant.
        default: Used when the space does not name the parameter.
        summary: One sentence for people.
        low: The lowest value, included.
        high: The highest value, included.
        below: A bound that values must stay under.
        options: The only values, if not empty; a text without options may be any but an empty one.
        entries: Whether it takes one value, a list, or either; kind and bounds hold for each entry of a list.
        replaced_by: A parameter of the same family; where that has another value than its default, this one has no
            say. A study that varies both at once is refused.
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

    def complaint(self, value: object) -> str:
        """Returns what is wrong with a value, or an empty string.

        >>> ParameterInfo(kind=int, default=3, summary="", low=1).complaint(0)
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

#: Parameters of the family `sequential`.
SEQUENTIAL: Mapping[str, ParameterInfo] = {
    "num_blocks": ParameterInfo(
        kind=int, default=2, low=1, high=64, summary="Blocks of convolution, normalisation, activation and pooling."
    ),
    "convs_per_block": ParameterInfo(
        kind=int, default=1, low=1, high=8, summary="Convolutions in each block, each with its activation."
    ),
    **COMMON,
    "filters": replace(
        COMMON["filters"],
        entries=Entries.ONE_OR_ONE_A_BLOCK,
        summary="Filters of the first block; of each block if a list, and then filters_growth has no say.",
    ),
    "kernel_size": ParameterInfo(
        kind=int,
        default=3,
        low=1,
        high=15,
        entries=Entries.ONE_OR_ONE_A_BLOCK,
        summary="Side of the convolution kernels.",
    ),
    "separable": ParameterInfo(
        kind=bool, default=False, summary="Depthwise separable convolutions in place of full ones."
    ),
    "stride": ParameterInfo(
        kind=int, default=1, low=1, high=8, summary="Stride of the first convolution of each block."
    ),
    "padding": ParameterInfo(
        kind=str, default="same", options=("same", "valid"), summary="Padding of convolutions and pooling."
    ),
    "pooling": ParameterInfo(
        kind=str, default="max", options=POOLINGS, summary="2x2 pooling at the end of each block."
    ),
    "spatial_dropout": ParameterInfo(
        kind=float, default=0.0, low=0.0, below=1.0, summary="Share of whole feature maps dropped after each block."
    ),
    "head": ParameterInfo(
        kind=str,
        default="flatten",
        options=("flatten", "global_average", "global_max"),
        summary="How the last feature maps become one vector.",
    ),
    "dense_units": ParameterInfo(
        kind=int, default=0, low=0, high=65536, summary="Units of a hidden dense layer before the output; 0: none."
    ),
    "l2": ParameterInfo(
        kind=float, default=0.0, low=0.0, summary="L2 penalty on all kernels, part of the loss; 0: none."
    ),
}

#: What each preset of the family `residual` fixes. Source: He et al. 2015, arXiv:1512.03385, section 4.2: three stages
#: of n blocks with 16, 32 and 64 filters make 6n + 2 layers.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    **{
        f"resnet{6 * blocks + 2}": {
            "block": "basic",
            "num_stages": 3,
            "blocks_per_stage": blocks,
            "filters": 16,
            "filters_growth": 2.0,
        }
        for blocks in (3, 5, 9)
    },
}

#: Parameters of the family `residual`.
RESIDUAL: Mapping[str, ParameterInfo] = {
    "preset": ParameterInfo(
        kind=str,
        default="none",
        options=tuple(PRESETS),
        summary="A named network; it fixes block, num_stages, blocks_per_stage, filters and filters_growth.",
    ),
    "block": ParameterInfo(
        kind=str,
        default="basic",
        options=("basic", "bottleneck"),
        replaced_by="preset",
        summary="Two 3x3 convolutions, or 1x1, 3x3 and 1x1 to four times the filters.",
    ),
    "num_stages": ParameterInfo(
        kind=int,
        default=3,
        low=1,
        high=8,
        replaced_by="preset",
        summary="Stages; each but the first halves height and width.",
    ),
    "blocks_per_stage": ParameterInfo(
        kind=int, default=1, low=1, high=64, replaced_by="preset", summary="Residual blocks in each stage."
    ),
    **COMMON,
    "filters": replace(COMMON["filters"], replaced_by="preset"),
    "filters_growth": replace(COMMON["filters_growth"], replaced_by="preset"),
    "pre_activation": ParameterInfo(
        kind=bool, default=False, summary="Normalisation and activation before each convolution, none after the sum."
    ),
    "squeeze_excite": ParameterInfo(
        kind=int, default=0, low=0, high=64, summary="Reduction ratio of squeeze-and-excitation; 0: none."
    ),
    "stochastic_depth": ParameterInfo(
        kind=float,
        default=0.0,
        low=0.0,
        below=1.0,
        summary="Share of images that skip the last block in training; earlier blocks are skipped less, linearly.",
    ),
}

#: Parameters of the family `functional`.
FUNCTIONAL: Mapping[str, ParameterInfo] = {
    "num_modules": ParameterInfo(
        kind=int, default=2, low=1, high=64, summary="Modules of parallel branches, one after the other."
    ),
    "branches": ParameterInfo(
        kind=int,
        default=2,
        low=1,
        high=4,
        replaced_by="branch_kernels",
        summary="Parallel branches of a module, with kernels of side 1, 3, 5 and 7 in this order.",
    ),
    "branch_kernels": ParameterInfo(
        kind=int,
        default=(),
        low=1,
        high=15,
        entries=Entries.LIST,
        summary="Side of each branch's kernels, one entry a branch; empty: as branches says.",
    ),
    "merge": ParameterInfo(
        kind=str,
        default="concatenate",
        options=("add", "concatenate"),
        summary="How branches become one: a sum, or side by side, each with its share of the filters.",
    ),
    "skip": ParameterInfo(
        kind=str,
        default="none",
        options=("none", "add", "concatenate"),
        summary="How a module's input passes over it to its output.",
    ),
    "shared": ParameterInfo(
        kind=bool, default=False, summary="Modules of equal filters use the same convolutions again."
    ),
    **COMMON,
    "filters": replace(COMMON["filters"], summary="Filters of the first convolution and the first module."),
    "filters_growth": replace(
        COMMON["filters_growth"], summary="Factor on the filters after every pool_every modules."
    ),
    "pooling": ParameterInfo(
        kind=str, default="max", options=POOLINGS, summary="2x2 pooling after every pool_every modules but the last."
    ),
    "pool_every": ParameterInfo(
        kind=int, default=1, low=1, high=64, summary="Modules of equal filters and size in a row."
    ),
}
