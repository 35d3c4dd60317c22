"""Weights of classes in the training loss, for data with rare classes; validation does not use them."""

import numpy as np


def balanced_weights(labels: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Returns float32 (num_classes,): n / (k n_c) for class c, of n labels of k classes; 0 for classes without any.

    All classes then have the same total weight, and the labels' mean weight is 1.

    Source: King and Zeng 2001, "Logistic Regression in Rare Events Data"; scikit-learn's `class_weight="balanced"`.

    >>> balanced_weights(np.array([0, 0, 0, 2]), num_classes=4) * 3
    array([2., 0., 6., 0.], dtype=float32)
    """
    counts = np.bincount(labels, minlength=num_classes)
    present = counts > 0
    weights = np.zeros(num_classes, np.float32)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights
