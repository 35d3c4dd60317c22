"""What every source's images can do, and the one shape that all splits of a data set share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from trainables.data.images.measures import Measure
from trainables.errors import DataError
from trainables.specs.pixels import PLAIN_RULE, Pages, PixelRule

#: Times its final size that a JPEG of reduced size has at least, before it is shrunk.
LEAST_REDUCED = 1.5
#: Sources yield image arrays in pieces of about this many bytes.
BATCH_BYTES = 32 * 2**20

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The shape that every image of a data set gets, and how its samples become pixels.

    Attributes:
        rule: The ranges of samples and the ground under transparent pixels.
        pages: What is done with a TIFF of several pages.
        reduces: Whether JPEGs may be decoded at a reduced size, at least LEAST_REDUCED times this
            one.
    """

    height: int
    width: int
    channels: int
    rule: PixelRule = PLAIN_RULE
    pages: Pages = "refuse"
    reduces: bool = False


@dataclass(slots=True)
class Survey:
    """Counts the images of each size and of each trait, and notes whether any image has colour."""

    #: (height, width) -> the number of images, and the places of the first few of them.
    sizes: dict[tuple[int, int], tuple[int, list[str]]] = field(default_factory=dict)
    #: What the headers say beside sizes (see data/formats/facts.py) -> the number of images, and the places of the
    #: first few.
    traits: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    has_colour: bool = False
    #: What is done with a TIFF of several pages.
    pages: Pages = "refuse"

    @property
    def num_images(self) -> int:
        """The images that were surveyed."""
        return sum(number for number, _ in self.sizes.values())

    def add(self, size: tuple[int, int], *, colour: bool, where: str, count: int = 1) -> None:
        """Notes `count` images of one size."""
        number, places = self.sizes.get(size, (0, []))
        self.sizes[size] = (number + count, places if len(places) >= 3 else [*places, where])
        self.has_colour = self.has_colour or colour

    def note(self, trait: str, *, where: str, count: int = 1) -> None:
        """Notes `count` images of a trait, at one place."""
        number, places = self.traits.get(trait, (0, []))
        self.traits[trait] = (number + count, places if len(places) >= 3 else [*places, where])


class Images(Protocol):
    """One split's images as the source holds them."""

    def __len__(self) -> int:
        """Returns the number of images."""
        ...

    def survey(self, survey: Survey) -> None:
        """Notes the size of every image without keeping any."""
        ...

    def measure(self, measure: Measure) -> None:
        """Notes what the samples have, as far as the rule for all images depends on it."""
        ...

    def batches(self, layout: Layout) -> Iterator[Array]:
        """Yields all images in order as uint8 (count, height, width, channels)."""
        ...


@runtime_checkable
class EncodableImages(Images, Protocol):
    """A split's images that the cache may also keep in their image formats."""

    @property
    def num_bytes(self) -> int:
        """Bytes of all images in their formats, as the last survey counted them."""
        ...

    def encoded_batches(self, layout: Layout) -> Iterator[tuple[list[bytes], Array]]:
        """Yields all images in order: in image formats, and decoded from these as `batches` yields them.

        A row of several images side by side has as many entries in the first list, in the order of its channels.
        """
        ...


@runtime_checkable
class NamedImages(Protocol):
    """A split's images that have names of their own, such as paths of files."""

    def names(self, rows: Sequence[int]) -> list[str]:
        """Returns the names of these images, as errors use them; rows ascend."""
        ...


def survey_of(splits: Iterable[Images], *, pages: Pages = "refuse") -> Survey:
    """Returns the sizes and traits of all images."""
    survey = Survey(pages=pages)
    for images in splits:
        images.survey(survey)
    return survey


def choose_layout(
    survey: Survey, *, image_size: tuple[int, int] | None, channels: int | None, rule: PixelRule | None = None
) -> Layout:
    """Returns the shape for all images: the given one, else the images' own.

    Grey and colour images together become colour: no information is lost.

    Raises:
        DataError: If the images differ in size and no size was asked for.
    """
    if image_size is None and len(survey.sizes) > 1:
        raise DataError(_mixed_sizes(survey))
    height, width = image_size or next(iter(survey.sizes))
    return Layout(
        height=height,
        width=width,
        channels=channels or (3 if survey.has_colour else 1),
        rule=rule or PLAIN_RULE,
        pages=survey.pages,
    )


def _mixed_sizes(survey: Survey) -> str:
    by_count = sorted(survey.sizes.items(), key=lambda item: -item[1][0])
    examples = [f"{places[0]} is {height}x{width}" for (height, width), (_, places) in by_count[:3]]
    height, width = by_count[0][0]
    return (
        f"data.image_size: the images have {len(by_count)} different sizes (height x width): "
        f"{', '.join(examples)}; set image_size: [{height}, {width}], the most common one, to resize them all"
    )
