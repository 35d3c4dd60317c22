"""Counts what predictions of a target are worth, batch by batch, so that no split is held whole."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from trainables.scores.calibration import Calibration
from trainables.scores.interval import wilson_interval
from trainables.specs.masks import UNCOUNTED
from trainables.specs.task import Target, Task

Array = np.ndarray[Any, np.dtype[Any]]

#: The least probability at which a flag counts as set.
FLAG_SET = 0.5


class Tally(Protocol):
    """What was counted of one target."""

    def add(self, predicted: Array, labels: Array) -> None:
        """Counts a batch of outputs and its labels, as `task.Target` has them."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Returns the figures, JSON-ready."""
        ...


class ClassTally:
    """Counts a classification, or the pixels of masks: which class is taken for which, and how sure the model is.

    Args:
        target: The target.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        #: Rows are the labels, columns the predictions.
        self._counts = np.zeros((target.size, target.size), np.int64)
        self._calibration = Calibration()

    def add(self, predicted: Array, labels: Array) -> None:
        """Counts a batch of outputs and its labels; pixels of UNCOUNTED are left out."""
        outputs, truth = predicted.reshape(-1, self._target.size), labels.reshape(-1).astype(np.int64)
        if self._target.kind == "mask":
            outputs, truth = outputs[truth != UNCOUNTED], truth[truth != UNCOUNTED]
        answers = outputs.argmax(axis=1)
        size = self._target.size
        self._counts += np.bincount(truth * size + answers, minlength=size * size).reshape(size, size)
        self._calibration.add(np.take_along_axis(outputs, answers[:, None], axis=1)[:, 0], answers == truth)

    def to_json(self) -> dict[str, Any]:
        """Returns the share of right answers, each class's figures, the confusion matrix and the calibration."""
        total, right = int(self._counts.sum()), int(self._counts.trace())
        is_mask = self._target.kind == "mask"
        return {
            "kind": self._target.kind,
            "unit": "pixels" if is_mask else "images",
            "total": total,
            "right": right,
            # Pixels of one image are alike: as so many independent ones they would give far too narrow an interval.
            "share": _share(right, total, has_interval=not is_mask),
            "classes": [
                _figures(
                    name,
                    hits=int(self._counts[place, place]),
                    truth=int(self._counts[place].sum()),
                    answers=int(self._counts[:, place].sum()),
                    has_interval=not is_mask,
                )
                for place, name in enumerate(self._target.class_names)
            ],
            "confusion": self._counts.tolist(),
            "calibration": self._calibration.to_json(),
        }


class FlagTally:
    """Counts flags of which any may hold.

    Args:
        target: The target.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._num_images = 0
        self._hits, self._truth, self._answers = (np.zeros(target.size, np.int64) for _ in range(3))
        self._calibration = Calibration()

    def add(self, predicted: Array, labels: Array) -> None:
        """Counts a batch of outputs and its labels."""
        is_set, answers = labels == 1, predicted >= FLAG_SET
        self._num_images += len(labels)
        self._hits += (is_set & answers).sum(axis=0)
        self._truth += is_set.sum(axis=0)
        self._answers += answers.sum(axis=0)
        # What a flag's probability states is that the flag is set.
        self._calibration.add(predicted.reshape(-1), is_set.reshape(-1))

    def to_json(self) -> dict[str, Any]:
        """Returns each flag's figures and the calibration of all flags together."""
        return {
            "kind": self._target.kind,
            "unit": "images",
            "total": self._num_images,
            "classes": [
                _figures(
                    name,
                    hits=int(self._hits[place]),
                    truth=int(self._truth[place]),
                    answers=int(self._answers[place]),
                    has_interval=True,
                )
                for place, name in enumerate(self._target.class_names)
            ],
            "calibration": self._calibration.to_json(),
        }


class NumberTally:
    """Adds up the errors of numbers.

    Args:
        target: The target.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._errors: list[Array] = []
        self._labels: list[Array] = []

    def add(self, predicted: Array, labels: Array) -> None:
        """Keeps a batch's errors: a number or a few an image."""
        self._errors.append(predicted.astype(np.float64) - labels.astype(np.float64))
        self._labels.append(labels.astype(np.float64))

    def to_json(self) -> dict[str, Any]:
        """Returns for each value how far predictions are off, and in which direction."""
        empty = np.zeros((0, self._target.size))
        errors, labels = np.concatenate([empty, *self._errors]), np.concatenate([empty, *self._labels])
        values = [_errors_of(errors[:, at], labels[:, at]) for at in range(self._target.size)] if len(errors) else []
        return {"kind": self._target.kind, "unit": "images", "total": len(errors), "values": values}


def tallies_of(task: Task) -> dict[str, Tally]:
    """Returns an empty tally for each target of a task, by its name."""
    return {target.name: _tally(target) for target in task.targets}


def score_batches(tallies: Mapping[str, Tally], predicted: Mapping[str, Array], labels: Mapping[str, Array]) -> None:
    """Counts a batch in the tally of each target.

    Args:
        tallies: By target.
        predicted: Outputs by target.
        labels: By target.
    """
    for name, tally in tallies.items():
        tally.add(np.asarray(predicted[name]), np.asarray(labels[name]))


def largest_confusions(scores: Mapping[str, Any], *, most: int) -> list[tuple[str, str, int]]:
    """Returns the commonest mistakes of a classification, as (class, what it is taken for, how often).

    Args:
        scores: As `ClassTally.to_json` returns them.
        most: How many.
    """
    counts, names = np.array(scores["confusion"]), [figures["name"] for figures in scores["classes"]]
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(names)) for place in order]
    return [(names[row], names[column], int(counts[row, column])) for row, column in pairs if counts[row, column]]


def _tally(target: Target) -> Tally:
    match target.kind:
        case "classification" | "mask":
            return ClassTally(target)
        case "multilabel":
            return FlagTally(target)
        case "regression":
            return NumberTally(target)


def _share(part: int, whole: int, *, has_interval: bool) -> dict[str, Any]:
    """Returns a share and its interval; the share of nothing is null."""
    if not whole:
        return {"value": None}
    value = part / whole
    return {"value": value, **({"interval": list(wilson_interval(value, count=whole))} if has_interval else {})}


def _figures(name: str, *, hits: int, truth: int, answers: int, has_interval: bool) -> dict[str, Any]:
    """Returns what is known of one class or flag."""
    return {
        "name": name,
        "total": truth,
        "answers": answers,
        "right": hits,
        "recall": _share(hits, truth, has_interval=has_interval),
        "precision": _share(hits, answers, has_interval=has_interval),
        "f1": 2 * hits / (truth + answers) if truth + answers else None,
        **({} if has_interval else {"iou": hits / (truth + answers - hits) if truth + answers else None}),
    }


def _errors_of(errors: Array, labels: Array) -> dict[str, float | None]:
    spread = float(((labels - labels.mean()) ** 2).sum())
    ends: Sequence[float] = np.percentile(np.abs(errors), [50, 95]).tolist()
    return {
        "mean_absolute_error": float(np.abs(errors).mean()),
        "root_mean_squared_error": float(np.sqrt((errors**2).mean())),
        "mean_error": float(errors.mean()),
        "median_absolute_error": ends[0],
        "p95_absolute_error": ends[1],
        "r2_score": 1.0 - float((errors**2).sum()) / spread if spread else None,
    }
