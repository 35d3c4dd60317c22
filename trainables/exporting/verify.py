"""Checks that an exported file predicts what its checkpoint predicts; numpy only."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from trainables.errors import ModelExportError

#: The largest allowed difference of outputs, a share of those beyond 1: another graph may add up in another order.
TOLERANCE = 1e-5


def check_outputs(expected: Any, actual: Any, *, what: str) -> float:
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
        check_parity(np.asarray(value), np.asarray(found[name]), what=f"{what} {name}".strip())
        for name, value in outputs.items()
    )


def check_parity(expected: np.ndarray, actual: np.ndarray, *, what: str) -> float:
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
    difference = float(np.max(np.abs(expected - actual) / np.maximum(1.0, np.abs(expected)), initial=0.0))
    if difference > TOLERANCE:
        raise ModelExportError(
            f"{what}: predictions differ from the checkpoint's by up to {difference:.3g}, allowed is {TOLERANCE:g}; "
            "the export is not faithful and was discarded"
        )
    return difference


def _named(given: Any) -> Iterable[tuple[str, Any]]:
    return given.items() if isinstance(given, Mapping) else [("", given)]
