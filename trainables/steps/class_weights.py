"""Weights of classes in the training loss, for data with rare classes; validation does not use them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainables.catalog.training import TARGETS
from trainables.data.batches.tensors import SplitTensors
from trainables.specs.masks import UNCOUNTED
from trainables.specs.task import Target, Task

#: Pixels that are counted at once.
_PIXELS_AT_ONCE = 1 << 20


def class_weights_of(train: SplitTensors, params: Mapping[str, Any], *, task: Task) -> dict[str, tf.Tensor]:
    """Returns the weights of classes or flags by target; nothing where the variant asks for none.

    Args:
        train: The training split, whose classes `balanced` counts: images of a classification, pixels of a mask.
        params: The variant's complete parameters.
        task: Its task.
    """
    chosen = params["class_weights"]
    if chosen == TARGETS:
        return {
            target.name: tf.constant(target.class_weights, tf.float32)
            for target in task.targets
            if target.class_weights
        }
    if chosen == "none":
        return {}
    return {
        target.name: tf.constant(balanced(_counts(train, target)))
        for target in task.targets
        if target.kind in ("classification", "mask")
    }


def balanced_weights(labels: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Returns float32 (num_classes,): n / (k n_c) for class c, of n labels of k classes; 0 for classes without any.

    All classes then have the same total weight, and the labels' mean weight is 1.

    Source: King and Zeng 2001, "Logistic Regression in Rare Events Data"; scikit-learn's `class_weight="balanced"`.

    >>> balanced_weights(np.array([0, 0, 0, 2]), num_classes=4) * 3
    array([2., 0., 6., 0.], dtype=float32)
    """
    return balanced(np.bincount(labels, minlength=num_classes))


def balanced(counts: np.ndarray) -> np.ndarray:
    """Returns the balanced weights of classes that have these numbers of labels."""
    present = counts > 0
    weights = np.zeros(len(counts), np.float32)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def _counts(train: SplitTensors, target: Target) -> np.ndarray:
    """Returns how many images, or pixels that count, each class has."""
    labels = train.labels[target.name]
    if target.kind == "classification":
        return np.bincount(labels.numpy()[train.indices], minlength=target.size)
    counts = np.zeros(UNCOUNTED + 1, np.int64)
    # Piece by piece: masks lie on pages of a file, and all of them may be more than memory.
    step = max(1, _PIXELS_AT_ONCE // (labels.shape[1] * labels.shape[2]))
    for start in range(0, train.num_images, step):
        pixels = tf.gather(labels, train.indices[start : start + step]).numpy()
        counts += np.bincount(pixels.reshape(-1), minlength=len(counts))
    return counts[: target.size]
