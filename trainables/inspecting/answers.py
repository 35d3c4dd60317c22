"""How wrong a model is for each image of a split, and how two models' mistakes meet; NumPy alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainables.specs.masks import UNCOUNTED
from trainables.specs.targets import TargetKind

#: Targets whose answers are right or wrong as a whole; of others one answer is better than another.
RIGHT_OR_WRONG: Sequence[TargetKind] = ("classification", "multilabel")


def wrongness(predicted: np.ndarray, labels: np.ndarray, *, kind: TargetKind) -> np.ndarray:
    """Returns how wrong the answer for each image is, 0 for a right one.

    A class is right or wrong, 0 or 1; flags are right if all of them are. Numbers are wrong by the mean of their
    absolute errors, masks by the share of wrong pixels among those that count.

    >>> probabilities, classes = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])
    >>> wrongness(probabilities, classes, kind="classification").tolist()
    [0.0, 1.0]

    Args:
        predicted: The head's output, images first.
        labels: As the data set has them, for the same images.
        kind: The target's.
    """
    if kind == "classification":
        return np.asarray(predicted.argmax(axis=-1) != labels, float)
    if kind == "multilabel":
        return np.asarray(((predicted >= 0.5) != labels.astype(bool)).any(axis=-1), float)
    if kind == "regression":
        return np.asarray(np.abs(predicted - labels).mean(axis=-1), float)
    counted = labels != UNCOUNTED
    wrong = (predicted.argmax(axis=-1) != labels) & counted
    return np.asarray(wrong.sum(axis=(1, 2)) / np.maximum(1, counted.sum(axis=(1, 2))), float)


def paired(first: np.ndarray, second: np.ndarray, *, kind: TargetKind) -> dict[str, Any]:
    """Returns for how many images which of two models answers better, JSON-ready.

    >>> found = paired(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0, 1.0]), kind="classification")
    >>> found["both_wrong"], found["both_right"], found["first_better"], found["second_better"]
    (1, 1, 1, 1)

    Args:
        first: What `wrongness` returns for the one model.
        second: Likewise for the other model, for the same images.
        kind: The target's.
    """
    found: dict[str, Any] = {
        "num_images": len(first),
        "first_better": int((first < second).sum()),
        "second_better": int((second < first).sum()),
        "first_mean": float(first.mean()),
        "second_mean": float(second.mean()),
    }
    if kind in RIGHT_OR_WRONG:
        found["both_wrong"] = int(((first > 0) & (second > 0)).sum())
        found["both_right"] = int(((first == 0) & (second == 0)).sum())
    return found
