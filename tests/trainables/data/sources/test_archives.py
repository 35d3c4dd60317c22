"""NumPy archives as people have them: other names, other label arrays, other orders of classes, sorted rows."""

import numpy as np
import pytest

from trainables.errors import DataError

COUNT = 24
X = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8), dtype=np.uint8)
Y = np.arange(COUNT) % 3
OTHERS = np.random.default_rng(1).integers(0, 256, (6, 8, 8), dtype=np.uint8)
OTHER_Y = np.arange(6) % 3


@pytest.fixture
def prepare_npz(tmp_path, prepare):
    def run(arrays, name="a.npz", **fields):
        np.savez(tmp_path / name, **arrays)
        return prepare(source="npz", path=str(tmp_path / name), **fields)

    return run


def rows(split):
    return split.images[split.indices][..., 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X, "y_train": np.array(["a", "b", "c"] * 8, object)}, "y_train: is an array of Python objects"),
        ({"x_train": np.array([*X[:3], None], object), "y_train": Y[:4]}, "x_train: is an array of Python objects"),
        ({"x_train": X, "y_train": Y, "x_valid": OTHERS}, "has x_valid but not y_valid; add y_valid"),
        ({"x": np.moveaxis(X, 0, -1)[:, :, None].repeat(3, 2), "y": Y}, "use np.moveaxis(x, 3, 0)"),
        ({"x": np.moveaxis(X, 0, -1), "y": Y}, "use np.moveaxis(x, 2, 0)"),
        ({"x": X, "y": np.eye(14)[Y] + np.eye(14)[3]}, "where several flags may hold, set kind: multilabel in targets"),
        ({"x": X, "y": np.full(COUNT, -1)}, "leave out a split whose labels are hidden (-1)"),
        ({"x": X, "y": Y, "x_test": OTHERS, "y_test": -np.ones(6)}, "x_test: expected labels >= 0, got -1; number"),
        ({"x": X, "y": Y + 1e300}, "the label 1e+300 is too large; number the classes"),
        ({"x": X, "y": np.array([b"a", b"\xff\xfe"] * 12)}, "a label is bytes that are not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told_with_a_way_out(arrays, message, prepare_npz):
    with pytest.raises(DataError) as caught:
        prepare_npz(arrays)
    assert message in str(caught.value)
    assert "allow_pickle" not in str(caught.value)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["cat", "dog", "é"] * 8),
        np.char.encode(np.array(["cat", "dog", "é"] * 8), "utf-8"),
        np.array(["cat", "dog", "é"] * 8)[:, None],
    ],
)
def test_text_in_every_dtype_that_archives_hold_is_read(labels, prepare_npz):
    data = prepare_npz({"x": X, "y": labels})
    assert data.info.task.targets[0].class_names == ("cat", "dog", "é")
    assert np.array_equal(data.train.labels["label"], Y)


@pytest.mark.parametrize("labels", [np.eye(4)[Y], np.eye(4, dtype=bool)[Y], np.eye(4, dtype=np.uint8)[Y]])
def test_one_hot_labels_are_the_place_of_the_one_and_a_note_says_so(labels, prepare_npz):
    data = prepare_npz({"x": X, "y": labels, "x_test": OTHERS, "y_test": OTHER_Y})
    assert data.info.task.targets[0].class_names == ("0", "1", "2", "3")
    assert np.array_equal(data.train.labels["label"], Y)
    assert "labels are one-hot over 4 columns" in " ".join(data.info.notes)


def test_one_hot_labels_of_another_width_or_number_of_names_are_refused(prepare_npz):
    with pytest.raises(DataError, match=r"the training labels have 3 classes, these are one-hot over 4"):
        prepare_npz({"x": X, "y": np.eye(3)[Y], "x_test": OTHERS, "y_test": np.eye(4)[OTHER_Y]})
    with pytest.raises(DataError, match=r"one-hot over 3 classes, but there are 2 class names"):
        prepare_npz({"x": X, "y": np.eye(3)[Y], "class_names": np.array(["a", "b"])})


@pytest.mark.parametrize(
    "labels", [np.sort(Y), np.sort(Y)[:, None], np.array(["a", "b", "c"])[np.sort(Y)], np.eye(3)[np.sort(Y)]]
)
def test_a_limit_keeps_every_class_of_sorted_data(labels, prepare_npz):
    data = prepare_npz({"x": X, "y": labels}, limit=7)
    assert np.array_equal(data.train.images[..., 0], X[[0, 1, 2, 8, 9, 16, 17]])
    assert np.bincount(data.train.labels["label"]).tolist() == [3, 2, 2]
    assert "the first 7 training images lack 2 of 3 classes" in " ".join(data.info.notes)


def write_pair(tmp_path, names, test_names, labels=Y, test_labels=OTHER_Y):
    np.savez(tmp_path / "train.npz", x=X, y=labels, class_names=np.array(names))
    extra = {} if test_names is None else {"class_names": np.array(test_names)}
    np.savez(tmp_path / "test.npz", x=OTHERS, y=test_labels, **extra)
    return {"source": "npz", "train": str(tmp_path / "train.npz"), "test": str(tmp_path / "test.npz")}


@pytest.mark.parametrize(
    ("names", "labels", "expected"),
    [
        (["cat", "dog"], [0, 1] * 3, [1, 2] * 3),
        (["dog", "cat", "bird"], [0, 1, 2] * 2, [2, 1, 0] * 2),
        (["owl", "dog"], [1] * 6, [2] * 6),
        (None, [2, 1, 0] * 2, [2, 1, 0] * 2),
    ],
)
def test_numbers_of_files_with_other_names_are_matched_by_name(names, labels, expected, tmp_path, prepare):
    fields = write_pair(tmp_path, ["bird", "cat", "dog"], names, test_labels=np.array(labels))
    data = prepare(**fields)
    assert data.info.task.targets[0].class_names == ("bird", "cat", "dog")
    assert data.test.labels["label"].tolist() == expected


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (["owl", "dog"], [0, 1] * 3, "class 'owl' is not among the training classes"),
        (["cat", "dog"], [0, 2] * 3, "label 2 has no name, there are only 2 class names"),
        (["cat", "dog"], ["owl", "cat"] * 3, "the training labels are whole numbers, these are not (first: 'owl')"),
    ],
)
def test_classes_that_cannot_be_matched_are_refused(names, labels, message, tmp_path, prepare):
    fields = write_pair(tmp_path, ["bird", "cat", "dog"], names, test_labels=np.array(labels))
    with pytest.raises(DataError) as caught:
        prepare(**fields)
    assert message in str(caught.value)
    assert "test.npz" in str(caught.value)


def test_the_same_file_for_two_splits_is_refused_unless_insisted_or_other_arrays_are_read(tmp_path, prepare):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes())
    fields = {"source": "npz", "train": str(tmp_path / "a.npz"), "test": str(tmp_path / "b.npz")}
    with pytest.raises(DataError, match=r"data.test: .*b.npz is equal to .*a.npz, one of the files of train"):
        prepare(**fields)
    assert prepare(**fields, allow_overlap=True).info.num_test == COUNT
    np.savez(tmp_path / "c.npz", x_train=X, y_train=Y, x_test=OTHERS, y_test=OTHER_Y)
    both = {"train": str(tmp_path / "c.npz"), "test": str(tmp_path / "c.npz")}
    assert np.array_equal(rows(prepare(source="npz", **both).test), OTHERS)
