"""What a TIFF file's tags say that Pillow's modes do not: signed samples, samples left out, pages."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, TiffImagePlugin

from trainables.data.formats.refusals import PictureError

WIDTH, LENGTH = 256, 257
NEW_SUBFILE_TYPE, BITS, PHOTOMETRIC, SAMPLES, PLANAR, EXTRA, FORMAT = 254, 258, 262, 277, 284, 338, 339
WHITE_IS_ZERO, SEPARATE = 0, 2
FORMATS = {1: "whole numbers", 2: "signed whole numbers", 3: "floats", 4: "bits", 5: "complex whole numbers",
           6: "complex floats"}  # fmt: skip
SAVE_PLAIN = "save it as 8- or 16-bit grey or RGB"
#: Files with more pages than this are refused anyway, so that their pages need not all be visited.
_MOST_PAGES = 1000


def is_tiff(content: bytes) -> bool:
    """Returns whether bytes begin as TIFF or BigTIFF do."""
    return content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def unknown_tiff(content: bytes) -> PictureError | None:
    """Returns the error that describes a TIFF that Pillow does not know, or None where the tags cannot be read."""
    if content[:4] == b"MM\0+":
        return PictureError(
            "is a BigTIFF of big-endian samples, which cannot be read", "save it little-endian, or as TIFF"
        )
    try:
        stream = io.BytesIO(content)
        head = stream.read(16)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head if head[2] == 43 or head[3] == 43 else head[:8])
        stream.seek(tags.next)
        tags.load(stream)
        if WIDTH not in tags or LENGTH not in tags:
            return None
        return PictureError(f"is {_described(tags)}, which cannot be read", SAVE_PLAIN)
    except Exception:  # noqa: BLE001 - the bytes are damaged: whatever Pillow raises, they stay unknown
        return None


def check_samples(image: Image.Image) -> None:
    """Raises PictureError where the image's mode would not hold what the file's samples say."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, samples = tags.get(BITS, (1,)), tags.get(SAMPLES, 1)
    formats = tags.get(FORMAT, (1,))
    described = _described(tags)
    if formats[0] == 2 and bits[0] == 8:
        raise PictureError(f"is {described}, which are read as if they had no sign", "save it with unsigned samples")
    if bits[0] > 8 and tags.get(PLANAR, 1) == SEPARATE and samples > 1:
        raise PictureError(f"is {described}, in planes of their own, which cannot be read", "save it with samples "
                           "side by side (planar configuration 1)")  # fmt: skip
    if image.mode == "F" and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise PictureError(f"is {described}, and white is 0, which is not read", "save it with black as 0")
    if image.mode in ("L", "P") and samples > 1:
        raise PictureError(f"is {described}, of which the first alone would be read", SAVE_PLAIN)
    if bits[0] > 8 and samples > 1 and image.mode in ("CMYK", "La", "RGBA") and _loses_bits(tags, image.mode):
        raise PictureError(f"is {described}, as CMYK or with multiplied alpha, of which half the bits would be read",
                           "save it as 8 bits or as RGB")  # fmt: skip


def has_unused_samples(image: Image.Image) -> bool:
    """Returns whether a pixel has samples beside those of the image's mode."""
    return bool(image.tag_v2.get(SAMPLES, 1) > len(image.getbands()))  # type: ignore[attr-defined]


def is_white_zero(image: Image.Image) -> bool:
    """Returns whether black is the largest number of a 16-bit image; Pillow turns 8 bits and fewer only."""
    return image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO  # type: ignore[attr-defined]


def is_unsigned_32(image: Image.Image) -> bool:
    """Returns whether mode I holds numbers without a sign."""
    if image.format != "TIFF":
        return False
    tags = image.tag_v2  # type: ignore[attr-defined]
    return bool(tags.get(BITS, (1,))[0] == 32 and tags.get(FORMAT, (1,))[0] == 1)


def pages_of(image: Image.Image) -> list[int]:
    """Returns the numbers of the pages that are images of their own, without thumbnails and masks of others."""
    pages = []
    for number in range(min(getattr(image, "n_frames", 1), _MOST_PAGES)):
        image.seek(number)
        if not int(image.tag_v2.get(NEW_SUBFILE_TYPE, 0)) & 0b101:  # type: ignore[attr-defined]
            pages.append(number)
    image.seek(0)
    return pages or [0]


def _loses_bits(tags: Any, mode: str) -> bool:
    return mode != "RGBA" or tuple(tags.get(EXTRA, ())) == (1,)


def _described(tags: Any) -> str:
    bits, samples = tags.get(BITS, (1,)), tags.get(SAMPLES, 1)
    formats = tags.get(FORMAT, (1,))
    kind = FORMATS.get(formats[0], f"samples of format {formats[0]}")
    if samples == 1:
        return f"a TIFF of {bits[0]}-bit {kind}"
    return f"a TIFF of {samples} samples a pixel, {bits[0]}-bit {kind}"
