"""Says which images are of suspicious sizes, and what the change to one size does to them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from trainables.data.images.images import Layout, Survey
from trainables.data.look.names import shown_name

#: A side this many times longer or shorter than most images' is suspicious.
ODD_FACTOR = 4
#: Images whose sides grow or shrink so much lose what they show, or gain nothing.
GROWTH, SHRINKAGE = 4, 8
#: Images whose two sides change by factors that differ so much are distorted.
DISTORTION = 2
#: Sides in pixels of images that are kept as they are: fewer, or more, are suspicious.
FEW_PIXELS, MANY_PIXELS = 4, 1024


def size_sentences(survey: Survey, *, layout: Layout) -> list[str]:
    """Returns a sentence for each remarkable fact about the sizes of all images.

    Args:
        survey: The sizes of all images.
        layout: The one size that all images get.
    """
    if not survey.sizes:
        return []
    return [*_odd(survey), *_changed(survey, layout), *_kept(survey, layout)]


def usual_size(survey: Survey) -> tuple[int, int]:
    """Returns the size (height, width) of the image in the middle, by its number of pixels.

    >>> survey = Survey()
    >>> for size, count in {(1, 1): 1, (8, 6): 5, (100, 100): 2}.items():
    ...     survey.add(size, colour=False, where="", count=count)
    >>> usual_size(survey)
    (8, 6)
    """
    ordered = sorted(survey.sizes, key=lambda size: (math.prod(size), size))
    left = sum(count for count, _ in survey.sizes.values()) // 2
    for size in ordered:
        left -= survey.sizes[size][0]
        if left < 0:
            break
    return size


def _odd(survey: Survey) -> Iterator[str]:
    """Yields a sentence for images that are much smaller, and one for those that are much larger than most."""
    usual = usual_size(survey)
    scales = {size: math.sqrt(math.prod(size) / math.prod(usual)) for size in survey.sizes}
    for word, sizes in (
        ("smaller", [size for size, scale in scales.items() if scale <= 1 / ODD_FACTOR]),
        ("larger", [size for size, scale in scales.items() if scale >= ODD_FACTOR]),
    ):
        if sizes:
            yield f"{_images(survey, sizes)} much {word} than most, which are about {_shown(usual)}"


def _changed(survey: Survey, layout: Layout) -> Iterator[str]:
    height, width = usual_size(survey)
    growth = math.sqrt(layout.height * layout.width / (height * width))
    becomes = f"images are mostly {_shown((height, width))} and become {_shown((layout.height, layout.width))}"
    if growth >= GROWTH:
        yield f"{becomes}: {growth:.3g} times larger a side, which adds no detail"
    if growth <= 1 / SHRINKAGE:
        yield f"{becomes}: {1 / growth:.3g} times smaller a side, which leaves no detail"
    distorted = [
        size
        for size in survey.sizes
        if not 1 / DISTORTION < (layout.height / size[0]) / (layout.width / size[1]) < DISTORTION
    ]
    if distorted:
        yield f"{_images(survey, distorted)} squeezed to less than half of their proportions of height to width"


def _kept(survey: Survey, layout: Layout) -> Iterator[str]:
    size = (layout.height, layout.width)
    if survey.sizes.keys() != {size}:
        return
    if min(size) < FEW_PIXELS:
        yield f"images have only {_shown(size)} pixels: are rows of numbers meant, which would need a reshape?"
    if max(size) > MANY_PIXELS:
        yield f"images are kept at {_shown(size)} pixels; a data.image_size such as [224, 224] trains much faster"


def _images(survey: Survey, sizes: list[tuple[int, int]]) -> str:
    """Returns how many images have these sizes, with an example, as a subject and its verb."""
    number = sum(survey.sizes[size][0] for size in sizes)
    total = sum(count for count, _ in survey.sizes.values())
    size = max(sizes, key=lambda size: (survey.sizes[size][0], size))
    example = f"{shown_name(survey.sizes[size][1][0])} is {_shown(size)}"
    if number == total:
        return f"all {total:,} images ({example}) are"
    return f"{number:,} of {total:,} images ({example}) {'is' if number == 1 else 'are'}"


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
