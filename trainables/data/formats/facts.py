"""What is known of a picture: from its header, and from its samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

#: byte: 8 bits and fewer; wide: whole numbers of more bits; float: floats.
Kind = Literal["byte", "wide", "float"]

#: Traits of headers that the survey counts.
ALPHA, FRAMES, PAGES, UNUSED = "alpha", "frames", "pages", "unused samples"
WIDE, FLOAT = "16 bits", "floats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A picture's header.

    Attributes:
        size: (height, width) of the upright picture.
        has_colour: Whether it is more than grey.
        kind: How its samples are stored.
        traits: Of ALPHA, FRAMES, PAGES and UNUSED, those that it has.
    """

    size: tuple[int, int]
    has_colour: bool
    kind: Kind = "byte"
    traits: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """A decoded picture: one of 8 bits as Pillow's image, one of more bits as an array.

    Attributes:
        picture: 8 bits and fewer, in any of Pillow's modes of them, possibly with alpha.
        values: More bits: (height, width) or (height, width, 3), whole numbers or floats.
        alpha: Beside values: uint8 (height, width).
        turn: What puts the picture upright.
        box: (left, upper, right, lower) of a picture of reduced size that the whole one fills; None: all of it.
        is_plain: Whether a file of this kind decodes to the same pixels without any setting.
    """

    picture: Image.Image | None = None
    values: np.ndarray[Any, np.dtype[Any]] | None = None
    alpha: np.ndarray[Any, np.dtype[Any]] | None = None
    turn: Image.Transpose | None = None
    box: tuple[float, float, float, float] | None = None
    is_plain: bool = True
