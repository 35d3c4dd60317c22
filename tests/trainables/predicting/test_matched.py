"""Labels of other data are matched with the model's classes by name, whatever their places."""

from typing import Any

import numpy as np
import pytest

from trainables.data.images.arrays import array_images
from trainables.data.sources.base import RawSplit
from trainables.errors import DataError
from trainables.predicting.matched import matched_labels
from trainables.specs.task import Target, Task


def target(kind: Any, *names: str, size: int | None = None) -> Target:
    return Target(name="t", kind=kind, size=size or len(names), class_names=names, loss="x", metrics=())


def matched(labels: Any, kind: Any, *known: str, names: Any = None, lax: bool = False, size: int | None = None) -> Any:
    array = np.asarray(labels) if not isinstance(labels, np.ndarray) else labels
    images = array_images(np.zeros((len(array), 2, 2), np.uint8), where="x")
    split = RawSplit(where="new", images=images, labels={"t": array}, all_labels={"t": array})
    asked = target(kind, *known, size=size)
    task = Task(input_shape=(2, 2, 1), targets=(asked,))
    return matched_labels(split, names, target=asked, task=task, allows_missing=lax).tolist()


def lists(*rows: list[str]) -> np.ndarray:
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def test_texts_class_numbers_with_names_and_one_hot_rows_mean_the_same_classes() -> None:
    known = ("zebra", "ape", "newt")
    assert matched(["ape", "newt", "zebra"], "classification", *known) == [1, 2, 0]
    assert matched([0, 1, 2], "classification", *known, names=["ape", "newt", "zebra"]) == [1, 2, 0]
    one_hot = np.eye(3, dtype=np.int64)
    assert matched(one_hot, "classification", *known, names=["ape", "newt", "zebra"]) == [1, 2, 0]
    assert matched([10, 2, 1], "classification", "1", "10", "2") == [1, 2, 0]


def test_flags_are_matched_by_their_names() -> None:
    assert matched([[1, 0], [1, 1]], "multilabel", "tail", "fur", names=["fur", "tail"]) == [[0, 1], [1, 1]]
    assert matched(lists(["fur"], ["fur", "tail"]), "multilabel", "tail", "fur") == [[0, 1], [1, 1]]


def test_classes_of_masks_are_matched_by_their_names_and_what_does_not_count_stays() -> None:
    masks = np.array([[[0, 1], [1, 255]]], np.uint8)
    assert matched(masks, "mask", "cell", "ground", names=["ground", "cell"]) == [[[1, 0], [0, 255]]]


@pytest.mark.parametrize(
    ("labels", "kind", "known", "names", "message"),
    [
        (
            ["cat", "cow"],
            "classification",
            ("cat", "dog"),
            None,
            r"^new: target 't': the model does not know 1 of the labels' 2 classes: 'cow'; its classes are 'cat', 'd",
        ),
        ([0, 1], "classification", ("cat", "dog"), None, r"does not know 2 of the labels' 2 classes: '0', '1'"),
        (
            ["cat", "cat"],
            "classification",
            ("cat", "dog"),
            None,
            r"1 of the model's 2 classes have no image: 'dog'",
        ),
        (
            [0, 2],
            "classification",
            ("cat", "dog"),
            ["cat", "dog"],
            r"label 2 has no name, there are only 2 class n",
        ),
        (lists(["fur"], ["fin", "fur"]), "multilabel", ("tail", "fur"), None, r"does not know 1 of .*: 'fin'"),
        ([[1, 0], [1, 1]], "multilabel", ("a", "b", "c"), ["a", "b"], r"1 of the model's 3 classes have no image: 'c'"),
        ([[1.0, 2.0]], "regression", (), None, r"the training labels have 1 value\(s\) an image, these have 2"),
        (np.array([[[0, 1], [1, 1]]], np.uint8), "mask", ("a", "b"), None, r"does not know 2 of .*: '0', '1'"),
    ],
)
def test_unknown_and_missing_classes_are_errors_in_words(
    labels: Any, kind: str, known: tuple[str, ...], names: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        matched(labels, kind, *known, names=names, size=None if known else 1)


def test_missing_classes_may_be_insisted_on() -> None:
    assert matched(["dog", "dog"], "classification", "cat", "dog", lax=True) == [1, 1]
    assert matched([[1, 0], [1, 1]], "multilabel", "a", "b", "c", names=["b", "a"], lax=True) == [[0, 1, 0], [1, 1, 0]]
