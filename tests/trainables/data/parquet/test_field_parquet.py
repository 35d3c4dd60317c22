"""Parquet files as people have them: names that differ, paths, tensors of views, folders as columns."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainables.data.parquet.lists import tensor_shape
from trainables.errors import DataError


def flat_images(values, size=4):
    images = np.repeat(np.repeat(np.asarray(values, np.uint8)[:, None, None], size, 1), size, 2)
    images[:, -1, -1] = 255
    return images


def greys(split):
    images = np.asarray(split.images[np.asarray(split.indices)])
    return images[:, 0, 0, 0].tolist()


def labels(split):
    return np.asarray(split.labels["label"])[np.asarray(split.indices)].tolist()


def hugging_face(table, names, column="label"):
    """Returns the table with class names as Hugging Face's `datasets` keeps them."""
    features = {column: {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.fixture
def write(tmp_path, made):
    """Writes grey PNGs and class numbers; with names as Hugging Face does."""

    def run(name, values, numbers, *, names=None, images=None):
        content = [made.encoded(image[..., None]) for image in flat_images(values)] if images is None else images
        table = pa.table({"image": content, "label": numbers})
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table if names is None else hugging_face(table, names), path)
        return str(path)

    return run


@pytest.fixture(params=["decoded", "streamed"])
def read(request, prepare):
    fields = {} if request.param == "decoded" else {"memory_gb": 0}
    return lambda **given: prepare(source="parquet", **fields, **given)


def test_class_numbers_of_each_file_count_its_own_names(write, read):
    train = write("train.parquet", [0, 50, 100] * 4, [0, 1, 2] * 4, names=["bird", "cat", "dog"])
    test = write("test.parquet", [50, 100] * 3, [0, 1] * 3, names=["cat", "dog"])
    data = read(train=train, test=test, allow_overlap=True)
    assert data.info.task.targets[0].class_names == ("bird", "cat", "dog")
    assert greys(data.test) == [50, 100] * 3
    assert labels(data.test) == [1, 2] * 3


def test_class_numbers_of_parts_of_one_split_count_their_own_names(tmp_path, write, read):
    write("train/part-0.parquet", [50, 100] * 4, [0, 1] * 4, names=["cat", "dog"])
    write("train/part-1.parquet", [0, 100] * 4, [0, 1] * 4, names=["bird", "dog"])
    test = write("test.parquet", [0, 50, 100], [2, 0, 1], names=["cat", "dog", "bird"])
    data = read(train=str(tmp_path / "train"), test=test, allow_overlap=True)
    assert data.info.task.targets[0].class_names == ("cat", "dog", "bird")
    for split in (data.train, data.validation, data.test):
        assert labels(split) == [{50: 0, 100: 1, 0: 2}[grey] for grey in greys(split)]


def test_a_class_that_no_training_file_names_is_refused(write, read):
    train = write("train.parquet", [0, 50] * 4, [0, 1] * 4, names=["bird", "cat"])
    test = write("test.parquet", [50, 100], [0, 1], names=["cat", "dog"])
    with pytest.raises(DataError, match=r"class 'dog' is not among the training classes \['bird', 'cat'\]"):
        read(train=train, test=test)


def test_numbers_without_names_are_those_of_the_other_files_in_words(write, read):
    train = write("train.parquet", [0, 50] * 6, [0, 1] * 6, names=["bird", "cat"])
    test = write("test.parquet", [50, 0], [1, 0])
    data = read(train=train, test=test, allow_overlap=True)
    assert labels(data.test) == [1, 0]
    note = f"column 'label' of 1 file(s) has no class names (for example {test}): its numbers count the names of the "
    assert f"{note}other files" in data.info.notes


def test_flags_of_other_names_are_refused(tmp_path, made, read):
    for name, names in (("a", ["x", "y"]), ("b", ["y", "x"])):
        table = pa.table({"image": [made.encoded(image[..., None]) for image in flat_images(range(8))],
                          "tags": [[0, 1], [1]] * 4})  # fmt: skip
        pq.write_table(hugging_face(table, names, "tags"), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="write them alike, since only class numbers can be matched by name"):
        read(
            train=str(tmp_path / "a.parquet"),
            test=str(tmp_path / "b.parquet"),
            targets={"tags": {"kind": "multilabel"}},
        )


def test_a_folder_with_files_of_several_splits_is_refused(tmp_path, write, read):
    write("data/train-00000-of-00001.parquet", range(20), [0, 1] * 10)
    test = write("data/test-00000-of-00001.parquet", range(100, 108), [0, 1] * 4)
    with pytest.raises(DataError) as caught:
        read(train=str(tmp_path / "data"), test=test)
    assert "has files of several splits: test-00000-of-00001.parquet (test), train-" in str(caught.value)
    assert f"for example train: {tmp_path / 'data'}/train-*.parquet" in str(caught.value)
    data = read(train=f"{tmp_path / 'data'}/train-*.parquet", test=test)
    assert greys(data.test) == list(range(100, 108))


def test_a_file_that_is_in_two_splits_is_refused_unless_insisted_on(tmp_path, write, read):
    train = write("data/a.parquet", range(20), [0, 1] * 10)
    write("data/b.parquet", range(30, 38), [0, 1] * 4)
    with pytest.raises(DataError, match=r"data.test: .*a.parquet is one of the files of train: a score on images"):
        read(train=str(tmp_path / "data"), test=train)
    assert read(train=str(tmp_path / "data"), test=train, allow_overlap=True).info.num_test == 20


def test_a_file_copied_under_another_name_is_found(tmp_path, write, read):
    train = write("a.parquet", range(20), [0, 1] * 10)
    copy = tmp_path / "copy.parquet"
    copy.write_bytes((tmp_path / "a.parquet").read_bytes())
    with pytest.raises(DataError, match=r"data.validation: .*copy.parquet is equal to .*a.parquet, one of the files"):
        read(train=train, validation=str(copy))


@pytest.mark.parametrize("permuted", [(0, 2, 1, 3), (0, 1, 3, 2), (0, 3, 2, 1), (0, 1, 2, 3)])
def test_tensors_of_a_view_keep_their_axes(permuted, tmp_path, prepare):
    stored = np.random.default_rng(0).integers(0, 256, (12, 5, 6, 3), dtype=np.uint8)
    # A view whose axes are turned back, as a transposed array is handed to Arrow.
    view = np.ascontiguousarray(stored.transpose(permuted)).transpose(np.argsort(permuted))
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(view)
    pq.write_table(pa.table({"image": tensors, "label": np.arange(12) % 2}), tmp_path / "a.parquet")
    data = prepare(source="parquet", train=str(tmp_path / "a.parquet"))
    assert np.array_equal(data.train.images, stored)


def test_tensors_whose_axes_pyarrow_inverted_are_refused(tmp_path, prepare):
    channels_first = np.random.default_rng(0).integers(0, 256, (12, 3, 5, 6), dtype=np.uint8)
    view = channels_first.transpose(0, 2, 3, 1)
    other = np.ascontiguousarray(view.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    texts = (r"probably \[5, 6, 3\]: PyArrow writes some views with their axes inverted", "order of axes .* cannot be")
    for images, text in zip((view, other), texts, strict=True):
        tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(images)
        pq.write_table(pa.table({"image": tensors, "label": np.arange(12) % 2}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=text):
            prepare(source="parquet", train=str(tmp_path / "a.parquet"))


def test_tensors_of_ray_data_have_their_shape_in_the_metadata(tmp_path, prepare):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 4, 6, 3), dtype=np.uint8)
    lists = pa.array(pixels.reshape(12, -1).tolist(), pa.large_list(pa.uint8()))
    metadata = {"ARROW:extension:name": "ray.data.arrow_tensor_v2", "ARROW:extension:metadata": "[4, 6, 3]"}
    schema = pa.schema([pa.field("image", lists.type, metadata=metadata), pa.field("label", pa.int64())])
    pq.write_table(pa.table([lists, pa.array(np.arange(12) % 2)], schema=schema), tmp_path / "a.parquet")
    data = prepare(source="parquet", train=str(tmp_path / "a.parquet"))
    assert np.array_equal(data.train.images, pixels)


@pytest.mark.parametrize("form", ["struct", "text", "absolute"])
def test_images_that_are_named_by_path_are_read(form, tmp_path, read):
    paths = []
    for number, name in enumerate(("cat", "dog")):
        for row in range(6):
            path = tmp_path / "images" / name / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(flat_images([100 * number + row])[0]).save(path)
            paths.append(str(path) if form == "absolute" else str(path.relative_to(tmp_path)))
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    column = paths if form == "text" else pa.array([{"bytes": None, "path": path} for path in paths], kind)
    pq.write_table(pa.table({"image": column, "label": ["cat"] * 6 + ["dog"] * 6}), tmp_path / "a.parquet")
    data = read(train=str(tmp_path / "a.parquet"), validation_fraction=0.2)
    found = [data.train, data.validation, data.test]
    assert sorted(grey for split in found for grey in greys(split)) == [*range(6), *range(100, 106)]
    for split in found:
        assert labels(split) == [int(grey >= 100) for grey in greys(split)]
    (tmp_path / "images" / "cat" / "0.png").write_bytes((tmp_path / "images" / "dog" / "5.png").read_bytes())
    assert read(train=str(tmp_path / "a.parquet"), validation_fraction=0.2).info.key != data.info.key


def test_missing_images_are_named_all_at_once(tmp_path, read):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    column = pa.array([{"bytes": None, "path": f"{row}.png"} for row in range(25)], kind)
    pq.write_table(pa.table({"image": column, "label": np.arange(25) % 2}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as caught:
        read(train=str(tmp_path / "a.parquet"))
    text = str(caught.value)
    assert "column 'image' holds paths of image files, and 25 of 25 are missing" in text
    assert text.count(".png (") == 10
    assert "embed them: datasets.table.embed_table_storage" in text


@pytest.mark.parametrize("values", [("0", "1"), ("cat", "big%20dog")])
def test_a_label_may_be_a_folders_name_as_hive_writes_it(values, tmp_path, made, read):
    for number, value in enumerate(values):
        folder = tmp_path / "set" / f"label={value}"
        folder.mkdir(parents=True)
        images = [made.encoded(image[..., None]) for image in flat_images(range(10 * number, 10 * number + 8))]
        pq.write_table(pa.table({"image": images}), folder / "part-0.parquet")
    data = read(train=str(tmp_path / "set"))
    expected = {("0", "1"): ("0", "1"), ("cat", "big%20dog"): ("big dog", "cat")}[values]
    assert data.info.task.targets[0].class_names == expected
    first = expected.index(values[0].replace("%20", " "))
    assert labels(data.test) == [first if grey < 10 else 1 - first for grey in greys(data.test)]


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.string()], ids=str
)
def test_text_of_every_arrow_type_is_a_class(kind, tmp_path, made, read):
    images = pa.array([made.encoded(image[..., None]) for image in flat_images(range(12))], pa.binary())
    names = pa.array(["cat", "dog", "owl"] * 4).cast(kind)
    pq.write_table(pa.table({"image": images, "label": names}), tmp_path / "a.parquet")
    data = read(train=str(tmp_path / "a.parquet"))
    assert data.info.task.targets[0].class_names == ("cat", "dog", "owl")
    assert labels(data.test) == [grey % 3 for grey in greys(data.test)]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_bytes_of_every_arrow_type_are_images(kind, tmp_path, made, read):
    images = pa.array([made.encoded(image[..., None]) for image in flat_images(range(12))], pa.binary()).cast(kind)
    pq.write_table(pa.table({"image": images, "label": np.arange(12) % 3}), tmp_path / "a.parquet")
    data = read(train=str(tmp_path / "a.parquet"))
    assert sorted(greys(data.train) + greys(data.validation) + greys(data.test)) == list(range(12))


def test_a_limit_of_sorted_rows_keeps_images_and_labels_together(write, read):
    values = [10 * number + row for number in range(10) for row in range(8)]
    train = write("a.parquet", values, [value // 10 for value in values])
    data = read(train=train, limit=30, validation_fraction=0.34)
    everything = [data.train, data.validation]
    assert sorted({label for split in everything for label in labels(split)}) == list(range(10))
    for split in everything:
        assert labels(split) == [grey // 10 for grey in greys(split)]


def test_tensors_of_ray_data_have_their_shape_in_the_type_where_ray_data_was_imported():
    # Its import makes Ray's types known to Arrow, which then keeps their names out of the metadata.
    class Known(pa.ExtensionType):
        shape = (4, 6, 3)

        def __init__(self):
            super().__init__(pa.large_list(pa.uint8()), "tests.known_tensors")

        def __arrow_ext_serialize__(self):
            return b""

    assert tensor_shape(pa.field("image", Known())) == (4, 6, 3)
    assert tensor_shape(pa.field("image", pa.large_list(pa.uint8()))) is None
