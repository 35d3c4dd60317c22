"""What each parameter of a family may be, so that a study is checked before anything is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainables.normalization import NORMALIZATIONS

ACTIVATIONS = ("relu", "elu", "gelu", "selu", "silu", "leaky_relu", "tanh")
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")


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
        options: The only values, if not empty.
    """

    kind: type
    default: Any
    summary: str
    low: float | None = None
    high: float | None = None
    below: float | None = None
    options: tuple[Any, ...] = ()

    def complaint(self, value: object) -> str:
        """Returns what is wrong with a value, or an empty string.

        >>> ParameterInfo(kind=int, default=3, summary="", low=1).complaint(0)
        'must be an int >= 1, got 0'
        """
        return "" if self._is_allowed(value) else f"must be {self.expectation}, got {value!r}"

    def normalised(self, value: Any) -> Any:
        """Returns an allowed value in its own kind: Keras refuses an int where it means a float.

        >>> ParameterInfo(kind=float, default=0.9, summary="").normalised(1)
        1.0
        """
        return float(value) if self.kind is float else value

    def _is_allowed(self, value: object) -> bool:
        if self.options:
            return any(value == option and type(value) is type(option) for option in self.options)
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
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
        article = "an" if self.kind is int else "a"
        return " ".join([f"{article} {self.kind.__name__}", " and ".join(bounds)]).strip()


_COMMON: Mapping[str, ParameterInfo] = {
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
    **_COMMON,
    "kernel_size": ParameterInfo(kind=int, default=3, low=1, high=15, summary="Side of the convolution kernels."),
    "stride": ParameterInfo(kind=int, default=1, low=1, high=8, summary="Stride of the convolutions."),
    "padding": ParameterInfo(
        kind=str, default="same", options=("same", "valid"), summary="Padding of convolutions and pooling."
    ),
    "pooling": ParameterInfo(
        kind=str, default="max", options=("max", "average", "none"), summary="2x2 pooling at the end of each block."
    ),
    "dense_units": ParameterInfo(
        kind=int, default=0, low=0, high=65536, summary="Units of a hidden dense layer before the output; 0: none."
    ),
}

#: Parameters of the family `residual`.
RESIDUAL: Mapping[str, ParameterInfo] = {
    "num_stages": ParameterInfo(
        kind=int, default=3, low=1, high=8, summary="Stages; each but the first halves height and width."
    ),
    "blocks_per_stage": ParameterInfo(kind=int, default=1, low=1, high=64, summary="Residual blocks in each stage."),
    **_COMMON,
}

#: Parameters of how a variant is trained, for every family.
TRAINING: Mapping[str, ParameterInfo] = {
    "optimizer": ParameterInfo(kind=str, default="adam", options=OPTIMIZERS, summary="Keras optimizer."),
    "learning_rate": ParameterInfo(
        kind=float, default=1e-3, low=1e-8, high=100.0, summary="Step size of the optimizer."
    ),
    "momentum": ParameterInfo(
        kind=float, default=0.9, low=0.0, below=1.0, summary="Nesterov momentum of sgd; others ignore it."
    ),
    "weight_decay": ParameterInfo(
        kind=float, default=0.0, low=0.0, high=1.0, summary="Decoupled weight decay of any optimizer; 0: none."
    ),
    "batch_size": ParameterInfo(kind=int, default=128, low=1, high=65536, summary="Images a training step."),
    "label_smoothing": ParameterInfo(
        kind=float, default=0.0, low=0.0, below=1.0, summary="Share of the target spread evenly over all classes."
    ),
    "augment_strength": ParameterInfo(
        kind=float, default=1.0, low=0.0, high=2.0, summary="Factor of every amount in data.augment; 0: none."
    ),
    "normalization": ParameterInfo(
        kind=str,
        default="scale",
        options=NORMALIZATIONS,
        summary="Pixels to 0-1, to mean 0 and deviation 1 by channel of the training split, or to -1..1.",
    ),
}
