"""scikit-learn's embedded digits: 1,797 grey images of 8x8 pixels, no files, no network."""

from __future__ import annotations

import numpy as np

from trainables.data.images.images import Array
from trainables.data.sources.array_splits import array_dataset
from trainables.data.sources.base import OpenedSource, RawDataset
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: The flags of the column `quadrants`, in order.
QUADRANTS = ("top_left", "top_right", "bottom_left", "bottom_right")


def open_digits(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the digits, pixels scaled from 0..16 to 0..255, without a test split.

    The columns: `label`, the digit; `ink`, the mean pixel from 0 to 1; `quadrants`, a flag for each quarter of the
    image that holds more than a quarter of the ink.
    """
    # The set never changes, so its name is its content.
    return OpenedSource(content=("sklearn.datasets.load_digits",), read=lambda: _read(spec))


def _read(spec: DataSpec) -> RawDataset:
    # Late: scikit-learn takes over a second to import and only this source needs it.
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    names = np.array([str(name) for name in digits.target_names])
    if not spec.targets:
        arrays = {"x_train": images, "y_train": digits.target, "class_names": names}
        return array_dataset(arrays, where="digits", spec=spec)
    columns = {
        "label": digits.target,
        "ink": images.mean(axis=(1, 2)) / 255.0,
        "quadrants": heavy_quarters(images),
    }
    arrays = {
        "x_train": images,
        **{f"{column}_train": values for column, values in columns.items()},
        "label_names": names,
        "quadrants_names": np.array(QUADRANTS),
    }
    return array_dataset(arrays, where="digits", spec=spec)


def heavy_quarters(images: Array) -> Array:
    """Returns uint8 (count, 4): 1 where a quarter of the image holds more than a quarter of its ink.

    >>> heavy_quarters(np.array([[[9, 0], [9, 1]]]))
    array([[1, 0, 1, 0]], dtype=uint8)

    Args:
        images: (count, height, width) of even height and width.
    """
    count, height, width = images.shape
    quarters = images.reshape(count, 2, height // 2, 2, width // 2).sum(axis=(2, 4), dtype=np.int64).reshape(count, 4)
    return (4 * quarters > quarters.sum(axis=1, keepdims=True)).astype(np.uint8)
