"""The metrics of guesses, computed with NumPy as trials report them."""

from collections.abc import Callable, Mapping

import numpy as np

from trainables.data.images.images import Array
from trainables.specs.targets import is_own
from trainables.specs.task import Target

#: As Keras divides by a truth of 0.
_SMALLEST = 1e-7


def class_scores(target: Target, *, truth: Array, scores: Array) -> dict[str, float]:
    """Returns the metrics of a classification that scores of classes give; no metric that needs probabilities.

    >>> from trainables.specs.task import Task
    >>> target = Task.classification(input_shape=(8, 8, 1), num_classes=2).targets[0]
    >>> class_scores(target, truth=np.array([0, 1, 1]), scores=np.array([[1.0, 0.0]] * 3))["accuracy"].__round__(3)
    0.333

    Args:
        target: The target.
        truth: Class numbers, (count,).
        scores: Of each image and class, (count, classes), higher for what is guessed.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    found = {"accuracy": float(np.mean(order[:, 0] == truth))}
    for name in target.metrics:
        if name.startswith("top_") and not is_own(name):
            number = int(name.split("_")[1])
            found[name] = float(np.mean((order[:, :number] == truth[:, None]).any(axis=1)))
        elif name in _OF_COUNTS:
            flags = np.arange(target.size)
            found[name] = _OF_COUNTS[name](*_counts(truth[:, None] == flags, order[:, :1] == flags))
    return found


def flag_scores(target: Target, *, truth: Array, guess: Array) -> dict[str, float]:
    """Returns the metrics of flags that are guessed alike for every image; none that needs probabilities.

    Args:
        target: The target.
        truth: 0 or 1, (count, flags).
        guess: Booleans, (flags,).
    """
    set_flags = truth > 0
    hits, guesses, truths = _counts(set_flags, np.broadcast_to(guess, set_flags.shape))
    found = {"accuracy": float(np.mean(set_flags == guess))}
    if "f1_score" in target.metrics:
        found["f1_score"] = _macro_f1(hits, guesses, truths)
    # Unlike those of classes, they count all flags together.
    if "precision" in target.metrics:
        found["precision"] = float(_divided(hits.sum(), guesses.sum()))
    if "recall" in target.metrics:
        found["recall"] = float(_divided(hits.sum(), truths.sum()))
    return found


def value_scores(target: Target, *, truth: Array, guess: Array) -> dict[str, float]:
    """Returns the metrics of numbers.

    Args:
        target: The target.
        truth: float (count, values).
        guess: float (count, values), or (values,) for the same guess for every image.
    """
    truth = truth.astype(np.float64)
    gap = truth - guess
    mse = float(np.mean(gap**2))
    found = {"mae": float(np.mean(np.abs(gap)))}
    spread = np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)
    others: Mapping[str, Callable[[], float]] = {
        "mse": lambda: mse,
        "rmse": lambda: mse**0.5,
        "mape": lambda: float(100 * np.mean(np.abs(gap) / np.maximum(np.abs(truth), _SMALLEST))),
        "r2_score": lambda: float(np.mean(1 - np.sum(gap**2, axis=0) / spread)) if (spread > 0).all() else float("nan"),
    }
    return found | {name: make() for name, make in others.items() if name in target.metrics}


def mask_scores(target: Target, *, pixels: Array, guess: int) -> dict[str, float]:
    """Returns the metrics of masks whose pixels are all guessed to be of one class.

    >>> from trainables.specs.task import Target
    >>> target = Target(name="m", kind="mask", size=3, loss="dice", metrics=("iou", "dice"))
    >>> {name: round(value, 3) for name, value in mask_scores(target, pixels=np.array([6, 4, 0]), guess=0).items()}
    {'pixel_accuracy': 0.6, 'iou': 0.3, 'dice': 0.375}

    Args:
        target: The target.
        pixels: How many pixels of the split are of each class, (classes,).
        guess: The class.
    """
    total, hits = int(pixels.sum()), int(pixels[guess])
    # A class that neither masks nor guesses have is left out of the means.
    num_classes = int(np.sum(pixels > 0)) + (hits == 0)
    found = {"pixel_accuracy": hits / total}
    of_classes = {"iou": hits / total, "dice": 2 * hits / (hits + total)}
    return found | {name: value / num_classes for name, value in of_classes.items() if name in target.metrics}


def _counts(truth: Array, guess: Array) -> tuple[Array, Array, Array]:
    """Returns, by class or flag, how often it was guessed rightly, how often it was guessed, and how often it is."""
    return (truth & guess).sum(axis=0), guess.sum(axis=0), truth.sum(axis=0)


def _divided(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=np.asarray(whole) > 0)


def _macro_f1(hits: Array, guesses: Array, truths: Array) -> float:
    return float(np.mean(_divided(2 * hits, guesses + truths)))


_OF_COUNTS: Mapping[str, Callable[[Array, Array, Array], float]] = {
    "f1_score": _macro_f1,
    "precision": lambda hits, guesses, _: float(np.mean(_divided(hits, guesses))),
    "recall": lambda hits, _, truths: float(np.mean(_divided(hits, truths))),
}
