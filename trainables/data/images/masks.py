"""Masks of images: one class number a pixel, read as they are and resized to the nearest pixel."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from trainables.data.formats.files import Encoded
from trainables.data.images.images import BATCH_BYTES, Array, Images, NamedImages, survey_of
from trainables.errors import DataError

#: Values that a pixel of a mask can have.
NUM_VALUES = 256
#: Pillow's modes whose samples are class numbers: a palette's numbers, too.
_MODES = ("L", "P", "1")
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


class Masks(Protocol):
    """One split's masks as the source holds them."""

    def __len__(self) -> int:
        """Returns the number of masks."""
        ...

    def check(self, images: Images) -> None:
        """Raises DataError unless every image has a mask of its own size."""
        ...

    def counts(self) -> Array:
        """Returns the number of pixels of each value, int64 (256,)."""
        ...

    def batches(self, *, height: int, width: int) -> Iterator[Array]:
        """Yields all masks in order as uint8 (count, height, width), each pixel the nearest one of the mask."""
        ...


class ArrayMasks:
    """Masks that come as one array.

    Args:
        array: (count, height, width) or (count, height, width, 1) of whole numbers from 0 to 255.
        where: The array's name in errors.

    Raises:
        DataError: If it is none.
    """

    def __init__(self, array: Array, *, where: str) -> None:
        self._where = where
        self._array = _plain(array, where=where)

    def __len__(self) -> int:
        """Returns the number of masks."""
        return len(self._array)

    def check(self, images: Images) -> None:
        """Raises DataError unless every image has a mask of its own size."""
        _demand_one_each(len(self), images, where=self._where)
        sizes = survey_of([images]).sizes
        if set(sizes) != {self._array.shape[1:]}:
            size = next(size for size in sizes if size != self._array.shape[1:])
            raise DataError(_other_size(self._where, mask=self._array.shape[1:], image=size))

    def counts(self) -> Array:
        """Returns the number of pixels of each value, int64 (256,)."""
        return sum((_counted(piece) for piece in self._pieces()), np.zeros(NUM_VALUES, np.int64))

    def batches(self, *, height: int, width: int) -> Iterator[Array]:
        """Yields all masks in order as uint8 (count, height, width), each pixel the nearest one of the mask."""
        for piece in self._pieces():
            yield np.stack([nearest(mask, height=height, width=width) for mask in piece])

    def _pieces(self) -> Iterator[Array]:
        step = max(1, BATCH_BYTES // max(1, self._array[0].size))
        for start in range(0, len(self), step):
            piece = self._array[start : start + step]
            if piece.min() < 0 or piece.max() >= NUM_VALUES or (piece.dtype.kind == "f" and (piece % 1 != 0).any()):
                strange = next(value for value in np.unique(piece).tolist() if value not in range(NUM_VALUES))
                raise DataError(
                    f"{self._where}: expected class numbers from 0 to 255, got {strange!r}; number the classes 0, 1, "
                    "2, ... and mark pixels that do not count with 255"
                )
            yield piece.astype(np.uint8)


class EncodedMasks:
    """Masks that come as PNG files or bytes.

    Args:
        count: The number of masks.
        items: Yields the masks in order; called twice.
        image_sizes: Yields the upright (height, width) of each image; None where the images come as arrays.
    """

    def __init__(
        self,
        *,
        count: int,
        items: Callable[[], Iterable[Encoded]],
        image_sizes: Callable[[], Iterable[tuple[int, int]]] | None = None,
    ) -> None:
        self._count = count
        self._items = items
        self._image_sizes = image_sizes

    def __len__(self) -> int:
        """Returns the number of masks."""
        return self._count

    def check(self, images: Images) -> None:
        """Raises DataError unless every image has a mask of its own size."""
        _demand_one_each(len(self), images, where="the masks")
        if self._image_sizes is not None:
            sizes: Iterable[tuple[int, int]] = self._image_sizes()
        else:
            (only,) = survey_of([images]).sizes
            sizes = [only] * self._count
        for row, (item, size) in enumerate(zip(self._items(), sizes, strict=True)):
            with _opened(item) as picture:
                own = (picture.height, picture.width)
            if own != size:
                (name,) = images.names([row]) if isinstance(images, NamedImages) else ("",)
                raise DataError(_other_size(item.where, mask=own, image=size, name="" if name == item.where else name))

    def counts(self) -> Array:
        """Returns the number of pixels of each value, int64 (256,)."""
        return sum((_counted(read_mask(item)) for item in self._items()), np.zeros(NUM_VALUES, np.int64))

    def batches(self, *, height: int, width: int) -> Iterator[Array]:
        """Yields all masks in order as uint8 (count, height, width), each pixel the nearest one of the mask."""
        step = max(1, BATCH_BYTES // (height * width))
        batch: list[Array] = []
        for item in self._items():
            batch.append(nearest(read_mask(item), height=height, width=width))
            if len(batch) == step:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)


def nearest(mask: Array, *, height: int, width: int) -> Array:
    """Returns a uint8 mask of another size; each pixel is the one of the mask that lies under its middle.

    >>> nearest(np.array([[0, 1], [2, 3]], np.uint8), height=1, width=4)
    array([[2, 2, 3, 3]], dtype=uint8)
    """
    if mask.shape == (height, width):
        return mask
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def read_mask(item: Encoded) -> Array:
    """Returns a PNG's samples as they are, uint8 (height, width): grey values, or a palette's numbers.

    Raises:
        DataError: If it is no PNG of one channel and at most 8 bits.
    """
    with _opened(item) as picture:
        try:
            samples = np.asarray(picture)
            # One bit a pixel is black and white, as in a mask of 0 and 255.
            return samples.astype(np.uint8) * np.uint8(255) if picture.mode == "1" else samples
        except _BROKEN as exc:
            raise DataError(f"{item.where}: the mask cannot be read: {exc}; replace it or remove the row") from exc


def _opened(item: Encoded) -> Image.Image:
    source = item.content if isinstance(item.content, Path) else io.BytesIO(item.content)
    try:
        picture = Image.open(source)
    except _BROKEN as exc:
        raise DataError(f"{item.where}: the mask is not a whole image in a known format; replace it") from exc
    if picture.format != "PNG" or picture.mode not in _MODES:
        raise DataError(
            f"{item.where}: expected a mask in PNG of one channel and at most 8 bits, got {picture.format} of mode "
            f"{picture.mode!r}; save class numbers as a grey or palette PNG (JPEG changes values)"
        )
    if picture.mode == "L" and _bits_of(item) not in (1, 8):
        raise DataError(
            f"{item.where}: the mask is a grey PNG of {_bits_of(item)} bits, whose values programs scale to 255 or "
            "leave as they are; save it with 8 bits or as a palette PNG"
        )
    if "exif" in picture.info and int(picture.getexif().get(0x0112, 1)) != 1:
        raise DataError(f"{item.where}: the mask is turned by its Exif orientation; save it upright, without Exif")
    return picture


def _bits_of(item: Encoded) -> int:
    """Returns the bits of a PNG's samples, from its header."""
    if not isinstance(item.content, Path):
        return item.content[24]
    with item.content.open("rb") as file:
        return file.read(25)[24]


def _plain(array: Array, *, where: str) -> Array:
    plain = array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array
    if plain.ndim != 3 or not plain.size:
        fix = "turn one-hot masks into class numbers: y.argmax(axis=-1)" if array.ndim == 4 else "reshape the array"
        raise DataError(
            f"{where}: expected masks of shape (count, height, width), a class number a pixel, got {array.shape}; {fix}"
        )
    if plain.dtype.kind not in "iubf":
        raise DataError(f"{where}: expected class numbers from 0 to 255, got dtype {plain.dtype}; convert them")
    return plain


def _counted(mask: Array) -> Array:
    return np.bincount(mask.reshape(-1), minlength=NUM_VALUES)


def _demand_one_each(count: int, images: Images, *, where: str) -> None:
    if count != len(images):
        raise DataError(f"{where}: there are {len(images)} images but {count} masks; give every image one mask")
    if not count:
        raise DataError(f"{where}: the split is empty; give it images or leave the split out")


def _other_size(where: str, *, mask: tuple[int, ...], image: tuple[int, int], name: str = "") -> str:
    beside = f"{name} " if name else ""
    return (
        f"{where}: the mask has {mask[0]}x{mask[1]} pixels (height x width), its upright image "
        f"{beside}{image[0]}x{image[1]}; "
        "give every image a mask of its own size"
    )


def mask_png(classes: Array) -> bytes:
    """Returns class numbers as a grey PNG, as the sources read masks.

    Args:
        classes: uint8 (height, width).
    """
    buffer = io.BytesIO()
    Image.fromarray(classes).save(buffer, "PNG")
    return buffer.getvalue()
