"""scikit-learn's embedded digits: 1,797 grey images of 8x8 pixels, no files, no network."""

from __future__ import annotations

import numpy as np

from trainables.data.images import Progress
from trainables.data.sources.array_splits import array_dataset
from trainables.data.sources.base import OpenedSource, RawDataset
from trainables.spec import DataSpec


def open_digits(spec: DataSpec, progress: Progress) -> OpenedSource:
    """Returns the digits, pixels scaled from 0..16 to 0..255; they bring no test split."""
    # The set never changes, so its name is its content.
    return OpenedSource(content=("sklearn.datasets.load_digits",), read=lambda: _read(spec))


def _read(spec: DataSpec) -> RawDataset:
    # Late: scikit-learn takes over a second to import and only this source needs it.
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    names = np.array([str(name) for name in digits.target_names])
    return array_dataset({"x_train": images, "y_train": digits.target, "class_names": names}, where="digits", spec=spec)
