"""Decodes small ordinary JPEGs with libjpeg-turbo directly: the bits that Pillow gives, in a sixth of the time."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image

from trainables.data.formats.facts import Header

try:
    import simplejpeg
except ImportError:  # no wheel for this platform: Pillow decodes everything
    simplejpeg = None

#: A larger photo's time goes to the library that both use, and Pillow gives it back without a copy.
MOST_PIXELS = 512 * 512
#: What only Pillow is asked about: an orientation, and pictures behind the first.
MARKS = (b"Exif\0\0", b"MPF\0")
COLOURS = {"Gray": ("GRAY", 1), "YCbCr": ("RGB", 3)}


def jpeg_header(content: bytes) -> Header | None:
    """Returns the header of an ordinary JPEG; None for everything else, which Pillow reads."""
    found = _size_and_colour(content)
    return Header(size=found[0], has_colour=found[1] != "Gray") if found else None


def jpeg_pixels(content: bytes) -> np.ndarray[Any, np.dtype[Any]] | None:
    """Returns the pixels of an ordinary small JPEG, uint8 (height, width, 1 or 3); None for everything else."""
    found = _size_and_colour(content)
    if found is None or not jpegs_are_direct():
        return None
    try:
        # Strict: what libjpeg would only warn of goes to Pillow, which refuses or reads it as ever.
        pixels = simplejpeg.decode_jpeg(content, colorspace=COLOURS[found[1]][0], fastdct=False, fastupsample=False)
    except (ValueError, RuntimeError, MemoryError):
        return None
    return np.asarray(pixels)


@functools.cache
def jpegs_are_direct() -> bool:
    """Returns whether simplejpeg is there and its libjpeg-turbo gives Pillow's bits, from a few small pictures."""
    if simplejpeg is None:
        return False
    noise = np.random.default_rng(0).integers(0, 256, (37, 45, 3), dtype=np.uint8)
    for picture in (Image.fromarray(noise), Image.fromarray(noise[..., 0])):
        for subsampling in (0, 1, 2):
            for is_progressive in (False, True):
                buffer = io.BytesIO()
                picture.save(buffer, "JPEG", quality=80, subsampling=subsampling, progressive=is_progressive)
                space = "GRAY" if picture.mode == "L" else "RGB"
                ours = simplejpeg.decode_jpeg(buffer.getvalue(), colorspace=space).reshape(37, 45, -1)
                theirs = np.asarray(Image.open(buffer)).reshape(37, 45, -1)
                if not np.array_equal(ours, theirs):
                    return False
    return True


def _size_and_colour(content: bytes) -> tuple[tuple[int, int], str] | None:
    if simplejpeg is None or content[:3] != b"\xff\xd8\xff":
        return None
    try:
        height, width, colour, _ = simplejpeg.decode_jpeg_header(content)
    except (ValueError, RuntimeError):
        return None
    if colour not in COLOURS or not 0 < height * width <= MOST_PIXELS or any(mark in content for mark in MARKS):
        return None
    return (height, width), colour
