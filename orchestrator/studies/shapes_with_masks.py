"""Draws discs and squares in noise with the mask of each image, for the packaged study `unet`."""

import numpy as np

NUM_IMAGES, SIDE, SEED = 240, 32, 5
BACKGROUND, DISC, SQUARE = 0, 1, 2


def load() -> dict[str, np.ndarray]:
    """Returns uint8 images `x` (240, 32, 32), their masks `shapes` of class numbers, and the classes' names."""
    generator = np.random.default_rng(SEED)
    images = np.empty((NUM_IMAGES, SIDE, SIDE), np.uint8)
    masks = np.full((NUM_IMAGES, SIDE, SIDE), BACKGROUND, np.uint8)
    for image, mask in zip(images, masks, strict=True):
        grey = np.full((SIDE, SIDE), generator.uniform(40.0, 90.0))
        for kind in (DISC, SQUARE):
            where = _shape(kind, generator)
            mask[where] = kind
            grey[where] = generator.uniform(140.0, 220.0)
        image[...] = np.clip(np.rint(grey + generator.normal(0.0, 20.0, grey.shape)), 0, 255)
    return {"x": images, "shapes": masks, "shapes_names": np.array(["background", "disc", "square"])}


def _shape(kind: int, generator: np.random.Generator) -> np.ndarray:
    """Returns where a shape of random place and size lies, bool (side, side)."""
    radius = generator.integers(4, 8)
    row, column = generator.integers(radius, SIDE - radius, size=2)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    if kind == DISC:
        return np.hypot(rows - row, columns - column) <= radius
    return np.maximum(np.abs(rows - row), np.abs(columns - column)) <= radius
