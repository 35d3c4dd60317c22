"""Training images that quantised formats find the ranges of values with; numpy only."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from trainables.errors import ModelExportError
from trainables.exporting.runtimes.conversion import Arrays, Source

#: Images that a calibration sees, and no more than take so many bytes as float32.
_MOST_IMAGES, _MOST_BYTES = 128, 256_000_000
#: Images whose values of all layers are held at once: so many, and no more than these bytes of pixels, but a few.
_MOST_OF_LAYERS, _LEAST_OF_LAYERS, _MOST_BYTES_OF_LAYERS = 32, 4, 4_000_000
#: Of a pixel.
_LOWEST, _HIGHEST = 0.0, 255.0


def calibration_rows(num_images: int, *, image_bytes: int, seed: int) -> np.ndarray:
    """Returns which images of a split a calibration sees, ascending; each at most once.

    Args:
        num_images: In the split.
        image_bytes: What one takes as float32.
        seed: Decides which.
    """
    count = min(num_images, _MOST_IMAGES, max(1, _MOST_BYTES // image_bytes))
    return np.sort(np.random.default_rng(seed).choice(num_images, count, replace=False))


def calibration_batches(source: Source) -> Iterator[dict[str, np.ndarray]]:
    """Yields one image after another, as batches of one by input name, in float32.

    The first image has one pixel of 0 and one of 255: the step between two values of an input is 1 then, and every
    pixel is exact.

    Args:
        source: Has the images.

    Raises:
        ModelExportError: There is no image. A converter would write a file that is not quantised.
    """
    images = source.calibration()
    counts = {name: len(images.get(name, ())) for name in source.inputs}
    (count, *others) = sorted(set(counts.values()))
    if others or not count:
        raise ModelExportError(
            f"its calibration needs as many training images of each input, and at least one, got {counts}; give the "
            "study training images, or export a format that is not calibrated"
        )
    return (_batch(images, row=row, names=source.inputs) for row in range(count))


def layer_batches(source: Source) -> list[dict[str, np.ndarray]]:
    """Returns the first images of a calibration, so few that the values of all layers find room.

    Args:
        source: Has the images.

    Raises:
        ModelExportError: There is no image.
    """
    batches = list(islice(calibration_batches(source), _MOST_OF_LAYERS))
    most = max(_LEAST_OF_LAYERS, _MOST_BYTES_OF_LAYERS // sum(array.nbytes for array in batches[0].values()))
    return batches[:most]


def _batch(images: Arrays, *, row: int, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    batch = {name: np.array(images[name][row : row + 1], np.float32, order="C") for name in names}
    if row == 0:
        for array in batch.values():
            array[0, 0, 0], array[0, -1, -1] = _LOWEST, _HIGHEST
    return batch
