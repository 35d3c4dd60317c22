"""Computes the constants of a model's first layer, which scales pixel values 0-255."""

from dataclasses import dataclass

NORMALIZATIONS = ("scale", "standardize", "symmetric")
#: The scaling that a pretrained backbone was trained with; only its family offers it and has the constants.
BACKBONE = "backbone"


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
    """Returns the scaling that one of NORMALIZATIONS means; BACKBONE leaves the pixels unchanged for the family.

    >>> pixel_scaling("standardize", PixelStatistics(means=(100.0,), deviations=(50.0,)))
    PixelScaling(scale=[0.02], offset=[-2.0])

    Raises:
        ValueError: If the scaling needs statistics and got none.
    """
    match normalization:
        case "scale":
            return PixelScaling()
        case "backbone":
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
