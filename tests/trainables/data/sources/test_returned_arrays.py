"""What functions of users return: Keras's pairs, columns of tables, text of every kind."""

import zlib

import pytest

from trainables.errors import DataError

MODULE = """
import numpy as np
import pandas as pd

LABELS = np.arange(24) % 3
IMAGES = np.stack([np.full((8, 8), 10 * row, np.uint8) for row in range(24)])
NAMES = ["cat", "dog", "owl"] * 8

def load():
    return {expression}
"""
CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def prepare_function(tmp_path, request, prepare):
    def run(expression, **fields):
        name = f"returns_{zlib.crc32(request.node.name.encode())}"
        (tmp_path / f"{name}.py").write_text(MODULE.replace("{expression}", expression))
        return prepare(source="python", function=f"{name}:load", function_dir=str(tmp_path), **fields)

    return run


@pytest.mark.parametrize("memory_gb", [None, 0])
@pytest.mark.parametrize(
    "labels",
    [
        "pd.Series(NAMES)",
        "pd.Series(NAMES).astype('category')",
        "pd.DataFrame({'label': NAMES})[['label']]",
        "pd.Series(NAMES).array",
        "np.array(NAMES, dtype=object)",
        "np.array(NAMES, dtype=np.dtypes.StringDType())",
        "np.array([name.encode() for name in NAMES])",
        "[name.encode() for name in NAMES]",
        "NAMES",
    ],
)
def test_text_of_every_kind_is_classes(labels, memory_gb, prepare_function):
    data = prepare_function(f"IMAGES, {labels}", memory_gb=memory_gb)
    assert data.info.task.targets[0].class_names == CLASSES
    assert data.train.labels["label"].tolist() == [0, 1, 2] * 8
    assert data.train.images[:, 0, 0, 0].tolist() == [10 * row for row in range(24)]


@pytest.mark.parametrize(
    "labels", ["pd.Series(LABELS)", "pd.Series(LABELS, dtype='Int64')", "LABELS.astype(object)", "LABELS * 1.0"]
)
def test_numbers_of_every_kind_are_classes(labels, prepare_function):
    data = prepare_function(f"IMAGES, {labels}")
    assert data.info.task.targets[0].class_names == ("0", "1", "2")
    assert data.train.labels["label"].tolist() == [0, 1, 2] * 8


@pytest.mark.parametrize("memory_gb", [None, 0])
@pytest.mark.parametrize(
    "expression",
    [
        "(IMAGES[:18], LABELS[:18]), (IMAGES[18:], LABELS[18:])",
        "[[IMAGES[:18], LABELS[:18]], [IMAGES[18:], list(LABELS[18:])]]",
        "{'train': (IMAGES[:18], LABELS[:18]), 'test': (IMAGES[18:], LABELS[18:])}",
        "{'train_images': IMAGES[:18], 'train_labels': LABELS[:18], 'X_test': IMAGES[18:], 'y_test': LABELS[18:]}",
    ],
)
def test_pairs_of_splits_are_read(expression, memory_gb, prepare_function):
    data = prepare_function(expression, memory_gb=memory_gb)
    assert (data.info.num_train + data.info.num_validation, data.info.num_test) == (18, 6)
    assert data.train.images[:, 0, 0, 0].tolist() == [10 * row for row in range(18)]
    assert data.test.images[:, 0, 0, 0].tolist() == [10 * row for row in range(18, 24)]


def test_two_images_with_two_labels_are_no_pairs_of_splits(prepare_function):
    with pytest.raises(DataError, match=r"data.test_fraction: none of 2 training images can be held out"):
        prepare_function("(IMAGES[0], IMAGES[1]), (0, 1)")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("IMAGES, pd.Series(['a', None] * 12)", "label 1 is nan; label every image or remove it"),
        ("IMAGES, pd.Series([1, None] * 12, dtype='Int64')", "label 1 is nan; label every image or remove it"),
        (
            "IMAGES, np.array(['a', 1] * 12, dtype=object)",
            "expected labels that are all text or all numbers, got 'a' and 1",
        ),
        ("IMAGES, np.array([object()] * 24)", "y: is an array of Python objects"),
        ("IMAGES, [['a'], ['b', 'c']] * 12", "y: cannot become an array"),
        (
            "(IMAGES, IMAGES, LABELS, LABELS)",
            "got tuple; return arrays",
        ),
        (
            "np.array([IMAGES[0], IMAGES[0][:4], None], dtype=object), [0, 1, 0]",
            "x: label 2 is None; label every image",
        ),
        ("None", "got NoneType; return arrays"),
    ],
)
def test_what_is_no_array_is_told(expression, message, prepare_function):
    with pytest.raises(DataError) as caught:
        prepare_function(expression)
    assert message in str(caught.value)


def test_objects_that_are_images_of_one_size_are_stacked(prepare_function):
    data = prepare_function("pd.Series(list(IMAGES)), NAMES")
    assert data.train.images[:, 0, 0, 0].tolist() == [10 * row for row in range(24)]
