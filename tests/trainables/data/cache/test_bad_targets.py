"""Wrong labels of any kind are told with the target, what was found, and how to mend it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from trainables.errors import DataError
from trainables.specs.data import DataSpec

X = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4)
CLASS = np.arange(6) % 2
FLAGS = np.array([[0, 1], [1, 0]] * 3)
NUMBER = np.arange(6) / 4
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def prepare_npz(tmp_path, prepare):
    def run(arrays, **fields):
        np.savez(tmp_path / "a.npz", **arrays)
        return prepare(source="npz", path=str(tmp_path / "a.npz"), **fields)

    return run


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        ("classification", CLASS * 0 + 3, "expected at least two classes, got only 3 in 6 labels; give training"),
        ("classification", NUMBER, "expected whole-number labels, got 0.25; classes are numbered 0, 1, 2, ..., and "
         "numbers to predict are kind: regression"),
        ("classification", [0, 1, NAN, 0, 1, 0], "label 2 is nan; label every image or remove it"),
        ("classification", FLAGS * 0 + 1, "got shape (6, 2), whose rows are not one-hot; where several"),
        ("classification", CLASS[:5], "there are 6 images but 5 labels; give every image one label"),
        ("multilabel", CLASS, "expected several flags an image, got labels of shape (6,); use kind: classification"),
        ("multilabel", FLAGS + 1, "label 0 has 2, expected flags 0 or 1; mark what is set with 1, or name the flags"),
        ("multilabel", FLAGS * 0.5, "label 0 has 0.5, expected flags 0 or 1"),
        ("multilabel", np.where(FLAGS == 1, NAN, 0), "label 0 has nan, expected flags 0 or 1"),
        ("multilabel", FLAGS * 0, "target 'it': all 6 training images are labelled alike, [0, 0]; give images that"),
        ("multilabel", FLAGS[:, :0], "expected several flags an image, got labels of shape (6, 0)"),
        ("multilabel", FLAGS.astype(str), "expected flags 0 or 1, got dtype <U"),
        ("multilabel", FLAGS[:4], "there are 6 images but 4 labels"),
        ("regression", ["a"] * 6, "expected numbers, got text (first: 'a'); convert them, or use kind: classification"),
        ("regression", CLASS > 0, "expected numbers, got true and false (first: False)"),
        ("regression", [0.0, 1.0, 2.0, 3.0, NAN, 5.0], "label 4 is nan; give every image a finite number or remove"),
        ("regression", [0.0, INF, 2.0, 3.0, 4.0, 5.0], "label 1 is inf; give every image a finite number"),
        ("regression", [0.0, 1e40, 2.0, 3.0, 4.0, 5.0], "label 1 is 1e+40; give every image a finite number"),
        ("regression", NUMBER * 0 + 7, "target 'it': all 6 training images are labelled alike, [7.0]; give images"),
        ("regression", np.ones((6, 2, 2)), "expected one number an image, or a row of numbers, got labels of shape"),
        ("regression", NUMBER + 1j, "expected numbers, got dtype complex128"),
        ("regression", NUMBER[:3], "there are 6 images but 3 labels"),
    ],
)  # fmt: skip
def test_wrong_labels_are_told_by_target(kind, labels, message, prepare_npz):
    with pytest.raises(DataError) as caught:
        prepare_npz({"x": X, "it": np.asarray(labels)}, targets={"it": {"kind": kind}})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "labels", "others", "message"),
    [
        ("classification", CLASS, CLASS + 1, "x_test: target 'it' (column 'it'): 1 label(s) are not among the 2"),
        ("classification", CLASS, CLASS.astype(str), "the training labels are whole numbers, these are not"),
        ("multilabel", FLAGS, FLAGS[:, [0, 1, 1]], "the training labels have 2 flags an image, these have 3"),
        ("multilabel", FLAGS, FLAGS * 2, "x_test: target 'it' (column 'it'): label 0 has 2, expected flags 0 or 1"),
        ("regression", NUMBER, FLAGS, "the training labels have 1 value(s) an image, these have 2; write the labels"),
        ("regression", NUMBER, NUMBER * NAN, "x_test: target 'it' (column 'it'): label 0 is nan"),
    ],
)
def test_labels_that_differ_between_splits_are_told(kind, labels, others, message, prepare_npz):
    arrays = {"x_train": X, "it_train": labels, "x_test": X, "it_test": others}
    with pytest.raises(DataError) as caught:
        prepare_npz(arrays, targets={"it": {"kind": kind}})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X, "aeg_train": NUMBER}, "has x_train but not age_train; add age_train; did you mean 'aeg_tr"),
        ({"x_train": X, "age_train": NUMBER, "sex_train": CLASS, "age_test": NUMBER}, "has age_test but not x_test"),
        ({"x_train": X, "age_train": NUMBER, "sex_train": CLASS, "x_test": X, "age_test": NUMBER},
         "has x_test but not sex_test; add sex_test"),
        ({"a": X}, "expected arrays named x_train and age_train and sex_train (or train_images and "),
        ({"x": X, "age": NUMBER, "sex": CLASS[:2]}, "x: there are 6 images but 2 labels in sex; give every image"),
        ({"x": X, "age": NUMBER, "sex": CLASS, "sex_names": np.array(["f"])}, "label 1 has no name, there are only"),
        ({"x": X, "age": NUMBER, "sex": CLASS, "sex_names": np.array([1, 2])}, "sex_names: expected a list of"),
    ],
)  # fmt: skip
def test_wrong_arrays_of_several_targets_are_told(arrays, message, prepare_npz):
    with pytest.raises(DataError) as caught:
        prepare_npz(arrays, targets={"age": {"kind": "regression"}, "sex": {}})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        ("multilabel", [["a"], None, []] * 2, "row 1: the label is missing (null); label every row or remove it"),
        ("multilabel", [["a"], [None], []] * 2, "row 1: a value of the label is missing (null); fill it"),
        ("multilabel", [["a", "a"], ["b"]] * 3, "label 0 is ['a', 'a'], which names a flag twice"),
        ("multilabel", [[0, 1, 0], [1, 1]] * 3, "label 0 is [0, 1, 0], which names a flag twice, and the lists differ"),
        ("multilabel", [[0.5], []] * 3, "label 0 has 0.5; lists of different lengths name the flags that are set, by"),
        ("multilabel", [[True], []] * 3, "label 0 has True; lists of different lengths name"),
        ("multilabel", [[-1], []] * 3, "label 0 has -1; lists of different lengths name"),
        ("multilabel", pa.array([[]] * 6, pa.list_(pa.string())), "no flag is set in any of 6 labels; nothing can be"),
        ("multilabel", ["a"] * 6, "expected several flags an image, got labels of shape (6,)"),
        (
            "multilabel",
            [[[1]]] * 6,
            "column 'it' has type list<element: list<element: int64>>, expected lists of 0 and",
        ),
        ("regression", [[1.0], [1.0, 2.0]] * 3, "the lists of numbers differ in length: label 0 has 1, label 1 has 2"),
        (
            "regression",
            [["a"], ["b", "c"]] * 3,
            "expected numbers, got lists of text (first: 'a'); use kind: multilabel",
        ),
        ("regression", [None, 1.0] * 3, "row 0: the label is missing (null)"),
        ("regression", [b"a"] * 6, "column 'it' has type binary, expected numbers, or lists of numbers"),
        ("classification", [["a"], ["b"]] * 3, "column 'it' has type list<element: string>, expected whole numbers or"),
    ],
)
def test_wrong_parquet_labels_are_told(kind, labels, message, tmp_path, prepare):
    pq.write_table(pa.table({"image": X.tolist(), "it": labels}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as caught:
        prepare(source="parquet", train=str(tmp_path / "a.parquet"), targets={"it": {"kind": kind}})
    assert message in str(caught.value)


def test_a_lone_targets_array_under_another_splits_key_is_a_doubt(prepare_npz):
    with pytest.raises(DataError, match=r"has x_train but not it_train; add it_train"):
        prepare_npz({"x_train": X, "y_train": CLASS, "it": NUMBER}, targets={"it": {"kind": "regression"}})


def test_missing_parquet_columns_are_told_with_the_nearest(tmp_path, prepare):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": X.tolist(), "years": NUMBER}), path)
    with pytest.raises(DataError) as caught:
        prepare(source="parquet", train=str(path), targets={"age": {"kind": "regression", "column": "yeers"}})
    assert str(caught.value) == (
        f"data.targets.age: {path} has no single column 'yeers', its columns are ['image', 'years']; "
        "did you mean 'years'?"
    )


def test_names_unknown_to_training_are_told(tmp_path, prepare):
    for name, labels in (("train", [["a"], ["b"]] * 3), ("test", [["a"], ["c"]] * 3)):
        pq.write_table(pa.table({"image": X.tolist(), "it": labels}), tmp_path / f"{name}.parquet")
    files = {name: str(tmp_path / f"{name}.parquet") for name in ("train", "test")}
    with pytest.raises(DataError, match=r"label 1 sets 'c', which is not among the 2 flags of the training labels"):
        prepare(source="parquet", targets={"it": {"kind": "multilabel"}}, **files)


@pytest.mark.parametrize(("kind", "labels", "shown"), [
    ("classification", np.sort(CLASS), "all of one class, '0'"),
    ("multilabel", FLAGS[[0, 0, 0, 1, 1, 1]], "all labelled alike, [0, 1]"),
    ("regression", NUMBER // 1, "all labelled alike, [0.0]"),
])  # fmt: skip
def test_limit_that_leaves_labels_alike_is_told(kind, labels, shown, prepare_npz):
    limit = 1 if kind == "classification" else 3  # Classes take turns.
    with pytest.raises(DataError) as caught:
        prepare_npz({"x": X, "it": labels}, targets={"it": {"kind": kind}}, limit=limit)
    assert f"data.limit: target 'it': the first {limit} training images are {shown}; raise limit" in str(caught.value)


def test_a_single_constant_flag_or_value_among_others_may_be(prepare_npz):
    flags = np.stack([CLASS, CLASS * 0, CLASS * 0 + 1], axis=1)
    targets = {"flags": {"kind": "multilabel"}, "values": {"kind": "regression"}}
    data = prepare_npz({"x": X, "flags": flags, "values": flags * 2.0}, targets=targets)
    assert np.array_equal(data.train.labels["flags"], flags)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "keras", "name": "mnist", "targets": {"a": {"kind": "regression"}}},
         "targets: source 'keras' has one class an image, its column 'label', got a (regression); keep one target"),
        ({"source": "keras", "name": "mnist", "targets": {"a": {}, "b": {}}}, "got a (classification), b (cl"),
        ({"source": "images", "path": "p", "targets": {"a": {"column": "age"}}},
         "has one class an image, its column 'folder', got a (classification, column 'age')"),
        ({"source": "digits", "targets": {"inc": {"kind": "regression"}}},
         "targets: inc: source 'digits' has the label columns label, ink, quadrants, got 'inc'; did you mean 'ink'?"),
        ({"source": "digits", "targets": {"val_x": {}}}, "does not begin with val_, test_, best_, got 'val_x'"),
        ({"source": "digits", "targets": {"loss": {}}}, "none of loss, image, epoch, trial"),
        ({"source": "npz", "path": "p", "targets": {"x": {"metrics": ["top_2_accuracy"]}, "x_top_2": {}}},
         "targets: x and x_top_2 would both report 'x_top_2_accuracy'; rename one of them"),
        ({"source": "digits", "inputs": ["a", "b"]}, "inputs: belongs to source 'npz' or 'parquet'"),
        ({"source": "npz", "path": "p", "inputs": ["a"]}, "expected two or more different names, got ['a']"),
        ({"source": "npz", "path": "p", "inputs": ["a", "a"]}, "two or more different names, got ['a', 'a']"),
        ({"source": "npz", "path": "p", "inputs": ["a", "Left eye"]}, "expected names of small letters,"),
        ({"source": "npz", "path": "p", "inputs": ["a", "dense_1"]}, "no layer of Keras has, got 'dense_1'"),
        ({"source": "npz", "path": "p", "inputs": ["a", "b"], "targets": {"b": {}}}, "inputs: 'b' is a target, too"),
        ({"source": "npz", "path": "p", "inputs": ["a", "b"], "targets": {"c": {"column": "b"}}}, "'b' is a target"),
        ({"source": "parquet", "train": "p", "inputs": ["a", "b"], "image_column": "c"},
         "image_column: is for one image an example, got 'c' beside inputs ['a', 'b']"),
        ({"source": "parquet", "train": "p", "targets": {"a": {}}, "label_column": "c"},
         "label_column: targets name their own columns, got 'c' beside them"),
    ],
)  # fmt: skip
def test_targets_and_inputs_that_a_source_cannot_have_are_refused_before_anything_is_read(fields, message):
    with pytest.raises(ValidationError) as caught:
        DataSpec(**fields)
    assert message in str(caught.value)
