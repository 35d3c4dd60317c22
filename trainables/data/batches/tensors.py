"""Turns a split into tensors and gathers batches from them inside a compiled epoch.

Decoded images stay uint8 on the cache file's own pages, which all workers of a node share; a batch is gathered by
index. Encoded images are read and decoded for each batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from trainables.data.cache.dataset import Split
from trainables.data.cache.encoded import EncodedRows

#: TensorFlow's CPU kernels abort the process on memory that is not aligned to this many bytes.
ALIGNMENT_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitTensors:
    """One split as tensors; equal to itself alone.

    Args:
        images: uint8 (rows, height, width, channels), values 0-255, or EncodedRows of this shape; may have rows of
            other splits too.
        labels: By target, beside the images (see `task.Target`).
        indices: int32 (count,), the rows that belong to this split.
        weights: float32 (rows,), how much each image counts in the training loss; None: all alike.
    """

    images: tf.Tensor | EncodedRows
    labels: Mapping[str, tf.Tensor]
    indices: np.ndarray
    weights: tf.Tensor | None = None

    @property
    def num_images(self) -> int:
        """The number of images in this split."""
        return len(self.indices)

    @property
    def is_streamed(self) -> bool:
        """Whether images are decoded for each batch, so that batches are made ahead."""
        return isinstance(self.images, EncodedRows)


def split_tensors(split: Split) -> SplitTensors:
    """Returns the split as tensors; its images are copied only if they are not aligned."""
    return SplitTensors(
        images=split.images if isinstance(split.images, EncodedRows) else shared_tensor(split.images),
        labels={name: _label_tensor(values) for name, values in split.labels.items()},
        indices=np.asarray(split.indices, dtype=np.int32),
        weights=None if split.weights is None else tf.constant(np.asarray(split.weights)),
    )


def _label_tensor(values: np.ndarray) -> tf.Tensor:
    # Masks are as large as images, and as those on the pages that all workers share.
    return shared_tensor(values) if values.ndim == 3 else tf.constant(np.asarray(values))


def shared_tensor(array: np.ndarray) -> tf.Tensor:
    """Returns a tensor on the array's own memory; only an unaligned array is copied."""
    if array.ctypes.data % ALIGNMENT_BYTES:
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def epoch_order(indices: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """Returns the split's rows in the order of this epoch, a function of (seed, epoch) alone.

    >>> epoch_order(np.arange(5), seed=7, epoch=1).tolist() == epoch_order(np.arange(5), seed=7, epoch=1).tolist()
    True
    """
    return np.random.default_rng([seed, epoch]).permutation(indices)


def gather_batch(split: SplitTensors, rows: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns float32 images (values 0-255) and labels by target of the given rows."""
    return tf.cast(_gather_images(split.images, rows), tf.float32), gather_labels(split, rows)


def gather_labels(split: SplitTensors, rows: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the labels of the given rows by target."""
    return {name: tf.gather(values, rows) for name, values in split.labels.items()}


def _gather_images(images: tf.Tensor | EncodedRows, rows: tf.Tensor) -> tf.Tensor:
    if not isinstance(images, EncodedRows):
        return tf.gather(images, rows)
    if tf.executing_eagerly():
        return tf.constant(images[rows.numpy()])
    # Equal rows give equal images, so TensorFlow may call this function in any order and from any thread.
    pixels = tf.numpy_function(images.fetch, [rows], tf.uint8, stateful=False)
    return tf.ensure_shape(pixels, [None, *images.shape[1:]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The images and labels of one training step.

    Args:
        images: float32 (batch, height, width, channels), values 0-255.
        labels: The images' own labels, by target.
        others: The labels of the partner images, by target; None where no images are mixed.
        weights: float32 (batch,), the share of an image's own label; the partner's label has the rest.
        sample_weights: float32 (batch,), how much each image counts in the loss; None: all alike.
    """

    images: tf.Tensor
    labels: Any
    others: Any = None
    weights: tf.Tensor | None = None
    sample_weights: tf.Tensor | None = None
