"""Several images of every example, stored as one: side by side in the channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from trainables.data.errors import DataError
from trainables.data.images import Array, Images, Layout, Survey


class SideBySide:
    """Is a split whose examples have an image of each input; all are decoded to one layout.

    Args:
        inputs: the images of each input, at least two, all as many.
    """

    def __init__(self, inputs: Mapping[str, Images]) -> None:
        self._inputs = list(inputs.values())

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._inputs[0])

    def survey(self, survey: Survey) -> None:
        """Notes the size of every image of every input."""
        for images in self._inputs:
            images.survey(survey)

    def batches(self, layout: Layout) -> Iterator[Array]:
        """Yields all examples in order as uint8 (count, height, width, inputs x channels)."""
        sources = [images.batches(layout) for images in self._inputs]
        pieces: list[Array] = [np.empty(0)] * len(sources)
        while True:
            # Sources cut their images into batches of sizes of their own.
            for place, source in enumerate(sources):
                if not len(pieces[place]):
                    pieces[place] = next((batch for batch in source if len(batch)), np.empty(0))
            count = min(map(len, pieces))
            if not count:
                return
            yield np.concatenate([piece[:count] for piece in pieces], axis=3)
            pieces = [piece[count:] for piece in pieces]


def side_by_side(inputs: Mapping[str, Images], *, where: str) -> Images:
    """Returns the images of all inputs as one split's; those of a lone input as they are.

    inputs: by what errors call them.
    Raises: DataError: if there are not as many of each.
    """
    (first, images), *others = inputs.items()
    for name, more in others:
        if len(more) != len(images):
            raise DataError(
                f"{where}: {first} has {len(images)} images but {name} has {len(more)}; "
                "give every example an image of each input"
            )
    return SideBySide(inputs) if others else images
