"""Whether an exported file predicts what its checkpoint predicts; numpy only."""

import numpy as np

from orchestrator.errors import ExportError

#: Probabilities may differ by this much: another graph may add up in another order.
TOLERANCE = 1e-5


def check_parity(expected: np.ndarray, actual: np.ndarray, *, what: str) -> float:
    """Returns the largest difference between two sets of predictions.

    expected, actual: float (images, classes).

    Raises: ExportError: if shapes differ, anything is not finite, or the difference exceeds the tolerance.

    >>> check_parity(np.array([[0.25, 0.75]]), np.array([[0.25, 0.75]]), what="model.keras")
    0.0
    """
    if expected.shape != actual.shape:
        raise ExportError(f"{what}: predicts shape {actual.shape}, its checkpoint {expected.shape}; export it again")
    if not (np.isfinite(expected).all() and np.isfinite(actual).all()):
        raise ExportError(f"{what}: predicts values that are not finite; the model is of no use")
    difference = float(np.max(np.abs(expected - actual), initial=0.0))
    if difference > TOLERANCE:
        raise ExportError(
            f"{what}: predictions differ from the checkpoint's by up to {difference:.3g}, allowed is {TOLERANCE:g}; "
            "the export is not faithful and was discarded"
        )
    return difference
