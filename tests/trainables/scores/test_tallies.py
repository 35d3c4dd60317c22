"""Figures of predictions are those of scikit-learn, in whatever batches they were counted."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from trainables.scores.tallies import largest_confusions, score_batches, tallies_of
from trainables.specs.task import Target, Task

RNG = np.random.default_rng(5)
COUNT, SIZE = 203, 4
NAMES = tuple("abcd")


def scores(kind: Any, predicted: np.ndarray, labels: np.ndarray, *, size: int = SIZE) -> dict[str, Any]:
    target = Target(name="t", kind=kind, size=size, class_names=NAMES[:size], loss="x", metrics=())
    tallies = tallies_of(Task(input_shape=(3, 5, 1), targets=(target,)))
    for start in range(0, len(labels), 50):
        part = slice(start, start + 50)
        score_batches(tallies, {"t": predicted[part]}, {"t": labels[part]})
    return tallies["t"].to_json()


def probabilities(*shape: int) -> np.ndarray:
    values = RNG.random((*shape, SIZE)) ** 3
    return values / values.sum(axis=-1, keepdims=True)


def column(found: dict[str, Any], key: str) -> list[float]:
    return [item[key]["value"] if isinstance(item[key], dict) else item[key] for item in found["classes"]]


def test_classes_have_the_figures_of_scikit_learn() -> None:
    predicted, labels = probabilities(COUNT), RNG.integers(0, SIZE, COUNT)
    found, answers = scores("classification", predicted, labels), predicted.argmax(axis=1)
    known = metrics.precision_recall_fscore_support(labels, answers)
    for key, values in zip(("precision", "recall", "f1"), known, strict=False):
        assert column(found, key) == pytest.approx(values.tolist())
    assert found["confusion"] == metrics.confusion_matrix(labels, answers).tolist()
    assert found["share"]["value"] == pytest.approx(metrics.accuracy_score(labels, answers))
    low, high = found["share"]["interval"]
    assert low < found["share"]["value"] < high
    (truth, answer, count), *_ = largest_confusions(found, most=3)
    assert count == max(c for at, row in enumerate(found["confusion"]) for to, c in enumerate(row) if at != to)
    assert found["confusion"][NAMES.index(truth)][NAMES.index(answer)] == count


def test_expected_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    predicted, labels = probabilities(COUNT), RNG.integers(0, SIZE, COUNT)
    stated, is_right = predicted.max(axis=1), predicted.argmax(axis=1) == labels
    gap = 0.0
    for low in np.arange(10) / 10:
        inside = (stated >= low) & (stated < low + 0.1)
        if inside.any():
            gap += inside.sum() / COUNT * abs(stated[inside].mean() - is_right[inside].mean())
    found = scores("classification", predicted, labels)["calibration"]
    assert found["expected_error"] == pytest.approx(gap)
    assert sum(item["answers"] for item in found["bins"]) == COUNT


def test_model_that_is_too_unsure_has_an_error_as_one_that_is_too_sure() -> None:
    sure, unsure = np.full((4, SIZE), 0.1), np.full((4, SIZE), 0.2)
    sure[:, 0], unsure[:, 0] = 0.7, 0.4
    found = [
        scores("classification", predicted, labels)["calibration"]["expected_error"]
        for predicted, labels in ((sure, np.full(4, 1)), (unsure, np.zeros(4, np.int64)))
    ]
    assert found == pytest.approx([0.7, 0.6])


def test_pixels_that_do_not_count_are_left_out_and_pixels_have_no_interval() -> None:
    predicted, labels = probabilities(6, 3, 5), RNG.integers(0, SIZE, (6, 3, 5)).astype(np.uint8)
    labels[0] = 255
    found = scores("mask", predicted, labels)
    assert (found["total"], "interval" in found["share"]) == (5 * 15, False)
    answers, truth = predicted[1:].argmax(axis=-1).reshape(-1), labels[1:].reshape(-1)
    assert column(found, "iou") == pytest.approx(metrics.jaccard_score(truth, answers, average=None).tolist())


def test_flags_have_the_figures_of_scikit_learn() -> None:
    predicted, labels = RNG.random((COUNT, SIZE)), RNG.integers(0, 2, (COUNT, SIZE)).astype(np.uint8)
    found = scores("multilabel", predicted, labels)
    known = metrics.precision_recall_fscore_support(labels, predicted >= 0.5)
    for key, values in zip(("precision", "recall", "f1"), known, strict=False):
        assert column(found, key) == pytest.approx(values.tolist())


def test_numbers_have_the_errors_of_scikit_learn() -> None:
    labels = RNG.normal(size=(COUNT, 2)).astype(np.float32)
    predicted = labels + RNG.normal(size=(COUNT, 2)).astype(np.float32) / 3
    for at, value in enumerate(scores("regression", predicted, labels, size=2)["values"]):
        assert value["mean_absolute_error"] == pytest.approx(
            metrics.mean_absolute_error(labels[:, at], predicted[:, at]), rel=1e-5
        )
        assert value["r2_score"] == pytest.approx(metrics.r2_score(labels[:, at], predicted[:, at]), rel=1e-5)
        assert value["mean_error"] == pytest.approx(float((predicted - labels)[:, at].mean()), abs=1e-5)


def test_a_class_without_images_or_answers_has_no_figure_rather_than_a_zero() -> None:
    predicted, labels = np.eye(SIZE)[[0, 1, 1]], np.array([0, 0, 1])
    found = scores("classification", predicted, labels)
    assert column(found, "recall") == [0.5, 1.0, None, None]
    assert column(found, "precision") == [1.0, 0.5, None, None]
    assert column(found, "f1")[2:] == [None, None]
