"""Checks that an exported file predicts what its checkpoint predicts; numpy only."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from trainables.errors import ModelExportError
from trainables.specs.targets import TargetKind

#: The largest allowed difference of outputs, a share of those beyond 1: another graph may add up in another order.
TOLERANCE = 1e-5
#: From this probability on, a flag is set.
_FLAG_SET = 0.5


def check_outputs(expected: Any, actual: Any, *, what: str, tolerance: float = TOLERANCE) -> float:
    """Returns the largest difference between all outputs of two models.

    expected, actual: one array (images, size), or one by output name.

    >>> check_outputs({"age": np.array([[40.0]])}, {"age": np.array([[40.0]])}, what="model.keras")
    0.0

    Raises:
        ModelExportError: If the outputs are not the same ones, or `check_parity` finds something.
    """
    outputs, found = dict(_named(expected)), dict(_named(actual))
    if outputs.keys() != found.keys():
        raise ModelExportError(f"{what}: predicts {sorted(found)}, its checkpoint {sorted(outputs)}; export it again")
    return max(
        check_parity(np.asarray(value), np.asarray(found[name]), what=f"{what} {name}".strip(), tolerance=tolerance)
        for name, value in outputs.items()
    )


def check_parity(expected: np.ndarray, actual: np.ndarray, *, what: str, tolerance: float = TOLERANCE) -> float:
    """Returns the largest difference between two sets of predictions, as a share of those beyond 1.

    expected, actual: float (images, size).

    >>> check_parity(np.array([[0.25, 0.75]]), np.array([[0.25, 0.75]]), what="model.keras")
    0.0

    Raises:
        ModelExportError: If shapes differ, anything is not finite, or the difference exceeds the tolerance.
    """
    if expected.shape != actual.shape:
        raise ModelExportError(
            f"{what}: predicts shape {actual.shape}, its checkpoint {expected.shape}; export it again"
        )
    if not (np.isfinite(expected).all() and np.isfinite(actual).all()):
        raise ModelExportError(f"{what}: predicts values that are not finite; the model is of no use")
    difference = largest_difference(expected, actual)
    if difference > tolerance:
        raise ModelExportError(
            f"{what}: predictions differ from the checkpoint's by up to {difference:.3g}, allowed is {tolerance:g}; "
            "the export is not faithful and was discarded"
        )
    return difference


def largest_difference(expected: np.ndarray, actual: np.ndarray) -> float:
    """Returns the largest difference between two arrays, as a share of those values beyond 1.

    >>> largest_difference(np.array([0.5, 100.0]), np.array([0.5, 101.0]))
    0.01
    """
    return float(np.max(np.abs(expected - actual) / np.maximum(1.0, np.abs(expected)), initial=0.0))


def agreement(expected: np.ndarray, actual: np.ndarray, *, kind: TargetKind) -> float | None:
    """Returns the share of answers that two sets of predictions have in common; None for numbers.

    The answer of a classification, and of each pixel of a mask, is the most probable class; where two are equally
    probable there is no answer, and no agreement. The answer of each flag is whether it is set.

    >>> agreement(np.array([[0.3, 0.7], [0.6, 0.4]]), np.array([[0.2, 0.8], [0.5, 0.5]]), kind="classification")
    0.5
    """
    if kind == "regression":
        return None
    if kind == "multilabel":
        return float(np.mean((expected >= _FLAG_SET) == (actual >= _FLAG_SET)))
    is_clear = _has_one_highest(expected) & _has_one_highest(actual)
    return float(np.mean(is_clear & (expected.argmax(axis=-1) == actual.argmax(axis=-1))))


def _has_one_highest(values: np.ndarray) -> np.ndarray:
    is_highest: np.ndarray = values == values.max(axis=-1, keepdims=True)
    return is_highest.sum(axis=-1) == 1


def _named(given: Any) -> Iterable[tuple[str, Any]]:
    return given.items() if isinstance(given, Mapping) else [("", given)]
