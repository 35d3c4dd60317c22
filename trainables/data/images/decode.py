"""Images that come as files or bytes in an image format, decoded by Pillow in a pool of threads."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from trainables.data.images.images import BATCH_BYTES, Array, Layout, Survey
from trainables.errors import DataError
from trainables.machine.processes import usable_cpus

#: Images whose headers are read as one batch.
SURVEY_BATCH = 1024

GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
UNSCALED_MODES = frozenset({"I", "F"})

#: What Pillow raises for bytes that are not a whole image; it documents only the first.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One image in an image format: its place, for errors, and its file or bytes."""

    where: str
    content: Path | bytes


class EncodedImages:
    """A split whose images are files or bytes in image formats.

    Args:
        count: The number of images.
        items: Yields the images in order; called twice or more.
    """

    def __init__(self, *, count: int, items: Callable[[], Iterable[Encoded]]) -> None:
        self._count = count
        self._items = items
        self._num_bytes = 0

    def __len__(self) -> int:
        """Returns the number of images."""
        return self._count

    @property
    def num_bytes(self) -> int:
        """Bytes of all files, as the last survey counted them."""
        return self._num_bytes

    def names(self, rows: Sequence[int]) -> list[str]:
        """Returns where these images are, as errors name them; rows ascend."""
        wanted = set(rows)
        listed = islice(self._items(), max(wanted, default=-1) + 1)
        return [item.where for row, item in enumerate(listed) if row in wanted]

    def survey(self, survey: Survey) -> None:
        """Notes every image's size and colour from its header."""
        self._num_bytes = 0
        with _pool() as pool:
            for batch in _batched(self._items(), SURVEY_BATCH):
                self._num_bytes += sum(pool.map(_num_bytes, batch))
                for item, (size, colour) in zip(batch, pool.map(read_header, batch), strict=True):
                    survey.add(size, colour=colour, where=item.where)

    def batches(self, layout: Layout) -> Iterator[Array]:
        """Yields all images in order as uint8 (count, height, width, channels)."""
        step = max(1, BATCH_BYTES // (layout.height * layout.width * layout.channels))
        with _pool() as pool:
            for batch in _batched(self._items(), step):
                yield np.stack(list(pool.map(partial(decode, layout=layout), batch)))

    def encoded_batches(self, layout: Layout) -> Iterator[tuple[list[bytes], Array]]:
        """Yields all images in order: in image formats, and decoded from these."""
        step = max(1, BATCH_BYTES // (layout.height * layout.width * layout.channels))
        with _pool() as pool:
            for batch in _batched(self._items(), step):
                kept = list(pool.map(partial(compact, layout=layout), batch))
                yield [content for content, _ in kept], np.stack([pixels for _, pixels in kept])


def read_header(item: Encoded) -> tuple[tuple[int, int], bool]:
    """Returns an image's upright (height, width) and whether it has colour, without decoding its pixels."""
    try:
        with _open(item) as image:
            width, height = image.size
            if _orientation(image) >= 5:
                width, height = height, width
            return (height, width), image.mode not in GREY_MODES
    except BROKEN as exc:
        raise _unreadable(item, exc) from exc


def decode(item: Encoded, *, layout: Layout) -> Array:
    """Returns one upright image as uint8 (height, width, channels), resized where its size differs.

    Alpha is dropped, a palette becomes RGB, 16-bit grey is scaled to 8 bits, an animation gives its first frame.
    """
    try:
        with _open(item) as image:
            turn = TURNS.get(_orientation(image))
            picture = _with_mode(image, "L" if layout.channels == 1 else "RGB", where=item.where)
    except BROKEN as exc:
        raise _unreadable(item, exc) from exc
    if turn is not None:
        picture = picture.transpose(turn)
    if picture.size != (layout.width, layout.height):
        picture = picture.resize((layout.width, layout.height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(layout.height, layout.width, layout.channels)


def compact(item: Encoded, *, layout: Layout) -> tuple[bytes, Array]:
    """Returns an image in an image format and its pixels; a file larger than its pixels becomes a PNG of them.

    Encoded images therefore never take much more space than decoded ones, and a large photo is shrunk only once.
    """
    try:
        content = item.content if isinstance(item.content, bytes) else item.content.read_bytes()
    except OSError as exc:
        raise _unreadable(item, exc) from exc
    pixels = decode(Encoded(where=item.where, content=content), layout=layout)
    if len(content) > pixels.nbytes:
        buffer = io.BytesIO()
        # Fast rather than small: the pixels are what matters, and a PNG keeps them all.
        Image.fromarray(pixels[..., 0] if layout.channels == 1 else pixels).save(buffer, "PNG", compress_level=1)
        content = min(content, buffer.getvalue(), key=len)
    return content, pixels


def _num_bytes(item: Encoded) -> int:
    try:
        return len(item.content) if isinstance(item.content, bytes) else item.content.stat().st_size
    except OSError as exc:
        raise _unreadable(item, exc) from exc


def _open(item: Encoded) -> Image.Image:
    return Image.open(io.BytesIO(item.content) if isinstance(item.content, bytes) else item.content)


def _orientation(image: Image.Image) -> int:
    # A PNG may carry Exif data behind its pixels, and reading it would decode all of them: only leading data counts.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _with_mode(image: Image.Image, mode: str, *, where: str) -> Image.Image:
    if image.mode in UNSCALED_MODES:
        raise DataError(
            f"{where}: expected 8 or 16 bits a channel, got mode {image.mode!r}; save the image as 8-bit PNG"
        )
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 instead of scaling.
        image = Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


def _unreadable(item: Encoded, exc: BaseException) -> DataError:
    unknown = isinstance(exc, SyntaxError | UnidentifiedImageError)  # Pillow's texts name no place, or one in memory
    reason = "it is not a whole image in a known format" if unknown else str(exc)
    return DataError(f"{item.where}: cannot be read as an image: {reason}; replace or remove it")


def _batched(items: Iterable[Encoded], size: int) -> Iterator[list[Encoded]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=usable_cpus(), thread_name_prefix="decode")
