"""Images that come as arrays: checked, scaled to uint8, resized where asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePath

import numpy as np
from PIL import Image

from trainables.data.formats.facts import FLOAT, WIDE
from trainables.data.images.images import BATCH_BYTES, Array, Layout, Survey
from trainables.data.images.measures import Measure
from trainables.data.images.ranges import scaled
from trainables.errors import DataError
from trainables.specs.pixels import BYTE_RANGE, PixelRule


class ArrayImages:
    """A split whose images are arrays of one shape.

    Args:
        where: The array's name in errors.
        count: The number of images.
        pieces: Yields the images in order, (n, height, width) or (n, height, width, channels); called twice.
    """

    def __init__(self, where: str, *, count: int, pieces: Callable[[], Iterable[Array]]) -> None:
        self._where = where
        self._count = count
        self._pieces = pieces

    def __len__(self) -> int:
        """Returns the number of images."""
        return self._count

    def names(self, rows: Sequence[int]) -> list[str]:
        """Returns where these images are, as an index of their array."""
        return [f"{PurePath(self._where).name}[{row}]" for row in rows]

    def survey(self, survey: Survey) -> None:
        """Notes the shape of the first piece; `batches` refuses a piece of another shape."""
        for piece in self._pieces():
            _, height, width, channels = with_channels(piece, where=self._where).shape
            survey.add((height, width), colour=channels == 3, where=self._where, count=self._count)
            if piece.dtype.kind == "f" or (piece.dtype.kind in "iu" and piece.dtype != np.uint8):
                trait = FLOAT if piece.dtype.kind == "f" else WIDE
                survey.note(trait, where=self._where, count=self._count)
            return

    def measure(self, measure: Measure) -> None:
        """Notes the samples of whole numbers; of bytes only until the rule is settled."""
        for piece in self._pieces():
            if piece.dtype.kind not in "iu" or not piece.size:
                continue
            if piece.dtype != np.uint8:
                measure.wide.add(int(piece.min()), int(piece.max()))
                continue
            step = max(1, BATCH_BYTES // max(1, piece[0].nbytes))
            for start in range(0, len(piece), step):
                if measure.knows_bytes:
                    return
                some = piece[start : start + step]
                measure.byte.add(int(some.min()), int(some.max()))

    def batches(self, layout: Layout) -> Iterator[Array]:
        """Yields all images in order as uint8 (count, height, width, channels)."""
        first: tuple[int, ...] | None = None
        for piece in self._pieces():
            images = with_channels(piece, where=self._where)
            first = first or images.shape[1:]
            if images.shape[1:] != first:
                raise DataError(f"{self._where}: the images differ in shape: {first} and {images.shape[1:]}")
            step = max(1, BATCH_BYTES // max(1, images[0].nbytes))
            for start in range(0, len(images), step):
                batch = to_uint8(images[start : start + step], where=self._where, rule=layout.rule)
                yield fitted(batch, layout)


def array_images(images: Array, *, where: str) -> ArrayImages:
    """Returns the split of one array that lies in memory."""
    return ArrayImages(where, count=len(images), pieces=lambda: [images])


def with_channels(images: Array, *, where: str) -> Array:
    """Returns the images as (count, height, width, channels) with 1 or 3 channels.

    >>> with_channels(np.zeros((5, 8, 8), np.uint8), where="x").shape
    (5, 8, 8, 1)
    """
    shaped = images[..., np.newaxis] if images.ndim == 3 else images
    if shaped.ndim != 4 or 0 in shaped.shape[1:]:
        raise DataError(
            f"{where}: expected images of shape (count, height, width) or (count, height, width, channels), "
            f"got {images.shape}; reshape the array"
        )
    if shaped.shape[3] not in (1, 3):
        fix = "keep 1 (grey) or 3 (RGB) channels"
        if shaped.shape[1] in (1, 3):
            fix = "the channels seem to come first: use x.transpose(0, 2, 3, 1)"
        elif shaped.shape[3] == 4:
            fix = "drop the alpha channel: use x[..., :3]"
        raise DataError(f"{where}: expected 1 or 3 channels last, got shape {images.shape}; {fix}")
    return shaped


def to_uint8(images: Array, *, where: str, rule: PixelRule | None = None) -> Array:
    """Returns the images as uint8: bytes as they are, floats of 0 to 1 times 255, whole numbers by the rule's range.

    >>> to_uint8(np.array([0.0, 0.5, 1.0]), where="x")
    array([  0, 128, 255], dtype=uint8)
    """
    rule = rule or PixelRule()
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    if images.dtype == np.uint8:
        return images if rule.byte == BYTE_RANGE else scaled(images, rule.byte, cuts="byte" in rule.cuts, where=where)
    if images.dtype.kind in "iu":
        return scaled(images, rule.wide or BYTE_RANGE, cuts="wide" in rule.cuts, where=where)
    if images.dtype.kind == "f":
        return scaled(images, rule.real, cuts="real" in rule.cuts, where=where)
    raise DataError(f"{where}: expected pixels of dtype uint8 or float, got {images.dtype}; convert the array")


def fitted(images: Array, layout: Layout) -> Array:
    """Returns uint8 images (count, height, width, channels) in the layout's channels and size."""
    if layout.channels == 1:
        images = _recoloured(images, 1)  # before resizing, as files are, and a third of the work
    if images.shape[1:3] != (layout.height, layout.width):
        images = _resized(images, layout)
    return _recoloured(images, layout.channels)


def _resized(images: Array, layout: Layout) -> Array:
    rows = np.empty((len(images), layout.height, layout.width, images.shape[3]), np.uint8)
    for row, pixels in zip(rows, images, strict=True):
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        resized = picture.resize((layout.width, layout.height), Image.Resampling.BILINEAR)
        row[...] = np.asarray(resized).reshape(row.shape)
    return rows


def _recoloured(images: Array, channels: int) -> Array:
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    # ITU-R 601-2 luma in Pillow's own fixed-point numbers: files and arrays turn grey alike.
    weights = np.array([19595, 38470, 7471], np.uint32)
    grey = (images.astype(np.uint32) @ weights + 0x8000) >> 16
    return grey.astype(np.uint8)[..., np.newaxis]
