"""Keeps the worst mistakes of a target, batch by batch: surest wrong answers, largest errors, worst masks."""

from typing import Any

import numpy as np

from trainables.scores.tallies import FLAG_SET, Array
from trainables.specs.masks import UNCOUNTED
from trainables.specs.task import Target, Task

#: Mistakes that are kept of a target.
MOST_MISTAKES = 12
_NO_MISTAKE = -np.inf


class WorstMistakes:
    """The worst mistakes of one target among the images so far.

    Of a classification these are wrong answers of the greatest probability, of flags likewise, one flag an image; of
    numbers the largest errors, one value an image. Of masks they are the images with the largest shares of wrong
    pixels, each with what most of those are and are taken for.

    Args:
        target: The target.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._num_images, self._num_wrong = 0, 0
        #: (size, place, class or value, label, answer), the worst first; of equal sizes the first image first.
        self._kept: list[tuple[float, int, int, float, float]] = []

    def add(self, predicted: Array, labels: Array) -> None:
        """Looks at a batch of outputs and its labels, which follow those of the batches before."""
        kind = self._target.kind
        sizes, values = _sizes_of_masks(predicted, labels) if kind == "mask" else _sizes(predicted, labels, kind=kind)
        rows = np.flatnonzero(sizes > _NO_MISTAKE)
        self._num_wrong += len(rows)
        for row in rows[np.argsort(-sizes[rows], kind="stable")][:MOST_MISTAKES].tolist():
            value = int(values[row])
            if kind == "mask":
                label, answer = map(float, divmod(value, self._target.size))
            elif kind == "classification":
                label, answer = float(labels[row]), float(value)
            else:
                label, answer = float(labels[row, value]), float(predicted[row, value])
            self._kept.append((float(sizes[row]), self._num_images + row, value, label, answer))
        self._num_images += len(labels)
        self._kept = sorted(self._kept, key=lambda entry: (-entry[0], entry[1]))[:MOST_MISTAKES]

    def to_json(self) -> dict[str, Any]:
        """Returns the mistakes, JSON-ready: each image's place in the split, what it is, the answer, and a size.

        The size is the answer's probability, the error of a number, or the share of a mask's pixels that are wrong.
        """
        return {
            "images": self._num_images,
            "wrong": self._num_wrong,
            "examples": [
                {"place": place, **self._in_words(value, label=label, answer=answer), "size": size}
                for size, place, value, label, answer in self._kept
            ],
        }

    def _in_words(self, value: int, *, label: float, answer: float) -> dict[str, Any]:
        names = self._target.class_names
        if self._target.kind == "classification":
            return {"label": names[int(label)], "answer": names[value]}
        if self._target.kind == "mask":
            return {"label": names[int(label)], "answer": names[int(answer)]}
        if self._target.kind == "multilabel":
            pair = (names[value], f"not {names[value]}")
            return {"label": pair[label != 1], "answer": pair[answer < FLAG_SET]}
        return {"value": value, "label": label, "answer": answer}


def worst_mistakes_of(task: Task) -> dict[str, WorstMistakes]:
    """Returns an empty list of mistakes for each target of a task, by its name."""
    return {target.name: WorstMistakes(target) for target in task.targets}


def _sizes(predicted: Array, labels: Array, *, kind: str) -> tuple[Array, Array]:
    """Returns how bad each image's worst mistake is, _NO_MISTAKE for none, and its class, flag or value."""
    if kind == "classification":
        values = predicted.argmax(axis=1)
        size = np.take_along_axis(predicted, values[:, None], axis=1)[:, 0]
        return np.where(values == labels, _NO_MISTAKE, size), values
    if kind == "multilabel":
        is_answered = predicted >= FLAG_SET
        each = np.where((labels == 1) == is_answered, _NO_MISTAKE, np.where(is_answered, predicted, 1 - predicted))
    else:
        errors = np.abs(predicted.astype(np.float64) - labels.astype(np.float64))
        each = np.where(errors == 0, _NO_MISTAKE, errors)
    values = each.argmax(axis=1)
    return np.take_along_axis(each, values[:, None], axis=1)[:, 0], values


def _sizes_of_masks(predicted: Array, labels: Array) -> tuple[Array, Array]:
    """Returns which share of each image's counted pixels is wrong, _NO_MISTAKE for none, and their commonest confusion.

    A confusion is the pixel's class times the number of classes, and the class that it is taken for.
    """
    size, truth = predicted.shape[-1], labels.reshape(len(labels), -1).astype(np.int64)
    answers = predicted.argmax(axis=-1).reshape(truth.shape)
    is_counted = truth != UNCOUNTED
    is_wrong = is_counted & (answers != truth)
    shares = is_wrong.sum(axis=1) / np.maximum(1, is_counted.sum(axis=1))
    pairs = truth * size + answers
    commonest = [np.bincount(pair[wrong], minlength=1).argmax() for pair, wrong in zip(pairs, is_wrong, strict=True)]
    return np.where(shares == 0, _NO_MISTAKE, shares), np.asarray(commonest, np.int64)
