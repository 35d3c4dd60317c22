"""Lays pictures with transparent pixels on a ground, where their shapes would vanish without it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from trainables.data.images.images import Array
from trainables.data.images.measures import AlphaCount

Ground = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
#: The grounds to choose from, the usual one first.
GROUNDS = (WHITE, BLACK, (128, 128, 128), (64, 64, 64), (192, 192, 192))

#: Colours that differ by no more than this in every channel look alike.
ALIKE = 16
#: Pictures are laid on a ground where at least this share of the transparent ones lose their shapes without alpha.
SHARE_OF_LOST = 0.1


def ground_for(alpha: AlphaCount) -> Ground | None:
    """Returns the ground on which the shapes show best, or None where the colours carry the pictures.

    >>> ground_for(AlphaCount(transparent=2, lost=2, inks={0})), ground_for(AlphaCount(transparent=9))
    ((255, 255, 255), None)
    """
    if not alpha.transparent or alpha.lost < SHARE_OF_LOST * alpha.transparent:
        return None
    return max(GROUNDS, key=lambda ground: min(abs(ground[0] - ink) for ink in alpha.inks))


def looked_through(picture: Image.Image) -> tuple[bool, int | None]:
    """Returns whether a picture has transparent pixels and, if its shape is in alpha alone, the brightness of its ink.

    A shape is in alpha alone where all transparent pixels hide one colour and at least half of the outline between them
    and the others is no edge in the colours.

    >>> ink = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    >>> ink.putpixel((1, 1), (0, 0, 0, 255))
    >>> looked_through(ink)
    (True, 0)
    """
    pixels: Array = np.asarray(picture.convert("RGBA"))
    colours, alpha = pixels[..., :3].astype(np.int16), pixels[..., 3]
    if alpha.min() == 255:
        return False, None
    middle = (int(alpha.min()) + int(alpha.max()) + 1) // 2
    shown = alpha >= middle
    hidden = colours[~shown]
    if not len(hidden) or np.ptp(hidden, axis=0).max() > ALIKE:
        return True, None
    num_edges = num_alike = 0
    for axis in (0, 1):
        crosses = np.diff(shown, axis=axis)
        alike = np.abs(np.diff(colours, axis=axis)).max(axis=2) <= ALIKE
        num_edges += int(crosses.sum())
        num_alike += int((crosses & alike).sum())
    if not num_edges or 2 * num_alike < num_edges:
        return True, None
    return True, int(colours[shown].mean().round())


def on_ground(picture: Image.Image, ground: Ground) -> Image.Image:
    """Returns an RGBA picture as RGB, laid on a colour."""
    base = Image.new("RGBA", picture.size, (*ground, 255))
    return Image.alpha_composite(base, picture).convert("RGB")


def ground_of(background: Any) -> Ground | None:
    """Returns the colour that a study file names, or None for "drop".

    >>> ground_of("white"), ground_of(90), ground_of((1, 2, 3))
    ((255, 255, 255), (90, 90, 90), (1, 2, 3))
    """
    if background == "drop":
        return None
    if isinstance(background, str):
        return WHITE if background == "white" else BLACK
    return (background, background, background) if isinstance(background, int) else tuple(background)
