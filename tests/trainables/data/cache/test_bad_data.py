"""Wrong data is told with what was found, where, and how to mend it."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from trainables.errors import DataError

X = np.zeros((6, 4, 4, 3), np.uint8)
Y = np.arange(6) % 2
PNG = "six good images"


@pytest.fixture
def prepare_parquet(tmp_path, made, prepare):
    def run(*, images, labels, **fields):
        path = made.write_parquet(tmp_path / "a.parquet", images=images, labels=labels)
        return prepare(source="parquet", train=str(path), **fields)

    return run


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, "expected arrays named x_train and y_train (or train_images and train_labels, or x"),
        ({"x": X}, "has x but not y; add y"),
        ({"x": X, "y": Y, "y_test": Y}, "has y_test but not x_test; add x_test"),
        ({"x": X, "y": Y[:5]}, "x: there are 6 images but 5 labels; give every image one label"),
        ({"x": X[:0], "y": Y[:0]}, "the split is empty; give it images"),
        ({"x": X, "y": Y, "x_test": X[:0], "y_test": Y[:0]}, "x_test: the split is empty"),
        ({"x": X, "y": Y - 1}, "expected labels >= 0, got -1; number the classes"),
        ({"x": X, "y": Y + 0.5}, "expected whole-number labels, got 0.5"),
        ({"x": X, "y": np.array([0, 1, np.nan, 1, 0, 1])}, "label 2 is nan; label every image or remove it"),
        ({"x": X, "y": Y * 0 + 3}, "expected at least two classes, got only 3 in 6 labels"),
        ({"x": X, "y": np.ones((6, 3))}, "got shape (6, 3), whose rows are not one-hot; where several flags may hold"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "x_test: 1 label(s) are not among the 2 training classes: 2"),
        ({"x": X, "y": Y, "x_val": X, "y_val": Y.astype(str)}, "the training labels are whole numbers, these are not"),
        ({"x": X, "y": Y, "class_names": np.array(["a"])}, "label 1 has no name, there are only 1 class names"),
        ({"x": X, "y": Y, "class_names": np.array(["a", "a"])}, "class_names: expected a list of different texts"),
        (
            {"x": X.astype(int), "y": Y, "x_test": X + np.int64(300), "y_test": Y},
            "x_test: expected whole-number pixels in 0..255, got 300..300; set data.pixel_range: [low, high]",
        ),
        ({"x": X - 1.0, "y": Y}, "expected float pixels in 0..1, got -1..-1; set data.pixel_range: [low, high]"),
        ({"x": X + 200.0, "y": Y}, "expected float pixels in 0..1, got 200..200; set data.pixel_range"),
        ({"x": X * np.nan, "y": Y}, "x: some samples are NaN (not a number); fill or remove them"),
        ({"x": X.astype(complex), "y": Y}, "expected pixels of dtype uint8 or float, got complex128"),
        ({"x": X[:, 0, 0], "y": Y}, "or (count, height, width, channels), got (6, 3); reshape the array"),
        ({"x": X.transpose(0, 3, 1, 2), "y": Y}, "the channels seem to come first: use x.transpose(0, 2, 3, 1)"),
        ({"x": np.zeros((6, 4, 4, 4)), "y": Y}, "drop the alpha channel: use x[..., :3]"),
        ({"x": np.array([None] * 6), "y": Y}, "x: is an array of Python objects (text, or images of different"),
        ({"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, "data.image_size: the images have 2 different sizes"),
    ],
)  # fmt: skip
def test_wrong_arrays_are_told(arrays, message, tmp_path, prepare):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError) as caught:
        prepare(source="npz", path=str(tmp_path / "a.npz"))
    assert message in str(caught.value)
    assert not list((tmp_path / "cache").glob("*building*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "data.path: cannot read {path}: No such file or directory; check the path, relative ones start at"),
        (b"", "{path}: is not a whole NumPy archive"),
        (b"PK\x03\x04 torn", "{path}: is not a whole NumPy archive"),
        (pickle.dumps([1]), "{path}: is not a whole NumPy archive"),
    ],
)
def test_wrong_npz_files_are_told(content, message, tmp_path, prepare):
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare(source="npz", path=str(path))
    assert message.format(path=path) in str(caught.value)


def test_single_array_instead_of_an_archive_is_told(tmp_path, prepare):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(DataError, match=r"is a single array, expected an archive; save it with np.savez"):
        prepare(source="npz", path=str(tmp_path / "a.npy"))


def test_limit_that_leaves_one_class_is_told(tmp_path, prepare):
    np.savez(tmp_path / "a.npz", x=X, y=np.sort(Y))
    with pytest.raises(DataError, match=r"data.limit: the first 1 training images are all of one class, '0'; raise"):
        prepare(source="npz", path=str(tmp_path / "a.npz"), limit=1)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (PNG, [0, 1, None, 0, 1, 0], "row 2: the label is missing (null); label every row"),
        (PNG, [0.0, 1.0, float("nan"), 0.0, 1.0, 0.0], "label 2 is nan"),
        (PNG, [[0], [1]] * 3, "column 'label' has type list<element: int64>, expected whole numbers or strings"),
        ([b"x"] * 6, Y, "row 0: cannot be read as an image"),
        ([None, b"x"] * 3, Y, "row 0: the image is missing (null); embed its bytes"),
        (["a"] * 6, Y, "column 'image' holds paths of image files, and 1 of 1 are missing"),
        ([1] * 6, Y, "column 'image' has type int64, expected bytes of encoded images"),
        (
            pa.array([{"bytes": None}] * 6, pa.struct({"bytes": pa.binary()})),
            Y,
            "row 0: the image is missing (null); embed its bytes",
        ),
        ([[[1, 2], [3]]] * 6, Y, "the lists of pixels differ in length: [1, 2]; store images of one size"),
        ([[1, 2, 3, 4]] * 6, Y, "the pixels are a flat list of 4, whose shape is unknown; set image_size"),
        ([[[1, None]]] * 6, Y, "a pixel is missing (null); fill every pixel"),
        ([None, [[1]]] * 3, Y, "an image or a part of one is missing (null)"),
    ],
)
def test_wrong_parquet_columns_are_told(images, labels, message, made, prepare_parquet):
    images = [made.encoded(image) for image in made.pictures(6)] if images is PNG else images
    with pytest.raises(DataError) as caught:
        prepare_parquet(images=images, labels=labels)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train": "{tmp}/*.parquet"}, "data.train: no Parquet file matches {tmp}/*.parquet"),
        ({"train": "{tmp}/none.parquet"}, "data.train: cannot read {tmp}/none.parquet: No such file or directory"),
        ({"train": "{tmp}/torn"}, "{tmp}/torn: is not a whole Parquet file"),
        (
            {"train": "{tmp}/good", "image_column": "img"},
            "data.image_column: {tmp}/good has no single column 'img', its",
        ),
        ({"train": "{tmp}/good", "label_column": "y"}, "data.label_column: {tmp}/good has no single column 'y', its"),
    ],
)
def test_wrong_parquet_files_are_told(fields, message, tmp_path, made, prepare):
    (tmp_path / "torn").write_bytes(b"PAR1")
    made.write_parquet(tmp_path / "good", images=[made.encoded(image) for image in made.pictures(6)], labels=Y)
    with pytest.raises(DataError) as caught:
        prepare(source="parquet", **{name: value.format(tmp=tmp_path) for name, value in fields.items()})
    assert message.format(tmp=tmp_path) in str(caught.value)


def test_flat_list_that_does_not_fit_its_shape_is_told(prepare_parquet):
    with pytest.raises(DataError, match=r"has 4 pixels, but image_size \[2, 3\] and channels 1 make 6"):
        prepare_parquet(images=[[1, 2, 3, 4]] * 6, labels=Y, image_size=(2, 3), channels=1)


def test_unreadable_image_file_is_named(tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos")
    (root / "cat" / "torn.png").write_bytes((root / "cat" / "000.png").read_bytes()[:-40])
    with pytest.raises(DataError, match=r"photos/cat/torn.png: cannot be read as an image: .*; replace or remove it"):
        prepare(source="images", path=str(root))


def test_mixed_sizes_are_told_with_three_examples_and_the_fix(tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos")
    for size in (9, 10, 11):
        (root / "dog" / f"odd{size}.png").write_bytes(made.encoded(made.pictures(1, height=size)[0]))
    with pytest.raises(DataError) as caught:
        prepare(source="images", path=str(root))
    text = str(caught.value)
    assert "the images have 4 different sizes (height x width)" in text
    assert f"{root}/cat/000.png is 8x6, {root}/dog/odd10.png is 10x6, {root}/dog/odd11.png is 11x6" in text
    assert "set image_size: [8, 6], the most common one, to resize them all" in text


def test_class_folders_that_differ_between_splits_are_told(tmp_path, made, prepare):
    made.write_folders(tmp_path / "photos" / "train")
    made.write_folders(tmp_path / "photos" / "test", classes=("cat", "cow"))
    with pytest.raises(DataError, match=r"data.test: the class folders \['cow'\] .* are none of training"):
        prepare(source="images", path=str(tmp_path / "photos"))


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "data.path: cannot list {root}: No such file or directory; give a folder of class folders"),
        ([""], "data.path: {root} has no class folders; put the images of each class in a folder of its own"),
        (["cat", "dog"], "data.path: class folder {root}/cat has no images (.apng, .avif,"),
        (["train/cat", "more/cat"], "there may be validation and test only, found ['more']; rename them"),
        (["train/cat", "val/cat", "Valid/cat"], "are both the validation split by their names; rename one"),
    ],
)
def test_wrong_class_folders_are_told(folders, message, tmp_path, prepare):
    root = tmp_path / "photos"
    for folder in folders:
        (root / folder).mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        prepare(source="images", path=str(root))
    assert message.format(root=root) in str(caught.value)


USER_MODULE = """
import numpy as np

def fails():
    return helper(0)

def helper(number):
    return 1 / number

def wrong():
    return 5

def ragged():
    return [[1], [1, 2]], [0, 1]

def leaves():
    raise SystemExit("bye")
"""


@pytest.mark.parametrize(
    ("function", "parts"),
    [
        ("fails", ["'users_module:fails': raised ZeroDivisionError: division by zero", "return helper(0)",
                   "return 1 / number", "users_module.py"]),
        ("wrong", ["expected it to return (x, y), Keras's ((x_train, y_train), (x_test, y_test)), or a dictionary"]),
        ("ragged", ["x: cannot become an array", "stack equal sizes with np.stack"]),
        ("leaves", ["raised SystemExit: bye"]),
        ("absent", ["users_module.py has no function 'absent'; it has ['fails', 'helper', 'wrong', 'ragged',"]),
    ],
)  # fmt: skip
def test_failing_function_is_told_with_its_own_lines(function, parts, tmp_path, prepare):
    (tmp_path / "users_module.py").write_text(USER_MODULE)
    with pytest.raises(DataError) as caught:
        prepare(source="python", function=f"users_module:{function}", function_dir=str(tmp_path))
    text = str(caught.value)
    assert all(part in text for part in parts)
    assert "trainables" not in text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "No module named 'no_such_module'; expected the module in"),
        ("import surely_absent", "raised ModuleNotFoundError: No module named 'surely_absent'\n"),
        ("def broken(:", "raised SyntaxError: "),
    ],
)
def test_module_that_cannot_be_imported_is_told(source, message, tmp_path, prepare):
    if source is not None:
        (tmp_path / "no_such_module.py").write_text(source)
    with pytest.raises(DataError) as caught:
        prepare(source="python", function="no_such_module:load", function_dir=str(tmp_path))
    assert message in str(caught.value)


def test_a_parquet_file_with_a_damaged_page_is_told_as_the_sources_not_the_caches(tmp_path, made, prepare):
    images = [made.encoded(image) for image in made.pictures(40)]
    path = made.write_parquet(tmp_path / "a.parquet", images=images, labels=np.arange(40) % 2, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[40:400] = bytes(360)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a.parquet: column 'image' cannot be read: .*; write the file again"):
        prepare(source="parquet", train=str(path))
