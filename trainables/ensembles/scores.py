"""How good predictions are, by numpy alone; every figure of an ensemble follows from the predictions of its members."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from trainables.specs.targets import TargetKind

Measure = Literal["accuracy", "crossentropy", "mae", "mse"]
#: What predictions reach, by measure.
Figures = Mapping[str, float]

#: The measures of each kind of target whose outputs are averaged; the second one is the default.
MEASURES: Mapping[TargetKind, tuple[Measure, Measure]] = {
    "classification": ("accuracy", "crossentropy"),
    "regression": ("mae", "mse"),
}
_RISING = frozenset({"accuracy"})
#: A probability of 0 for the true class would cost infinitely much; Keras limits it alike.
_LEAST = 1e-7


def measure_of(metric: str, *, kind: TargetKind) -> Measure:
    """Returns what decides in a study of this objective: the objective itself, or the loss where it is another.

    >>> measure_of("val_accuracy", kind="classification"), measure_of("val_f1_score", kind="classification")
    ('accuracy', 'crossentropy')

    Args:
        metric: The objective's, with its split.
        kind: Of the target.
    """
    name = metric.partition("_")[2]
    return next((measure for measure in MEASURES[kind] if measure == name), MEASURES[kind][1])


def figures_of(outputs: np.ndarray, labels: np.ndarray, *, kind: TargetKind) -> dict[str, float]:
    """Returns what predictions reach.

    >>> outputs = np.array([[0.5, 0.5], [0.25, 0.75]])
    >>> {name: round(value, 3) for name, value in figures_of(outputs, np.array([0, 1]), kind="classification").items()}
    {'accuracy': 1.0, 'crossentropy': 0.49}
    >>> figures_of(np.array([[1.0], [4.0]]), np.array([[1.0], [2.0]]), kind="regression")
    {'mae': 1.0, 'mse': 2.0}

    Args:
        outputs: (images, size).
        labels: Class numbers (images,), or numbers (images, size).
        kind: Of the target.
    """
    if kind == "regression":
        errors = outputs.astype(np.float64) - labels
        return {"mae": float(np.mean(np.abs(errors))), "mse": float(np.mean(errors**2))}
    true = outputs[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float(np.mean(outputs.argmax(axis=1) == labels)),
        "crossentropy": float(np.mean(-np.log(np.clip(true, _LEAST, 1.0)))),
    }


def goodness(figures: Figures, measure: Measure) -> tuple[float, float]:
    """Returns what predictions are compared by, the larger the better: the measure, then the other one of its kind.

    >>> goodness({"accuracy": 0.5, "crossentropy": 0.25}, "accuracy")
    (0.5, -0.25)

    Args:
        figures: As `figures_of` returns them.
        measure: What decides.
    """
    others = (name for name in figures if name != measure)
    first, second = (figures[name] * (1 if name in _RISING else -1) for name in (measure, next(others)))
    return first, second
