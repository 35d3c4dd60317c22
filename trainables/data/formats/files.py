"""Opens a picture's bytes with Pillow, never its path: what is decoded is then what the content hash covers."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import PIL
from PIL import ExifTags, Image, UnidentifiedImageError, features

from trainables.data.formats.jpeg import jpegs_are_direct
from trainables.data.formats.refusals import PictureError
from trainables.data.formats.tiff import is_tiff, unknown_tiff

#: What Pillow raises for bytes that are not a whole image; it documents only the first.
BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, IndexError, AttributeError, OverflowError,
    ZeroDivisionError, NotImplementedError, MemoryError, RuntimeError, Image.DecompressionBombError,
)  # fmt: skip

#: Formats that are programs or vector drawings, which Pillow would have another program run, and containers of other
#: things than pictures.
UNWANTED = frozenset({"EPS", "WMF", "PDF", "MPEG", "BUFR", "GRIB", "HDF5"})

#: How files begin that are taken for pictures and are none -> what they are.
NO_PICTURES = {
    (b"<!doctype html", b"<html"): "it is a web page, perhaps a failed download",
    (b"<?xml", b"<svg"): "it is XML, perhaps a vector drawing (SVG)",
    (b"version https://git-lfs",): "it is a pointer of Git LFS, whose file was not fetched (git lfs pull)",
    (b"%!ps", b"%pdf"): "it is PostScript or PDF, which is not decoded",
}
HEIC = "it is HEIC, which is not decoded; save it as JPEG or PNG"
HEIC_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftyphevc")

#: Exif orientation -> the turn that puts the image upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: The turns that exchange height and width.
QUARTER_TURNS = (TURNS[5], TURNS[6], TURNS[7], TURNS[8])

_LOCK = threading.Lock()
_FORMATS: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One image in an image format: its place, for errors, and its file or bytes."""

    where: str
    content: Path | bytes


def decoders() -> dict[str, str]:
    """Returns the version of Pillow and of each library that it decodes lossy or compressed formats with."""
    libraries = {
        "libjpeg-turbo": features.version_feature("libjpeg_turbo"),
        "libtiff": features.version_codec("libtiff"),
        "libwebp": features.version_module("webp"),
        "openjpeg": features.version_codec("jpg_2000"),
        "libavif": features.version_module("avif"),
    }
    direct = {"simplejpeg": version("simplejpeg")} if jpegs_are_direct() else {}
    return {"pillow": PIL.__version__, **direct, **{name: version for name, version in libraries.items() if version}}


def content_of(item: Encoded) -> bytes:
    """Returns the picture's bytes.

    Raises:
        PictureError: If its file cannot be read.
    """
    if isinstance(item.content, bytes):
        return item.content
    try:
        return item.content.read_bytes()
    except OSError as exc:
        raise unreadable(b"", exc) from exc


def opened(content: bytes) -> Image.Image:
    """Returns Pillow's image of these bytes, its pixels not decoded yet.

    Raises:
        PictureError: If the bytes are no picture of a known format.
    """
    try:
        return Image.open(io.BytesIO(content), formats=_formats())
    except BROKEN as exc:
        raise unreadable(content, exc) from exc


def unreadable(content: bytes, exc: BaseException) -> PictureError:
    """Returns the error for bytes that Pillow cannot open or decode."""
    if isinstance(exc, PictureError):
        return exc
    if isinstance(exc, Image.DecompressionBombError):
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        reason = f"it has more than {limit:.0f} million pixels, the most that are decoded"
        return PictureError(f"cannot be read as an image: {reason}", "shrink or remove it")
    # Pillow's texts for these name no place, or one in memory.
    if isinstance(exc, SyntaxError | UnidentifiedImageError) or not isinstance(exc, OSError | ValueError):
        tiff = unknown_tiff(content) if is_tiff(content) else None
        if tiff is not None:
            return tiff
        return PictureError(f"cannot be read as an image: {_no_picture(content)}")
    return PictureError(f"cannot be read as an image: {str(exc).rstrip('.')}")


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Returns the turn that puts a decoded image upright; None for TIFF, which Pillow turns while it decodes."""
    if image.format == "TIFF":
        return None
    # A PNG may carry Exif data behind its pixels, and reading it would decode all of them: only leading data counts.
    if image.format == "PNG" and "exif" not in image.info:
        return None
    return TURNS.get(int(image.getexif().get(ExifTags.Base.Orientation, 1)))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Returns (height, width) of the upright image, from its header."""
    width, height = image.size
    if image.format == "TIFF":
        # Whether `size` is turned before the pixels are decoded depends on Pillow's version; the tags do not.
        width, height = image.tag_v2[256], image.tag_v2[257]  # type: ignore[attr-defined]
        turned = image.tag_v2.get(ExifTags.Base.Orientation) in (5, 6, 7, 8)  # type: ignore[attr-defined]
        return (width, height) if turned else (height, width)
    turn = turn_of(image)
    return (width, height) if turn in QUARTER_TURNS else (height, width)


def _formats() -> list[str]:
    with _LOCK:
        if not _FORMATS:
            Image.init()
            _FORMATS.extend(name for name in Image.ID if name not in UNWANTED)
    return _FORMATS


def _no_picture(content: bytes) -> str:
    if not content:
        return "the file is empty"
    start = content[:512].lstrip().lower()
    known = (known for begins, known in NO_PICTURES.items() if start.startswith(begins))
    return next(known, HEIC if content[4:12] in HEIC_BRANDS else "it is not a whole image in a known format")
