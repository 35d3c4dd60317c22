"""Draws a picture of augmented training images for the user."""

import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from trainables.data.augment.augmenter import Augmenter
from trainables.data.batches.tensors import SplitTensors, gather_batch
from trainables.data.look.sheet import GAP, cell_size, shown
from trainables.files.whole import replace_file
from trainables.specs.augment import AugmentSpec

NUM_IMAGES = 6
NUM_EPOCHS = 7


def write_picture(path: Path, spec: AugmentSpec, *, train: SplitTensors, seed: int, num_inputs: int = 1) -> None:
    """Writes a PNG with a row for each of some training images: the original, then its versions in the first epochs.

    The file appears whole; writing it again gives the same pixels.

    Args:
        num_inputs: Images of an example; the picture shows them side by side.
    """
    # From side by side in the channels to side by side in the picture.
    cells = np.concatenate(np.split(sample_cells(spec, train=train, seed=seed), num_inputs, axis=-1), axis=3)
    buffer = io.BytesIO()
    _grid(cells, num_inputs=num_inputs).save(buffer, format="PNG")
    replace_file(path, buffer.getvalue(), is_durable=False, mode=0o644)


def sample_cells(spec: AugmentSpec, *, train: SplitTensors, seed: int) -> np.ndarray:
    """Returns uint8 (images, 1 + epochs, height, width, channels): originals, then one column an epoch."""
    places = np.linspace(0, train.num_images - 1, min(NUM_IMAGES, train.num_images)).astype(int)
    rows = tf.constant(train.indices[places])
    height, width = train.images.shape[1:3]
    augmenter = Augmenter(
        spec, num_rows=train.images.shape[0], indices=train.indices, image_size=(height, width), seed=seed
    )
    columns = [gather_batch(train, rows)[0].numpy()]
    for epoch in range(1, NUM_EPOCHS + 1):
        plan = augmenter.plan(tf.constant(epoch))
        columns.append(augmenter.batch(rows, plan=plan, fetch=lambda some: gather_batch(train, some)).images.numpy())
    return np.clip(np.round(np.stack(columns, axis=1)), 0, 255).astype(np.uint8)


def _grid(cells: np.ndarray, *, num_inputs: int) -> Image.Image:
    num_rows, num_columns, height, width, _ = cells.shape
    size = cell_size(height, width, num_inputs=num_inputs)
    grid = Image.new("RGB", (num_columns * (size[0] + GAP) - GAP, num_rows * (size[1] + GAP) - GAP), "white")
    for row in range(num_rows):
        for column in range(num_columns):
            grid.paste(shown(cells[row, column], size), (column * (size[0] + GAP), row * (size[1] + GAP)))
    return grid
