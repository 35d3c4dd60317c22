"""Arrays as people have them: other names, other types of labels, pairs of splits, more than is needed."""

import numpy as np
import pytest

from trainables.errors import DataError

#: The same images in training and test, as it is the labels that count.
INSIST = {"allow_overlap": True}


def greys(split):
    images = np.asarray(split.images[np.asarray(split.indices)])
    return images[:, 0, 0, 0].tolist()


def labels(split):
    return np.asarray(split.labels["label"])[np.asarray(split.indices)].tolist()


def flat_images(values, size=28):
    images = np.repeat(np.repeat(np.asarray(values, np.uint8)[:, None, None], size, 1), size, 2)
    images[:, -1, -1] = 255
    return images


@pytest.fixture
def read_npz(tmp_path, prepare):
    def run(fields=None, **arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return prepare(source="npz", path=str(tmp_path / "a.npz"), **(fields or {}))

    return run


@pytest.fixture
def read_python(tmp_path, prepare, request):
    def run(code):
        name = f"field_{abs(hash(request.node.name))}"
        (tmp_path / f"{name}.py").write_text(f"import numpy as np\ndef load():\n{code}\n")
        return prepare(source="python", function=f"{name}:load", function_dir=str(tmp_path), allow_overlap=True)

    return run


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
        ("X_train", "Y_train", "X_valid", "Y_valid", "X_test", "Y_test"),
        ("x_train", "y_train", "x_dev", "y_dev", "x_test", "y_test"),
        ("images", "labels", "images_val", "labels_val", "test_images", "test_labels"),
        ("train_x", "train_y", "dev_x", "dev_y", "test_x", "test_y"),
        ("training_images", "training_labels", "validation_images", "validation_labels", "testing_images",
         "testing_labels"),
    ],
)  # fmt: skip
def test_splits_are_found_by_every_usual_name(names, read_npz):
    parts = [np.arange(12), 100 + np.arange(4), 200 + np.arange(6)]
    arrays = {}
    for number, values in enumerate(parts):
        arrays[names[2 * number]] = flat_images(values)
        arrays[names[2 * number + 1]] = (values % 2).astype(np.uint8)[:, None]
    data = read_npz(**arrays)
    assert data.info.task.input_shape == (28, 28, 1)
    assert [greys(data.train), greys(data.validation), greys(data.test)] == [values.tolist() for values in parts]
    assert labels(data.test) == [0, 1] * 3
    assert not [note for note in data.info.notes if "not used" in note]


def test_arrays_that_nobody_asked_for_are_named_and_not_read(read_npz, tmp_path):
    meta = np.empty(2, object)
    meta[:] = [{"age": 1}, None]
    data = read_npz(x=flat_images(range(24)), y=np.arange(24) % 3, meta=meta, x_holdout=flat_images(range(3)))
    assert sorted(greys(data.train) + greys(data.validation) + greys(data.test)) == list(range(24))
    assert f"{tmp_path / 'a.npz'}: meta, x_holdout are not used" in data.info.notes


def test_two_arrays_that_differ_in_capitals_only_are_not_confused(read_npz):
    with pytest.raises(DataError, match="has y_train but not x_train; add x_train; did you mean 'X_train'"):
        read_npz(X_train=flat_images(range(6)), X_TRAIN=flat_images(range(6)), Y_Train=np.arange(6) % 2)


def test_text_that_was_pickled_is_refused_with_advice_on_text(read_npz):
    with pytest.raises(DataError, match=r"y_train: is an array of Python objects \(text, .* y.astype\('U'\)"):
        read_npz(x_train=flat_images(range(6)), y_train=np.array(["cat", "dog"] * 3, object))


TEXTS = ["dog", "cat", "owl", "cat", "größe", "dog", "owl", "größe", "cat", "dog", "owl", "größe"]
SORTED = sorted(set(TEXTS))


@pytest.mark.parametrize(
    "made",
    [
        np.array(TEXTS),
        np.array([text.encode() for text in TEXTS]),
        np.array(TEXTS)[:, None],
    ],
    ids=["unicode", "UTF-8 bytes", "column"],
)
def test_text_of_every_plain_type_is_a_class(made, read_npz):
    data = read_npz(x=flat_images(range(12), 4), y=made, x_test=flat_images(range(12), 4), y_test=made, fields=INSIST)
    assert data.info.task.targets[0].class_names == tuple(SORTED)
    assert labels(data.test) == [SORTED.index(text) for text in TEXTS]


@pytest.mark.parametrize(
    "expression",
    [
        "np.array({texts!r}, object)",
        "{texts!r}",
        "np.array({texts!r}, np.dtypes.StringDType())",
        "__import__('pandas').Series({texts!r})",
        "__import__('pandas').Series({texts!r}, dtype='category')",
        "np.array([text.encode() for text in {texts!r}], object)",
        "__import__('pyarrow').array({texts!r})",
    ],
    ids=["objects", "list", "StringDType", "pandas", "category", "bytes", "arrow"],
)
def test_text_of_every_type_of_python_is_a_class(expression, read_python):
    made = expression.format(texts=TEXTS)
    data = read_python(
        f"    x, y = np.arange(12)[:, None, None] * np.ones((1, 4, 4), int) + 99, {made}\n"
        "    return {'x': x, 'y': y, 'x_test': x, 'y_test': y}"
    )
    assert data.info.task.targets[0].class_names == tuple(SORTED)
    assert labels(data.test) == [SORTED.index(text) for text in TEXTS]
    assert greys(data.test) == list(range(99, 111))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("np.array(['a', None, 'b'] * 4, object)", "y: label 1 is None; label every image or remove it"),
        ("np.array(['a', float('nan'), 'b'] * 4, object)", "y: label 1 is nan; label every image"),
        ("__import__('pandas').array(['a', None, 'b'] * 4)", "y: label 1 is"),
        ("np.array(['a', 1] * 6, object)", "y: expected labels that are all text or all numbers, got 'a' and 1"),
        ("np.array([b'\\xff', b'a'] * 6)", "y: a label is bytes that are not UTF-8"),
        ("np.array([-1, 1] * 6)", "leave out a split whose labels are hidden (-1)"),
        ("np.eye(12)[:, :3]", "got shape (12, 3), whose rows are not one-hot; where several flags may hold, set kind"),
        ("np.ones((12, 14))", "got shape (12, 14), whose rows are not one-hot; where several flags may hold, set kind"),
    ],
)
def test_labels_that_cannot_be_classes_are_refused_by_cause(expression, message, read_python):
    with pytest.raises(DataError) as caught:
        read_python(f"    return np.zeros((12, 4, 4), np.uint8), {expression}")
    assert message in str(caught.value)


def test_one_hot_labels_are_the_classes_of_their_columns(read_npz):
    numbers = np.arange(12) % 3
    rows = np.eye(4)[numbers]
    data = read_npz(
        x=flat_images(range(12)), y=rows, x_test=flat_images(range(12)), y_test=rows.astype(bool), fields=INSIST
    )
    assert data.info.task.targets[0].class_names == ("0", "1", "2", "3")
    assert labels(data.test) == numbers.tolist()


def test_one_hot_labels_take_class_names(read_npz):
    rows = np.eye(3)[np.arange(12) % 3]
    data = read_npz(x=flat_images(range(12)), y=rows, class_names=np.array(["a", "b", "c"]))
    assert data.info.task.targets[0].class_names == ("a", "b", "c")


def test_pairs_of_splits_as_keras_returns_them_are_splits(read_python):
    data = read_python(
        "    ones = np.ones((1, 4, 4), int)\n"
        "    pair = lambda n, first: (ones * (first + np.arange(n))[:, None, None], np.arange(n) % 3)\n"
        "    return pair(18, 0), pair(6, 100)"
    )
    assert sorted(greys(data.train) + greys(data.validation)) == list(range(18))
    assert greys(data.test) == list(range(100, 106))


def test_three_pairs_are_training_validation_and_test(read_python):
    data = read_python(
        "    ones = np.ones((1, 4, 4), int)\n"
        "    pair = lambda n, first: [ones * (first + np.arange(n))[:, None, None], np.arange(n) % 3]\n"
        "    return [pair(18, 0), pair(5, 50), pair(6, 100)]"
    )
    assert [len(split.indices) for split in (data.train, data.validation, data.test)] == [18, 5, 6]
    assert (greys(data.validation)[0], greys(data.test)[0]) == (50, 100)


def test_a_pair_of_lists_is_images_and_labels(read_python):
    data = read_python("    return [np.full((4, 4, 3), 99 + i) for i in range(12)], [i % 2 for i in range(12)]")
    assert sorted(greys(data.train) + greys(data.validation) + greys(data.test)) == list(range(99, 111))


def test_objects_that_are_images_of_one_size_are_stacked(read_python):
    data = read_python(
        "    x = np.empty(12, object)\n    x[:] = [np.full((4, 4), 99 + i, np.uint8) for i in range(12)]\n"
        "    return x, np.arange(12) % 2"
    )
    assert sorted(greys(data.train) + greys(data.validation) + greys(data.test)) == list(range(99, 111))


def test_images_on_the_last_axis_are_recognised(read_npz):
    with pytest.raises(DataError, match=r"axis 3 of \(32, 32, 3, 40\) has 40: use np.moveaxis\(x, 3, 0\)"):
        read_npz(x=np.zeros((32, 32, 3, 40), np.uint8), y=np.arange(40) % 2)


def test_class_numbers_of_files_are_matched_by_name(tmp_path, prepare):
    np.savez(tmp_path / "a.npz", x=flat_images(range(12)), y=np.arange(12) % 3, class_names=["bird", "cat", "dog"])
    np.savez(tmp_path / "b.npz", x=flat_images(range(6)), y=np.arange(6) % 2, class_names=["cat", "dog"])
    data = prepare(source="npz", train=str(tmp_path / "a.npz"), test=str(tmp_path / "b.npz"), **INSIST)
    assert labels(data.test) == [1, 2] * 3
    np.savez(tmp_path / "b.npz", x=flat_images(range(6)), y=np.arange(6) % 2, class_names=["cat", "fox"])
    with pytest.raises(DataError, match=r"class 'fox' is not among the training classes \['bird', 'cat', 'dog'\]"):
        prepare(source="npz", train=str(tmp_path / "a.npz"), test=str(tmp_path / "b.npz"))


def test_one_file_for_two_splits_is_refused_unless_insisted_on(tmp_path, prepare):
    np.savez(tmp_path / "a.npz", x=flat_images(range(12)), y=np.arange(12) % 3)
    (tmp_path / "copy.npz").write_bytes((tmp_path / "a.npz").read_bytes())
    files = {"source": "npz", "train": str(tmp_path / "a.npz"), "test": str(tmp_path / "copy.npz")}
    with pytest.raises(
        DataError, match=r"data.test: .*copy.npz is equal to .*a.npz, one of the files of train: a score"
    ):
        prepare(**files)
    assert prepare(**files, allow_overlap=True).info.num_test == 12
