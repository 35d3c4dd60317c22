"""What the training images have, as far as the rule for all images depends on it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trainables.specs.pixels import Pages

#: Training images of 8 bits whose largest sample is at most this are scaled up: 0 and 1, or digits of 0 to 16.
LARGEST_DIM = 16


@dataclass(slots=True)
class Extent:
    """The smallest and the largest sample of one kind that were seen.

    Attributes:
        low: Above `high` before any was seen.
        high: Below `low` before any was seen.
    """

    low: float = np.inf
    high: float = -np.inf

    @property
    def is_empty(self) -> bool:
        """Whether no sample was seen."""
        return self.low > self.high

    def add(self, low: float, high: float) -> None:
        """Notes the smallest and the largest of some samples."""
        self.low, self.high = min(self.low, low), max(self.high, high)


@dataclass(slots=True)
class AlphaCount:
    """What the training images say of alpha.

    Attributes:
        transparent: Images with transparent pixels.
        lost: Of these, the images whose shapes are in alpha alone.
        inks: The brightness (0 to 255) of the shapes that would be lost.
    """

    transparent: int = 0
    lost: int = 0
    inks: set[int] = field(default_factory=set)

    def add(self, ink: int | None) -> None:
        """Notes an image with transparent pixels, and the ink of a shape that is in alpha alone."""
        self.transparent += 1
        if ink is not None:
            self.lost += 1
            self.inks.add(ink)


@dataclass(slots=True)
class Measure:
    """What the training images have, as far as a rule depends on it.

    Attributes:
        byte: Of samples of 8 bits; complete only while the largest is at most LARGEST_DIM.
        wide: Of whole numbers of more bits.
        alpha: Of transparent pixels.
        pages: What is done with a TIFF of several pages.
    """

    byte: Extent = field(default_factory=Extent)
    wide: Extent = field(default_factory=Extent)
    alpha: AlphaCount = field(default_factory=AlphaCount)
    pages: Pages = "refuse"

    @property
    def knows_bytes(self) -> bool:
        """Whether no further image of 8 bits changes the rule."""
        return self.byte.high > LARGEST_DIM
