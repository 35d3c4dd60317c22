"""Several images of every example, stored as one: side by side in the channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from trainables.data.images.images import Array, EncodableImages, Images, Layout, NamedImages, Survey
from trainables.data.images.measures import Measure
from trainables.errors import DataError

Piece = TypeVar("Piece")


class SideBySide:
    """A split whose examples have one image of each input; all are decoded to one layout.

    Args:
        inputs: The images of each input; at least two inputs with equal numbers of images.
    """

    def __init__(self, inputs: Mapping[str, Images]) -> None:
        self._inputs = list(inputs.values())

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._inputs[0])

    def names(self, rows: Sequence[int]) -> list[str]:
        """Returns the names of these examples: those of their first images."""
        first = self._inputs[0]
        return first.names(rows) if isinstance(first, NamedImages) else [f"row {row}" for row in rows]

    def survey(self, survey: Survey) -> None:
        """Notes the size of every image of every input."""
        for images in self._inputs:
            images.survey(survey)

    def measure(self, measure: Measure) -> None:
        """Notes the samples of the images of every input."""
        for images in self._inputs:
            images.measure(measure)

    def batches(self, layout: Layout) -> Iterator[Array]:
        """Yields all examples in order as uint8 (count, height, width, inputs x channels)."""
        sources = [images.batches(layout) for images in self._inputs]
        for pieces in _in_step(sources, size=len, cut=lambda piece, where: piece[where]):
            yield np.concatenate(pieces, axis=3)


class EncodableSideBySide(SideBySide):
    """A split of several inputs that the cache may keep in their image formats.

    Args:
        inputs: The images of each input, as in SideBySide.
    """

    def __init__(self, inputs: Mapping[str, EncodableImages]) -> None:
        super().__init__(inputs)
        self._encodable = list(inputs.values())

    @property
    def num_bytes(self) -> int:
        """Bytes of all images in their formats, as the last survey counted them."""
        return sum(images.num_bytes for images in self._encodable)

    def encoded_batches(self, layout: Layout) -> Iterator[tuple[list[bytes], Array]]:
        """Yields all examples in order: each one's images in turn, and these decoded as `batches` yields them."""
        sources = [images.encoded_batches(layout) for images in self._encodable]

        def cut(piece: tuple[list[bytes], Array], where: slice) -> tuple[list[bytes], Array]:
            return piece[0][where], piece[1][where]

        for pieces in _in_step(sources, size=lambda piece: len(piece[1]), cut=cut):
            contents = [content for row in zip(*(contents for contents, _ in pieces), strict=True) for content in row]
            yield contents, np.concatenate([pixels for _, pixels in pieces], axis=3)


def _in_step(
    sources: Sequence[Iterator[Piece]], *, size: Callable[[Piece], int], cut: Callable[[Piece, slice], Piece]
) -> Iterator[list[Piece]]:
    """Yields pieces of equal size from every source, because sources yield batches of different sizes."""
    pieces: list[Piece | None] = [None] * len(sources)
    while True:
        for place, source in enumerate(sources):
            if pieces[place] is None:
                pieces[place] = next((piece for piece in source if size(piece)), None)
        ready = [piece for piece in pieces if piece is not None]
        if len(ready) < len(sources):
            return
        count = min(map(size, ready))
        yield [cut(piece, slice(count)) for piece in ready]
        pieces = [cut(piece, slice(count, None)) if size(piece) > count else None for piece in ready]


def side_by_side(inputs: Mapping[str, Images], *, where: str) -> Images:
    """Returns the images of all inputs as one split; the images of a lone input unchanged.

    Args:
        inputs: By the names that errors use.

    Raises:
        DataError: If the inputs have different numbers of images.
    """
    (first, images), *others = inputs.items()
    for name, more in others:
        if len(more) != len(images):
            raise DataError(
                f"{where}: {first} has {len(images)} images but {name} has {len(more)}; "
                "give every example an image of each input"
            )
    if not others:
        return images
    encodable = {name: images for name, images in inputs.items() if isinstance(images, EncodableImages)}
    return EncodableSideBySide(encodable) if len(encodable) == len(inputs) else SideBySide(inputs)
