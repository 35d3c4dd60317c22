"""The guesses of each kind of target: fitted to the training split, measured on the others."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainables.data.cache.dataset import Dataset, Split
from trainables.data.images.images import Array
from trainables.references.pixels import small_pixels, spread_rows
from trainables.references.scores import class_scores, flag_scores, mask_scores, value_scores
from trainables.specs.dataset import DatasetInfo
from trainables.specs.masks import UNCOUNTED
from trainables.specs.targets import TargetKind, metric_name
from trainables.specs.task import Target

#: The most images of a split that a guess is fitted to or measured on; of images that are decoded for it, and of all by
#: their values, which take the time.
MOST_ROWS, MOST_ENCODED_ROWS, MOST_VALUES = 5_000, 1_000, 500_000_000
#: The most values that the logistic regression's coefficients have: more would take minutes.
_MOST_COEFFICIENTS = 200_000
_MASK_BATCH = 64
_SPLITS = {"val": "validation", "test": "test"}
_LOGISTIC, _RIDGE = "logistic regression on pixels", "ridge regression on pixels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One guess of one target.

    Attributes:
        name: In words.
        metrics: By split, `val` or `test`, then by metric.
        images: The number of images measured on, by split.
        is_blind: Whether it is the same for every image.
    """

    name: str
    metrics: Mapping[str, Mapping[str, float]]
    images: Mapping[str, int]
    is_blind: bool


def reference_rows(dataset: Dataset) -> list[dict[str, Any]]:
    """Returns the rows of all targets, JSON-ready: `name`, `is_blind`, `images` by split, `metrics` by name.

    Args:
        dataset: An open data set.
    """
    task, pixels = dataset.info.task, _Pixels(dataset)
    rows = []
    for target in task.targets:
        for guess in _GUESSES[target.kind](target, pixels):
            metrics = {
                f"{split}_{metric_name(target.name, name, num_targets=len(task.targets))}": value
                for split, values in guess.metrics.items()
                for name, value in values.items()
                if np.isfinite(value)
            }
            name = guess.name if task.has_one_target else f"{guess.name} for {target.name}"
            images = {_SPLITS[split]: count for split, count in guess.images.items()}
            rows.append({"name": name, "is_blind": guess.is_blind, "images": images, "metrics": metrics})
    return rows


def most_rows(info: DatasetInfo) -> int:
    """Returns how many images of a split are looked at, so that the time is seconds.

    Args:
        info: A prepared data set.
    """
    height, width, _ = info.task.input_shape
    most = MOST_ENCODED_ROWS if info.storage == "encoded" else MOST_ROWS
    return max(1, min(most, MOST_VALUES // (height * width * info.task.stored_channels)))


class _Pixels:
    """The splits' labels, and their small images, which are made once for all targets.

    Args:
        dataset: An open data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.most_rows = most_rows(dataset.info)
        self._fitted = spread_rows(np.asarray(dataset.train.indices), most=self.most_rows)
        self.train = dataset.train
        splits = {"val": dataset.validation, "test": dataset.test}
        self.others = {name: split for name, split in splits.items() if len(split.indices)}
        #: How many images each has.
        self.sizes = {name: len(split.indices) for name, split in self.others.items()}
        self._small: dict[str, Array] = {}

    def fitted(self, target: Target) -> tuple[Array, Array]:
        """Returns small training images (count, values) and their labels."""
        if "train" not in self._small:
            self._small["train"] = small_pixels(self.train, self._fitted)
        return self._small["train"], np.asarray(self.train.labels[target.name][self._fitted])

    def measured(self, name: str, target: Target) -> tuple[Array, Array]:
        """Returns small images (count, values) of another split and their labels."""
        rows = spread_rows(np.asarray(self.others[name].indices), most=self.most_rows)
        if name not in self._small:
            self._small[name] = small_pixels(self.others[name], rows)
        return self._small[name], np.asarray(self.others[name].labels[target.name][rows])


def _labels(split: Split, target: Target) -> Array:
    return np.asarray(split.labels[target.name])[np.asarray(split.indices)]


def _of_classes(target: Target, pixels: _Pixels) -> Iterator[Guess]:
    counts = np.bincount(_labels(pixels.train, target), minlength=target.size).astype(float)
    alike = {
        name: class_scores(target, truth=truth, scores=np.broadcast_to(counts, (len(truth), target.size)))
        for name, split in pixels.others.items()
        for truth in [_labels(split, target)]
    }
    yield Guess(name="majority class", metrics=alike, images=pixels.sizes, is_blind=True)
    images, labels = pixels.fitted(target)
    known = np.unique(labels)
    if len(known) < 2:
        return
    means = np.stack([images[labels == label].mean(axis=0) for label in known])

    def nearness(small: Array) -> Array:
        return 2 * small @ means.T - np.sum(means**2, axis=1)

    yield _looking("nearest class mean", target, pixels, known=known, score=nearness)
    if len(known) * images.shape[1] <= _MOST_COEFFICIENTS:
        yield _looking(_LOGISTIC, target, pixels, known=known, score=_logistic(images, labels))


def _looking(name: str, target: Target, pixels: _Pixels, *, known: Array, score: Callable[[Array], Array]) -> Guess:
    """Returns a guess by scores of the classes that it was fitted to; the others come last."""
    metrics, images = {}, {}
    for split in pixels.others:
        small, truth = pixels.measured(split, target)
        images[split] = len(truth)
        scores = np.full((len(truth), target.size), -np.inf)
        scores[:, known] = score(small)
        metrics[split] = class_scores(target, truth=truth, scores=scores)
    return Guess(name=name, metrics=metrics, images=images, is_blind=False)


def _logistic(images: Array, labels: Array) -> Callable[[Array], Array]:
    # Late: scikit-learn takes over a second to import.
    from sklearn.linear_model import LogisticRegression

    middle = images.mean(axis=0)
    model = LogisticRegression(max_iter=100)
    with warnings.catch_warnings():
        # What has not converged after so many steps is a guess as well.
        warnings.simplefilter("ignore")
        model.fit(images - middle, labels)

    def scores(small: Array) -> Array:
        found = np.asarray(model.decision_function(small - middle))
        return found if found.ndim == 2 else np.stack([-found, found], axis=1)

    return scores


def _of_flags(target: Target, pixels: _Pixels) -> Iterator[Guess]:
    guess = _labels(pixels.train, target).mean(axis=0) >= 0.5
    metrics = {
        name: flag_scores(target, truth=_labels(split, target), guess=guess) for name, split in pixels.others.items()
    }
    yield Guess(name="majority of each flag", metrics=metrics, images=pixels.sizes, is_blind=True)


def _of_values(target: Target, pixels: _Pixels) -> Iterator[Guess]:
    mean = _labels(pixels.train, target).mean(axis=0, dtype=np.float64)
    metrics = {
        name: value_scores(target, truth=_labels(split, target), guess=mean) for name, split in pixels.others.items()
    }
    yield Guess(name="mean", metrics=metrics, images=pixels.sizes, is_blind=True)
    # Late: as above.
    from sklearn.linear_model import RidgeCV

    images, values = pixels.fitted(target)
    if len(images) < 2:
        return
    model = RidgeCV(alphas=np.logspace(-1, 4, 6))
    model.fit(images.astype(np.float64), values.astype(np.float64))
    measured, counts = {}, {}
    for name in pixels.others:
        small, truth = pixels.measured(name, target)
        counts[name] = len(truth)
        measured[name] = value_scores(target, truth=truth, guess=model.predict(small).reshape(truth.shape))
    yield Guess(name=_RIDGE, metrics=measured, images=counts, is_blind=False)


def _of_masks(target: Target, pixels: _Pixels) -> Iterator[Guess]:
    guess = int(np.argmax(_pixel_counts(pixels.train, target, most=pixels.most_rows)))
    counts = {name: _pixel_counts(split, target, most=pixels.most_rows) for name, split in pixels.others.items()}
    metrics = {name: mask_scores(target, pixels=count, guess=guess) for name, count in counts.items() if count.sum()}
    images = {name: min(size, pixels.most_rows) for name, size in pixels.sizes.items()}
    yield Guess(name="majority class of all pixels", metrics=metrics, images=images, is_blind=True)


def _pixel_counts(split: Split, target: Target, *, most: int) -> Array:
    """Returns how many pixels of a split's masks are of each class, (classes,); pixels that do not count aside."""
    rows, total = spread_rows(np.asarray(split.indices), most=most), np.zeros(UNCOUNTED + 1, np.int64)
    for start in range(0, len(rows), _MASK_BATCH):
        masks = np.asarray(split.labels[target.name][rows[start : start + _MASK_BATCH]])
        total += np.bincount(masks.ravel(), minlength=UNCOUNTED + 1)
    return total[: target.size]


_GUESSES: Mapping[TargetKind, Callable[[Target, _Pixels], Iterator[Guess]]] = {
    "classification": _of_classes,
    "multilabel": _of_flags,
    "regression": _of_values,
    "mask": _of_masks,
}
