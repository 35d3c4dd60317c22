"""The worst mistakes: the surest first, the same in whatever batches they were found, in names of classes."""

from typing import Any

import numpy as np
import pytest

from trainables.scores.mistakes import MOST_MISTAKES, worst_mistakes_of
from trainables.scores.tallies import score_batches
from trainables.specs.masks import UNCOUNTED
from trainables.specs.task import Target, Task

RNG = np.random.default_rng(8)
NAMES = tuple("abcd")


def mistakes(kind: Any, predicted: np.ndarray, labels: np.ndarray, *, batch: int = 50) -> dict[str, Any]:
    names = () if kind == "regression" else NAMES[: predicted.shape[-1]]
    target = Target(name="t", kind=kind, size=predicted.shape[-1], class_names=names, loss="x", metrics=())
    worst = worst_mistakes_of(Task(input_shape=(3, 5, 1), targets=(target,)))
    for start in range(0, len(labels), batch):
        part = slice(start, start + batch)
        score_batches(worst, {"t": predicted[part]}, {"t": labels[part]})
    return worst["t"].to_json()


def test_the_surest_wrong_classes_come_first_in_whatever_batches() -> None:
    predicted, labels = RNG.dirichlet(np.ones(4), 203), RNG.integers(0, 4, 203)
    found = mistakes("classification", predicted, labels)
    assert found == mistakes("classification", predicted, labels, batch=7)
    answers, sure = predicted.argmax(axis=1), predicted.max(axis=1)
    wrong = np.flatnonzero(answers != labels)
    wanted = sorted(wrong.tolist(), key=lambda place: (-sure[place], place))[:MOST_MISTAKES]
    assert (found["images"], found["wrong"]) == (203, len(wrong))
    assert [example["place"] for example in found["examples"]] == wanted
    for example in found["examples"]:
        place = example["place"]
        assert (example["label"], example["answer"]) == (NAMES[labels[place]], NAMES[answers[place]])
        assert example["size"] == pytest.approx(sure[place])


def test_of_equally_sure_mistakes_the_first_images_are_kept() -> None:
    predicted, labels = np.tile([[0.25, 0.75]], (30, 1)), np.zeros(30, np.int32)
    found = mistakes("classification", predicted, labels, batch=4)
    assert [example["place"] for example in found["examples"]] == list(range(MOST_MISTAKES))
    assert found["wrong"] == 30


def test_a_flag_is_wrong_as_surely_as_it_is_set_or_not_set() -> None:
    predicted = np.array([[0.9, 0.02], [0.6, 0.1], [0.9, 0.8]], np.float32)
    labels = np.array([[0, 1], [0, 0], [1, 1]], np.uint8)
    found = mistakes("multilabel", predicted, labels)
    assert [(item["place"], item["label"], item["answer"]) for item in found["examples"]] == [
        (0, "b", "not b"),
        (1, "not a", "a"),
    ]
    assert [item["size"] for item in found["examples"]] == pytest.approx([0.98, 0.6])


def test_the_largest_error_of_an_image_counts_and_exact_numbers_are_no_mistakes() -> None:
    predicted = np.array([[1.0, 5.0], [2.0, 2.0], [0.0, 9.0]])
    labels = np.array([[1.0, 2.0], [2.0, 2.0], [8.0, 8.0]], np.float32)
    found = mistakes("regression", predicted, labels)
    assert found["wrong"] == 2
    assert found["examples"] == [
        {"place": 2, "value": 0, "label": 8.0, "answer": 0.0, "size": 8.0},
        {"place": 0, "value": 1, "label": 2.0, "answer": 5.0, "size": 3.0},
    ]


def test_masks_with_the_largest_shares_of_wrong_pixels_come_first_with_their_commonest_confusion() -> None:
    labels = np.zeros((4, 2, 3), np.uint8)
    answers = labels.copy()
    answers[1, 0] = [1, 1, 2]
    answers[3] = 1
    labels[2, 1], answers[2] = UNCOUNTED, 2
    labels[2, 0], answers[2, 0] = 2, [2, 2, 0]
    found = mistakes("mask", np.eye(3)[answers], labels)
    assert (found["images"], found["wrong"]) == (4, 3)
    assert [(item["place"], item["label"], item["answer"], item["size"]) for item in found["examples"]] == [
        (3, "a", "b", 1.0),
        (1, "a", "b", 0.5),
        (2, "c", "a", pytest.approx(1 / 3)),
    ]
    assert found == mistakes("mask", np.eye(3)[answers], labels, batch=1)


def test_a_mask_without_a_counted_pixel_is_no_mistake() -> None:
    labels = np.full((2, 2, 3), UNCOUNTED, np.uint8)
    assert mistakes("mask", np.eye(3)[np.ones_like(labels)], labels)["examples"] == []
