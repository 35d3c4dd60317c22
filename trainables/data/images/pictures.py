"""Turns the samples of one picture into the pixels of a layout, and measures what rules are decided on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from trainables.data.formats.facts import Kind, Samples
from trainables.data.formats.files import QUARTER_TURNS
from trainables.data.formats.refusals import PictureError
from trainables.data.formats.samples import has_alpha
from trainables.data.images.grounds import looked_through, on_ground
from trainables.data.images.images import Array, Layout
from trainables.data.images.measures import LARGEST_DIM, Measure
from trainables.data.images.ranges import scale_table, scaled
from trainables.errors import DataError
from trainables.specs.pixels import BYTE_RANGE, WIDE_RANGE, PixelRule

#: The modes whose samples are scaled as they are; others become RGB first.
PLAIN_MODES = frozenset({"L", "LA", "RGB", "RGBA"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one picture adds to a Measure."""

    kind: Kind
    low: float
    high: float
    is_transparent: bool
    ink: int | None

    def add_to(self, measure: Measure) -> None:
        """Adds this picture."""
        if self.kind == "byte":
            measure.byte.add(self.low, self.high)
        elif self.kind == "wide":
            measure.wide.add(self.low, self.high)
        if self.is_transparent:
            measure.alpha.add(self.ink)


def measured(samples: Samples) -> Measured:
    """Returns what a picture adds to a Measure."""
    if samples.picture is None:
        values = _values_of(samples)
        kind: Kind = "wide" if values.dtype.kind in "iu" or not samples.is_plain else "float"
        is_transparent = samples.alpha is not None and int(samples.alpha.min()) < 255
        # The shape of a picture of many bits is judged in the colours of its own range.
        own = (float(values.min()), float(values.max()))
        shown = with_alpha(scaled(values, own if own[0] < own[1] else (own[0], own[0] + 1), cuts=True), samples.alpha)
        ink = looked_through(shown)[1] if is_transparent else None
        return Measured(kind=kind, low=own[0], high=own[1], is_transparent=is_transparent, ink=ink)
    picture = plain(samples.picture)
    is_transparent, ink = looked_through(picture) if has_alpha(picture) else (False, None)
    bands = picture.convert("RGB") if picture.mode not in ("L", "RGB") else picture
    limits = np.array(bands.getextrema()).reshape(-1, 2)
    return Measured(
        kind="byte",
        low=int(limits[:, 0].min()),
        high=int(limits[:, 1].max()),
        is_transparent=is_transparent,
        ink=ink,
    )


def pixels_of(samples: Samples, layout: Layout) -> Array:
    """Returns an upright picture as uint8 (height, width, channels), resized where its size differs.

    Raises:
        PictureError: If samples lie beyond the layout's ranges.
    """
    mode = "L" if layout.channels == 1 else "RGB"
    picture = _in_range(samples, layout.rule)
    if layout.rule.ground is not None and has_alpha(picture):
        picture = on_ground(picture.convert("RGBA"), layout.rule.ground)
    elif picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    picture = picture.convert(mode)
    if samples.box is not None:
        size = (layout.height, layout.width) if samples.turn in QUARTER_TURNS else (layout.width, layout.height)
        picture = picture.resize(size, Image.Resampling.BILINEAR, box=samples.box)
    if samples.turn is not None:
        picture = picture.transpose(samples.turn)
    return _resized(picture, layout)


def in_layout(pixels: Array, layout: Layout) -> Array:
    """Returns the pixels of an upright picture, uint8 (height, width, 1 or 3), in a layout's size and channels."""
    if pixels.shape == (layout.height, layout.width, layout.channels):
        return pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return _resized(picture.convert("L" if layout.channels == 1 else "RGB"), layout)


def _resized(picture: Image.Image, layout: Layout) -> Array:
    if picture.size != (layout.width, layout.height):
        picture = picture.resize((layout.width, layout.height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(layout.height, layout.width, layout.channels)


def decodes_plainly(samples: Samples, layout: Layout) -> bool:
    """Returns whether a layout without any rule gives the same pixels."""
    if samples.picture is None or not samples.is_plain or layout.rule.byte != BYTE_RANGE:
        return False
    return layout.rule.ground is None or not has_alpha(samples.picture)


def plain(picture: Image.Image) -> Image.Image:
    """Returns a picture of 8 bits in one of PLAIN_MODES, or of black and white, with its alpha."""
    if picture.mode in PLAIN_MODES and "transparency" not in picture.info:
        return picture
    if has_alpha(picture):
        return picture.convert("RGBA")
    return picture if picture.mode == "1" else picture.convert("RGB")


def with_alpha(pixels: Array, alpha: Array | None) -> Image.Image:
    """Returns uint8 pixels, (height, width) or (height, width, 3), as a picture with its alpha."""
    picture = Image.fromarray(pixels)
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    return picture


def _in_range(samples: Samples, rule: PixelRule) -> Image.Image:
    """Returns a picture of 8 bits whose samples are pixels of 0 to 255."""
    if samples.picture is not None:
        return _byte_in_range(samples.picture, rule)
    values = _values_of(samples)
    is_real = values.dtype.kind == "f" and samples.is_plain
    limits = rule.real if is_real else (rule.wide or WIDE_RANGE)
    try:
        return with_alpha(scaled(values, limits, cuts=("real" if is_real else "wide") in rule.cuts), samples.alpha)
    except DataError as exc:
        problem, _, fix = str(exc).partition("; ")
        raise PictureError(problem, fix) from exc


def _byte_in_range(picture: Image.Image, rule: PixelRule) -> Image.Image:
    if rule.byte == BYTE_RANGE or picture.mode == "1":
        return picture
    picture = plain(picture)
    largest = _largest(picture)
    if largest > rule.byte[1] and "byte" not in rule.cuts and largest > LARGEST_DIM:
        raise PictureError(
            f"has pixels up to {largest}, but those of the training images end at {rule.byte[1]:g}",
            "give all splits pixels of one range, or set data.pixel_range: [low, high]",
        )
    table, colours = scale_table(rule.byte), len(picture.getbands()) - ("A" in picture.getbands())
    return picture.point(table * colours + list(range(256)) * (len(picture.getbands()) - colours))


def _largest(picture: Image.Image) -> int:
    pixels = np.asarray(picture.convert("RGB" if picture.mode in ("RGB", "RGBA") else "L"))
    return int(pixels.max())


def _values_of(samples: Samples) -> Array:
    if samples.values is None:
        raise ValueError("the samples have neither a picture nor values")
    return samples.values
