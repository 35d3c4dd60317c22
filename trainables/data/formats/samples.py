"""Reads a picture's header, and its samples with all the bits that the file has."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from trainables.data.formats.dicom import dicom_header, dicom_samples, is_dicom
from trainables.data.formats.facts import ALPHA, FRAMES, PAGES, UNUSED, Header, Kind, Samples
from trainables.data.formats.files import (
    BROKEN,
    QUARTER_TURNS,
    Encoded,
    content_of,
    opened,
    turn_of,
    unreadable,
    upright_size,
)
from trainables.data.formats.jpeg import jpeg_header
from trainables.data.formats.refusals import PictureError
from trainables.data.formats.tiff import check_samples, has_unused_samples, is_unsigned_32, is_white_zero, pages_of
from trainables.specs.pixels import Pages

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})

#: Pillow keeps the high byte of a 16-bit colour sample; read with the other order of bytes, it keeps the low one.
OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
#: libtiff returns samples in this machine's order of bytes; Pillow takes those of big-endian files for theirs.
NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
GREY_ALPHA_16 = "LA;16B"


def read_header(item: Encoded, *, pages: Pages = "refuse") -> Header:
    """Returns what an image's header says, without decoding its pixels.

    Raises:
        PictureError: If the bytes are no image, or one whose pixels cannot be read right.
    """
    content = content_of(item)
    if (header := jpeg_header(content)) is not None:
        return header
    if is_dicom(content):
        return dicom_header(content)
    try:
        with opened(content) as image:
            numbers = _wanted_pages(image, pages=pages)
            return _header(image, num_pages=len(numbers))
    except BROKEN as exc:
        raise unreadable(content, exc) from exc


def read_samples(content: bytes, *, pages: Pages = "refuse", least_size: tuple[int, int] | None = None) -> Samples:
    """Returns an image's samples.

    Args:
        content: The bytes of its file.
        pages: What is done with a TIFF of several pages.
        least_size: (height, width) down to which a JPEG may be decoded at a reduced size; None: as it is.

    Raises:
        PictureError: If the bytes are no whole image, or one whose pixels cannot be read right.
    """
    if is_dicom(content):
        return dicom_samples(content)
    try:
        with opened(content) as image:
            numbers = _wanted_pages(image, pages=pages)
            if least_size is not None and (box := _reduced(image, least_size)) is not None:
                return replace(_samples(image, content, page=0), box=box, is_plain=False)
            if len(numbers) == 1:
                return _samples(image, content, page=numbers[0])
            return _in_channels([_samples(image, content, page=number) for number in numbers])
    except BROKEN as exc:
        raise unreadable(content, exc) from exc


def has_alpha(image: Image.Image) -> bool:
    """Returns whether pixels of an image may be transparent."""
    return image.mode in ALPHA_MODES or "transparency" in image.info


def _header(image: Image.Image, *, num_pages: int) -> Header:
    traits = {ALPHA} if has_alpha(image) else set()
    if image.format == "TIFF":
        if num_pages > 1 or getattr(image, "n_frames", 1) > 1:
            traits.add(PAGES)
        if has_unused_samples(image):
            traits.add(UNUSED)
    elif getattr(image, "is_animated", False):
        traits.add(FRAMES)
    is_grey = image.mode in GREY_MODES or _raw_mode(image) == GREY_ALPHA_16
    return Header(
        size=upright_size(image),
        has_colour=num_pages == 3 or not is_grey,
        kind=_kind(image),
        traits=frozenset(traits),
    )


def _wanted_pages(image: Image.Image, *, pages: Pages) -> Sequence[int]:
    """Returns the pages to read, and turns to the first of them; other formats than TIFF have one."""
    if image.format != "TIFF":
        return [0]
    numbers = pages_of(image)
    if len(numbers) > 1:
        if pages == "refuse":
            raise PictureError(
                f"is a TIFF of {len(numbers)} pages, expected one",
                "set data.pages: first to read the first page of each file, or data.pages: channels to read three "
                "grey pages as the channels of one image",
            )
        if pages == "channels" and len(numbers) != 3:
            raise PictureError(
                f"is a TIFF of {len(numbers)} pages, expected 1 or 3 to read as channels", "set data.pages: first"
            )
        numbers = numbers[:1] if pages == "first" else numbers
    for number in reversed(numbers):
        image.seek(number)
        check_samples(image)
        if len(numbers) == 3 and image.mode not in ("L", "1") and not image.mode.startswith(("I", "F")):
            raise PictureError(f"has a page of mode {image.mode}, expected three grey pages", "set data.pages: first")
    return numbers


def _reduced(image: Image.Image, least_size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """Sets a JPEG to its smallest reduced size that is no smaller than this, if there is one.

    Returns:
        What of the reduced picture the whole one fills: its last row and column may be parts.
    """
    if image.format not in ("JPEG", "MPO"):
        return None
    before, height_and_width = image.size, least_size
    if turn_of(image) in QUARTER_TURNS:
        height_and_width = least_size[::-1]
    drafted = image.draft(image.mode, height_and_width[::-1])
    return None if drafted is None or image.size == before else drafted[1]


def _kind(image: Image.Image) -> Kind:
    if image.mode == "F":
        return "float"
    return "wide" if image.mode.startswith("I") or _is_wide_colour(image) else "byte"


def _raw_mode(image: Image.Image) -> str:
    mode = _tile(image)[3]
    return str(mode[0] if isinstance(mode, tuple) and mode else mode)


def _tile(image: Image.Image) -> Any:
    """Returns the decoder, the box, the offset and the arguments of an image's first tile."""
    tiles: Any = getattr(image, "tile", None)
    return tiles[0] if tiles else ("", (), 0, "")


def _is_wide_colour(image: Image.Image) -> bool:
    is_colour = image.mode in ("RGB", "RGBA")
    return is_colour and image.format in ("PNG", "TIFF") and _raw_mode(image)[:-1].endswith(";16")


def _samples(image: Image.Image, content: bytes, *, page: int) -> Samples:
    if getattr(image, "n_frames", 1) > 1 and image.format == "TIFF":
        image.seek(page)
    turn, kind, transparent = turn_of(image), _kind(image), image.info.get("transparency")
    if kind == "byte":
        image.load()
        return Samples(picture=image.copy() if image.format == "TIFF" else image, turn=turn)
    if _is_wide_colour(image):
        values, alpha = _wide_colour(image, content, page=page)
    else:
        values, alpha = _wide_grey(image), None
    if alpha is None and transparent is not None:
        hidden = values == np.asarray(transparent)
        alpha = np.where(hidden.all(axis=2) if hidden.ndim == 3 else hidden, 0, 255).astype(np.uint8)
    return Samples(values=values, alpha=alpha, turn=turn)


def _wide_grey(image: Image.Image) -> np.ndarray[Any, np.dtype[Any]]:
    inverted, unsigned_32 = is_white_zero(image), is_unsigned_32(image)
    if _tile(image)[0] == "libtiff" and (native := NATIVE.get(_raw_mode(image))) is not None:
        image = _read_as(image, native)
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        values = values.astype(np.uint16)
        return np.uint16(65535) - values if inverted else values
    if inverted:
        raise PictureError("has whole numbers of 32 bits of which white is 0, which is not read", "save black as 0")
    return values.view(np.uint32) if unsigned_32 else values


def _wide_colour(
    image: Image.Image, content: bytes, *, page: int
) -> tuple[np.ndarray[Any, np.dtype[Any]], np.ndarray[Any, np.dtype[Any]] | None]:
    """Returns uint16 samples and, where the file has it, alpha in 8 bits."""
    raw = _raw_mode(image)
    if raw == GREY_ALPHA_16:
        pairs = np.asarray(_read_as(image, "RGBA")).astype(np.uint16)
        return pairs[..., 0] << 8 | pairs[..., 1], _to_byte(pairs[..., 2] << 8 | pairs[..., 3])
    with opened(content) as second:
        if page:
            second.seek(page)
        low = np.asarray(_read_as(second, raw[:-1] + OTHER_BYTE[raw[-1]]))
    high = np.asarray(image).astype(np.uint16)
    values = high << 8 | low
    return values[..., :3], _to_byte(values[..., 3]) if values.shape[2] == 4 else None


def _read_as(image: Image.Image, raw_mode: str) -> Image.Image:
    """Decodes an image whose bytes are unpacked in another way than its header says."""
    tiles: list[Any] = list(image.tile)  # type: ignore[attr-defined]
    image.tile = [  # type: ignore[attr-defined]
        type(tile)(tile[0], tile[1], tile[2], raw_mode if isinstance(tile[3], str) else (raw_mode, *tile[3][1:]))
        for tile in tiles
    ]
    image.load()
    return image


def _to_byte(values: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _in_channels(pages: Sequence[Samples]) -> Samples:
    pictures = [page.picture for page in pages]
    values = [page.values if page.values is not None else np.asarray(page.picture) for page in pages]
    if len({array.shape for array in values}) > 1:
        raise PictureError("has pages of different sizes, which cannot be channels", "set data.pages: first")
    if all(picture is not None for picture in pictures):
        grey = [picture.convert("L") for picture in pictures if picture is not None]
        return Samples(picture=Image.merge("RGB", grey), is_plain=False)
    if any(picture is not None for picture in pictures):
        raise PictureError("has pages of different bit depths, which cannot be channels", "set data.pages: first")
    return Samples(values=np.stack(values, axis=2))
