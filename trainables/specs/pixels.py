"""Defines how samples become pixel values 0-255, and computes the constants of a model's first layer from these."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

NORMALIZATIONS = ("scale", "standardize", "symmetric")
#: The scaling that a pretrained backbone was trained with; only its family offers it and has the constants.
BACKBONE = "backbone"
#: What a family of users' models offers besides: the model scales its pixels itself; that, or `scale` if it does not.
OWN, AUTO = "model", "auto"

#: What is done with a TIFF of several pages: refused, the first one read, or three read as the channels of one image.
Pages = Literal["refuse", "first", "channels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelStatistics:
    """Mean and standard deviation of each channel.

    Args:
        means: By channel, 0-255.
        deviations: By channel, of the population.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelScaling:
    """A pixel value v becomes v * scale + offset.

    Args:
        scale: One number, or one a channel.
        offset: Likewise.
    """

    scale: float | list[float] = 1.0 / 255.0
    offset: float | list[float] = 0.0


def pixel_scaling(normalization: str, statistics: PixelStatistics | None = None) -> PixelScaling:
    """Returns the scaling that one of NORMALIZATIONS means; BACKBONE and OWN leave the pixels unchanged.

    >>> pixel_scaling("standardize", PixelStatistics(means=(100.0,), deviations=(50.0,)))
    PixelScaling(scale=[0.02], offset=[-2.0])

    Raises:
        ValueError: If the scaling needs statistics and got none.
    """
    match normalization:
        case "scale" | "auto":
            return PixelScaling()
        case "backbone" | "model":
            return PixelScaling(scale=1.0)
        case "symmetric":
            return PixelScaling(scale=1.0 / 127.5, offset=-1.0)
        case "standardize" if statistics is not None:
            # A channel that never changes becomes 0.
            widths = [deviation or 1.0 for deviation in statistics.deviations]
            offsets = [-mean / width for mean, width in zip(statistics.means, widths, strict=True)]
            return PixelScaling(scale=[1.0 / width for width in widths], offset=offsets)
        case "standardize":
            raise ValueError("normalization 'standardize' needs the training split's statistics, got none")
        case name:
            raise ValueError(f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {name!r}")


#: The ranges of samples of 8 bits, and of whole numbers of more bits that use what 16 bits hold.
BYTE_RANGE: tuple[float, float] = (0, 255)
WIDE_RANGE: tuple[float, float] = (0, 65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelRule:
    """How the samples of pictures become pixels of 0 to 255; one rule for all splits, decided on the training images.

    A sample v of a range (low, high) becomes (v - low) * 255 / (high - low), rounded to the nearest whole number,
    halves to even ones, and limited to 0 to 255.

    Args:
        byte: The range of samples of 8 bits.
        wide: The range of whole numbers of more bits; None: no training image has them.
        real: The range of floats.
        cuts: The kinds of which samples beyond the range are limited to it; otherwise they are an error.
        ground: The colour under transparent pixels; None: alpha is dropped.
    """

    byte: tuple[float, float] = BYTE_RANGE
    wide: tuple[float, float] | None = None
    real: tuple[float, float] = (0, 1)
    cuts: tuple[str, ...] = ()
    ground: tuple[int, int, int] | None = None

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "PixelRule":
        """Returns the rule that `dataclasses.asdict` described.

        >>> PixelRule.from_json({"byte": [0, 1], "cuts": ["byte"]})
        PixelRule(byte=(0, 1), wide=None, real=(0, 1), cuts=('byte',), ground=None)
        """
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in mapping.items()})


#: Samples of 8 bits as they are, alpha dropped.
PLAIN_RULE = PixelRule()
