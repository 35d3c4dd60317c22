"""Images that come as files or bytes in an image format, decoded by Pillow in a pool of threads."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from PIL import Image

from trainables.data.formats.facts import ALPHA, FLOAT, WIDE, Header
from trainables.data.formats.files import Encoded, content_of
from trainables.data.formats.jpeg import jpeg_pixels
from trainables.data.formats.refusals import PictureError, Refusal, refused
from trainables.data.formats.samples import read_header, read_samples
from trainables.data.images.images import BATCH_BYTES, LEAST_REDUCED, Array, Layout, Survey
from trainables.data.images.measures import Measure
from trainables.data.images.pictures import Measured, decodes_plainly, in_layout, measured, pixels_of
from trainables.machine.processes import usable_cpus
from trainables.specs.pixels import BYTE_RANGE, Pages

__all__ = ["Encoded", "EncodedImages", "compact", "decode", "read_header"]

#: Images whose headers are read as one batch.
SURVEY_BATCH = 1024
#: Images that are measured as one batch where every one counts, and where the first one often settles what is asked.
MEASURE_BATCH, FIRST_BATCH = 64, 2

#: Images that a thread takes at once, at most.
IMAGES_A_TASK = 64

T = TypeVar("T")


class EncodedImages:
    """A split whose images are files or bytes in image formats.

    Args:
        count: The number of images.
        items: Yields the images in order; called several times.
    """

    def __init__(self, *, count: int, items: Callable[[], Iterable[Encoded]]) -> None:
        self._count = count
        self._items = items
        self._num_bytes = 0
        self._traits: set[str] = set()

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
        """Notes every image's size, colour and traits from its header."""
        self._num_bytes = 0
        for item, (size_bytes, header) in self._each(partial(_surveyed, pages=survey.pages), step=SURVEY_BATCH):
            self._num_bytes += size_bytes
            survey.add(header.size, colour=header.has_colour, where=item.where)
            for trait in _traits_of(header):
                self._traits.add(trait)
                survey.note(trait, where=item.where)

    def measure(self, measure: Measure) -> None:
        """Notes the samples of images of more than 8 bits and with alpha; of the others, until the rule is settled."""
        has_more = bool(self._traits & {WIDE, ALPHA})

        def one(item: Encoded) -> Measured | None:
            header = read_header(item, pages=measure.pages)
            if header.kind == "byte" and ALPHA not in header.traits and measure.knows_bytes:
                return None
            return measured(read_samples(content_of(item), pages=measure.pages))

        for _, found in self._each(one, step=MEASURE_BATCH if has_more else FIRST_BATCH):
            if found is not None:
                found.add_to(measure)
            if measure.knows_bytes and not has_more:
                return

    def batches(self, layout: Layout) -> Iterator[Array]:
        """Yields all images in order as uint8 (count, height, width, channels)."""
        for batch in self._batches(partial(decode, layout=layout), layout):
            yield np.stack(batch)

    def encoded_batches(self, layout: Layout) -> Iterator[tuple[list[bytes], Array]]:
        """Yields all images in order: in image formats, and decoded from these."""
        for batch in self._batches(partial(compact, layout=layout), layout):
            yield [content for content, _ in batch], np.stack([pixels for _, pixels in batch])

    def _batches(self, work: Callable[[Encoded], T], layout: Layout) -> Iterator[list[T]]:
        step = max(1, BATCH_BYTES // (layout.height * layout.width * layout.channels))
        batch: list[T] = []
        for _, done in self._each(work, step=step):
            batch.append(done)
            if len(batch) == step:
                yield batch
                batch = []
        if batch:
            yield batch

    def _each(self, work: Callable[[Encoded], T], *, step: int) -> Iterator[tuple[Encoded, T]]:
        """Yields every image with what `work` returns of it, up to the first one that is refused.

        Raises:
            DataError: At the end, for all that were refused.
        """
        refusals: list[Refusal] = []
        with _pool() as pool:
            for batch in _batched(self._items(), step):
                # Several images a task: handing over one small image takes longer than decoding it.
                size = max(1, min(IMAGES_A_TASK, len(batch) // (4 * usable_cpus())))
                tasks = [batch[start : start + size] for start in range(0, len(batch), size)]
                done = chain.from_iterable(pool.map(partial(_tried, work=work), tasks))
                for item, result in zip(batch, done, strict=True):
                    if isinstance(result, Refusal):
                        refusals.append(result)
                    elif not refusals:
                        yield item, result
        if refusals:
            raise refused(refusals, total=self._count)


def decode(item: Encoded, *, layout: Layout) -> Array:
    """Returns one upright image as uint8 (height, width, channels), resized where its size differs.

    Raises:
        PictureError: If it cannot be read, or its samples lie beyond the layout's ranges.
    """
    return _decoded(content_of(item), layout=layout)[0]


def compact(item: Encoded, *, layout: Layout) -> tuple[bytes, Array]:
    """Returns an image in an image format and its pixels, which the format gives without any rule.

    A file that is larger than its pixels, or that needs a rule, becomes a PNG of its pixels. Encoded images therefore
    never take much more space than decoded ones, and a large photo is shrunk only once.
    """
    content = content_of(item)
    pixels, is_plain = _decoded(content, layout=layout)
    if is_plain and len(content) <= pixels.nbytes:
        return content, pixels
    buffer = io.BytesIO()
    # Fast rather than small: the pixels are what matters, and a PNG keeps them all.
    Image.fromarray(pixels[..., 0] if layout.channels == 1 else pixels).save(buffer, "PNG", compress_level=1)
    png = buffer.getvalue()
    return (min(content, png, key=len) if is_plain else png), pixels


def _decoded(content: bytes, *, layout: Layout) -> tuple[Array, bool]:
    """Returns a picture's pixels, and whether a layout without any rule gives the same."""
    if layout.rule.byte == BYTE_RANGE and (pixels := jpeg_pixels(content)) is not None:
        return in_layout(pixels, layout), True
    least = None
    if layout.reduces:
        least = (math.ceil(LEAST_REDUCED * layout.height), math.ceil(LEAST_REDUCED * layout.width))
    samples = read_samples(content, pages=layout.pages, least_size=least)
    return pixels_of(samples, layout), decodes_plainly(samples, layout)


def _surveyed(item: Encoded, *, pages: Pages) -> tuple[int, Header]:
    content = content_of(item)
    return len(content), read_header(Encoded(where=item.where, content=content), pages=pages)


def _traits_of(header: Header) -> Iterator[str]:
    yield from sorted(header.traits)
    if header.kind != "byte":
        yield WIDE if header.kind == "wide" else FLOAT


def _tried(items: Sequence[Encoded], *, work: Callable[[Encoded], T]) -> list[T | Refusal]:
    done: list[T | Refusal] = []
    for item in items:
        try:
            done.append(work(item))
        except PictureError as exc:
            done.append(Refusal.of(item.where, exc))
    return done


def _batched(items: Iterable[Encoded], size: int) -> Iterator[list[Encoded]]:
    """Yields so many items at once, or fewer: those that come as bytes lie in memory until their batch is done."""
    batch: list[Encoded] = []
    num_bytes = 0
    for item in items:
        batch.append(item)
        num_bytes += len(item.content) if isinstance(item.content, bytes) else 0
        if len(batch) == size or num_bytes >= BATCH_BYTES:
            yield batch
            batch, num_bytes = [], 0
    if batch:
        yield batch


def _pool() -> Executor:
    return ThreadPoolExecutor(max_workers=usable_cpus(), thread_name_prefix="decode")
