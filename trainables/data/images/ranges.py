"""Scales samples of any depth to pixels of 0 to 255, by one range for all splits."""

from __future__ import annotations

import numpy as np

from trainables.data.images.images import Array
from trainables.data.images.measures import LARGEST_DIM, Extent
from trainables.errors import DataError
from trainables.specs.pixels import BYTE_RANGE, WIDE_RANGE, PixelRule

Limits = tuple[float, float]

#: Whole numbers of more than 8 bits are scaled from their own range where it is below this; 14 bits are.
SMALLEST_FULL_WIDTH = 1 << 14


def byte_range(extent: Extent) -> Limits:
    """Returns the range of samples of 8 bits: all 256 values, or up to the largest where that is tiny.

    >>> byte_range(Extent(0, 1)), byte_range(Extent(3, 200)), byte_range(Extent(0, 0))
    ((0, 1), (0, 255), (0, 255))
    """
    return (0, int(extent.high)) if 1 <= extent.high <= LARGEST_DIM and extent.low >= 0 else BYTE_RANGE


def wide_range(extent: Extent) -> Limits:
    """Returns the range of whole numbers of more than 8 bits.

    Numbers within 0 to 255 are taken as 8 bits. Unsigned 16 bits that use a quarter of their range keep all of it. All
    others are scaled from the smallest to the largest that the training images have.

    >>> wide_range(Extent(127, 2191)), wide_range(Extent(0, 40000)), wide_range(Extent(-1024, 3071))
    ((127, 2191), (0, 65535), (-1024, 3071))
    """
    low, high = _number(extent.low), _number(extent.high)
    if low >= 0 and high <= 255:
        return byte_range(extent)
    if low >= 0 and high <= 65535 and (high - low >= SMALLEST_FULL_WIDTH or low == high):
        return WIDE_RANGE
    return (low, high) if low < high else (low, low + 1)


def scaled(samples: Array, limits: Limits, *, cuts: bool, where: str = "") -> Array:
    """Returns samples as uint8: `limits` become 0 and 255, what lies between them is rounded.

    >>> scaled(np.array([127, 1159, 2191, 4000]), (127, 2191), cuts=True).tolist()
    [0, 128, 255, 255]

    Args:
        samples: Whole numbers or floats of any shape.
        limits: (low, high), high above low.
        cuts: Whether samples beyond the limits are limited to 0 or 255.
        where: What the samples are in errors.

    Raises:
        DataError: If a sample is beyond the limits and `cuts` is false, or is NaN.
    """
    low, high = limits
    darkest, brightest = samples.min(), samples.max()
    is_within = bool(darkest >= low and brightest <= high)
    if samples.dtype.kind in "iu" and darkest >= low and max(brightest, high) <= LARGEST_DIM:
        cuts = True  # a little brighter than all of the dim training images
    if not is_within and (not cuts or np.isnan(darkest)):
        raise DataError(_beyond(samples, limits, where=where))
    if is_within and limits == BYTE_RANGE and samples.dtype.kind in "iu":
        return samples.astype(np.uint8)
    if samples.dtype == np.uint16 and samples.size > 1 << 16:
        return _scaled(np.arange(1 << 16), limits)[samples]
    return _scaled(samples, limits)


def scale_table(limits: Limits) -> list[int]:
    """Returns the pixel of each of 256 samples."""
    return _scaled(np.arange(256), limits).tolist()


def _scaled(samples: Array, limits: Limits) -> Array:
    low, high = limits
    values = (samples.astype(np.float64) - low) * 255.0 / (high - low)
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _beyond(samples: Array, limits: Limits, *, where: str) -> str:
    place = f"{where}: " if where else ""
    if samples.dtype.kind == "f" and np.isnan(samples).any():
        return f"{place}some samples are NaN (not a number); fill or remove them"
    kind = "float" if samples.dtype.kind == "f" else "whole-number"
    found = f"{samples.min():g}..{samples.max():g}" if kind == "float" else f"{samples.min()}..{samples.max()}"
    return (
        f"{place}expected {kind} pixels in {limits[0]:g}..{limits[1]:g}, got {found}; "
        "set data.pixel_range: [low, high], the numbers that become black and white"
    )


def rule_of(
    pixel_range: str | Limits,
    *,
    byte: Extent,
    wide: Extent,
    ground: tuple[int, int, int] | None,
) -> PixelRule:
    """Returns the rule for all images of a data set.

    Args:
        pixel_range: "auto", "full" or (low, high), as the study file says.
        byte: What the training images of 8 bits have; need not be whole where it exceeds LARGEST_DIM.
        wide: What the training images of whole numbers of more bits have.
        ground: The colour under transparent pixels.
    """
    if isinstance(pixel_range, tuple):
        kinds = ("byte", "wide", "real")
        return PixelRule(byte=pixel_range, wide=pixel_range, real=pixel_range, cuts=kinds, ground=ground)
    if pixel_range == "full":
        return PixelRule(wide=WIDE_RANGE, ground=ground)
    limits = None if wide.is_empty else wide_range(wide)
    if ground is not None:
        # Dark ink is dark, however little of the range it uses: the ground is the bright part.
        dark = limits is not None and 0 < limits[1] <= LARGEST_DIM
        limits, byte = WIDE_RANGE if dark else limits, Extent()
    is_full = limits is None or limits in (BYTE_RANGE, WIDE_RANGE) or limits[1] <= LARGEST_DIM
    return PixelRule(byte=byte_range(byte), wide=limits, cuts=() if is_full else ("wide",), ground=ground)
