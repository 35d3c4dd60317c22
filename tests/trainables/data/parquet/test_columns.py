"""Columns of Parquet files as other programs write them: names by file, paths, tensors, views, folders as labels."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.errors import DataError

STORAGES = pytest.mark.parametrize("memory_gb", [None, 0])


@pytest.fixture
def write(tmp_path, made):
    """Writes one file, named as Hugging Face names classes where names are given, and returns its path."""

    def run(name, images, labels, *, names=None, column="label"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(images, np.ndarray):
            images = [{"bytes": made.encoded(image), "path": None} for image in images]
        table = pa.table({"image": images, **({column: labels} if labels is not None else {})})
        if names is not None:
            features = {column: {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, path)
        return str(path)

    return run


def pixels(split):
    return split.images[np.arange(len(split.images))]


@STORAGES
@pytest.mark.parametrize(
    ("names", "labels", "expected"),
    [
        (["cat", "dog"], [0, 1, 0, 1], [1, 2, 1, 2]),
        (["dog", "bird", "cat"], [0, 1, 2, 0], [2, 0, 1, 2]),
        (["dog", "owl"], [0, 0, 0, 0], [2, 2, 2, 2]),
        (None, [1, 2, 1, 2], [1, 2, 1, 2]),
    ],
)
def test_class_numbers_are_matched_by_the_names_of_each_file(
    names, labels, expected, *, memory_gb, write, made, prepare
):
    train = write("train.parquet", made.pictures(9), [0, 1, 2] * 3, names=["bird", "cat", "dog"])
    test = write("test.parquet", made.pictures(4, seed=1), labels, names=names)
    data = prepare(source="parquet", train=train, test=test, memory_gb=memory_gb)
    assert data.info.task.targets[0].class_names == ("bird", "cat", "dog")
    assert data.test.labels["label"].tolist() == expected
    assert np.array_equal(pixels(data.test), made.pictures(4, seed=1))


@STORAGES
def test_parts_of_one_split_may_number_their_classes_differently(memory_gb, write, made, prepare, tmp_path):
    write("parts/0.parquet", made.pictures(6), [0, 1] * 3, names=["cat", "dog"])
    write("parts/1.parquet", made.pictures(6, seed=1), [0, 1, 2] * 2, names=["ant", "dog", "cat"])
    data = prepare(source="parquet", train=str(tmp_path / "parts"), memory_gb=memory_gb)
    assert data.info.task.targets[0].class_names == ("cat", "dog", "ant")
    assert data.train.labels["label"].tolist() == [0, 1] * 3 + [2, 1, 0] * 2


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (["owl", "cat"], [0, 1] * 2, "class 'owl' is not among the training classes"),
        (["cat"], [0, 1] * 2, "label 1 has no name, there are only 1 class names"),
        (None, ["owl", "cat"] * 2, "the training labels are whole numbers, these are not (first: 'owl')"),
        (
            ["bird", "cat", "dog"],
            [-1] * 4,
            "leave out a split whose labels are hidden (-1)",
        ),
    ],
)
def test_classes_that_training_lacks_are_refused(names, labels, message, *, write, made, prepare):
    train = write("train.parquet", made.pictures(9), [0, 1, 2] * 3, names=["bird", "cat", "dog"])
    test = write("test.parquet", made.pictures(4, seed=1), labels, names=names)
    with pytest.raises(DataError) as caught:
        prepare(source="parquet", train=train, test=test)
    assert message in str(caught.value)
    assert "test.parquet" in str(caught.value)


def test_files_with_text_and_numbers_are_not_joined(write, made, prepare, tmp_path):
    write("parts/0.parquet", made.pictures(6), [0, 1] * 3)
    write("parts/1.parquet", made.pictures(6, seed=1), ["0", "1"] * 3)
    with pytest.raises(
        DataError, match=r"1.parquet: the labels are text, those of .*0.parquet are not; write all files alike"
    ):
        prepare(source="parquet", train=str(tmp_path / "parts"))


@STORAGES
@pytest.mark.parametrize("is_absolute", [True, False])
@pytest.mark.parametrize("num_embedded", [0, 3])
def test_rows_without_bytes_are_read_from_their_paths(
    is_absolute, num_embedded, *, memory_gb, write, made, prepare, tmp_path
):
    x, images = made.pictures(12), []
    (tmp_path / "photos").mkdir()
    for row, image in enumerate(x):
        (tmp_path / "photos" / f"{row}.png").write_bytes(made.encoded(image))
        path = f"photos/{row}.png"
        bytes_ = made.encoded(image) if row < num_embedded else None
        images.append({"bytes": bytes_, "path": str(tmp_path / path) if is_absolute else path})
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    train = write("train.parquet", pa.array(images, kind), [0, 1] * 6)
    data = prepare(source="parquet", train=train, memory_gb=memory_gb)
    assert np.array_equal(pixels(data.train), x)
    (tmp_path / "photos" / "11.png").write_bytes(made.encoded(255 - x[11]))
    changed = prepare(source="parquet", train=train, memory_gb=memory_gb)
    assert np.array_equal(pixels(changed.train)[11], 255 - x[11])


def test_missing_files_of_paths_are_named_all_at_once(write, prepare):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = pa.array([{"bytes": None, "path": f"gone/{row}.png"} for row in range(8)], kind)
    with pytest.raises(DataError) as caught:
        prepare(source="parquet", train=write("train.parquet", images, [0, 1] * 4))
    text = str(caught.value)
    assert "holds paths of image files, and 8 of 8 are missing" in text
    assert "gone/7.png" in text
    assert "datasets.table.embed_table_storage" in text


@STORAGES
@pytest.mark.parametrize("limit", [7, 12])
def test_a_limit_keeps_every_class_of_sorted_rows(limit, memory_gb, write, made, prepare):
    x, y = made.pictures(1200), np.arange(1200) // 300
    train = write("train.parquet", x, y)
    data = prepare(
        source="parquet", train=train, limit=limit, memory_gb=memory_gb, test_fraction=0.35, validation_fraction=0.4
    )
    labels = data.train.labels["label"]
    assert sorted(set(labels.tolist())) == [0, 1, 2, 3]
    kept = [300 * label + row for label in range(4) for row in range(-(-(limit - label) // 4))]
    assert np.array_equal(pixels(data.train), x[kept])
    assert "lack 3 of 4 classes" in " ".join(data.info.notes)


def test_a_limit_that_loses_no_class_takes_the_first_rows(write, made, prepare):
    x = made.pictures(600)
    data = prepare(source="parquet", train=write("train.parquet", x, np.arange(600) % 3), limit=300)
    assert np.array_equal(data.train.images, x[:300])
    assert not [note for note in data.info.notes if "limit" in note]


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3)])
def test_tensors_of_another_order_keep_their_axes(order, limit, write, made, prepare):
    x = made.pictures(12, height=5, width=4).transpose(order)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(x)
    assert np.array_equal(tensors.to_numpy_ndarray(), x)
    y = np.sort(np.arange(12) % 2)
    data = prepare(source="parquet", train=write("train.parquet", tensors, y), limit=limit)
    assert np.array_equal(data.train.images, x if limit is None else x[[0, 1, 2, 6, 7]])


def test_tensors_whose_order_libraries_read_in_two_ways_are_refused(write, made, prepare):
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(made.pictures(6, channels=3).transpose(0, 2, 3, 1))
    with pytest.raises(DataError, match=r"the tensors' order of axes \[2, 0, 1\] cannot be read"):
        prepare(source="parquet", train=write("train.parquet", tensors, [0, 1] * 3))


def test_the_shape_of_ray_datas_tensors_is_taken_from_the_metadata(tmp_path, made, prepare):
    x = made.pictures(12)
    for kind, shape in (("ray.data.arrow_tensor_v2", "[8, 6, 3]"), ("ray.data.arrow_tensor", "[8, 6, 3]")):
        metadata = {"ARROW:extension:name": kind, "ARROW:extension:metadata": shape}
        field = pa.field("image", pa.large_list(pa.uint8()), metadata=metadata)
        columns = [pa.array([row.ravel() for row in x], field.type), pa.array([0, 1] * 6)]
        pq.write_table(pa.Table.from_arrays(columns, schema=pa.schema([field, ("label", pa.int64())])), tmp_path / "a")
        assert np.array_equal(prepare(source="parquet", train=str(tmp_path / "a")).train.images, x)


TEXT = ["cat", "dog", "é"] * 4


@STORAGES
@pytest.mark.parametrize(
    "labels",
    [
        pa.array(TEXT),
        pa.array(TEXT, pa.large_string()),
        pa.array(TEXT, pa.string_view()),
        pa.array(TEXT).dictionary_encode(),
        pa.array([text.encode() for text in TEXT]),
        pa.array([text.encode() for text in TEXT], pa.binary_view()),
        pa.array([text.encode() for text in TEXT]).dictionary_encode(),
    ],
)
def test_text_of_every_arrow_type_is_classes(labels, memory_gb, write, made, prepare):
    data = prepare(source="parquet", train=write("a.parquet", made.pictures(12), labels), memory_gb=memory_gb)
    assert data.info.task.targets[0].class_names == ("cat", "dog", "é")
    assert data.train.labels["label"].tolist() == [0, 1, 2] * 4


@pytest.mark.parametrize(
    "labels", [pa.array([[1, 0], [0, 1]] * 6), pa.array([[1.0, 0], [0, 1]] * 6, pa.list_(pa.float32(), 2))]
)
def test_one_hot_lists_are_the_place_of_the_one(labels, write, made, prepare):
    data = prepare(source="parquet", train=write("a.parquet", made.pictures(12), labels))
    assert data.train.labels["label"].tolist() == [0, 1] * 6


@STORAGES
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), "dictionary"])
def test_bytes_of_every_arrow_type_are_images(kind, memory_gb, write, made, prepare):
    x = made.pictures(12)
    images = [made.encoded(image) for image in x]
    column = pa.array(images).dictionary_encode() if kind == "dictionary" else pa.array(images, kind)
    y = [0] * 6 + [1] * 6
    data = prepare(source="parquet", train=write("a.parquet", column, y), memory_gb=memory_gb)
    assert np.array_equal(pixels(data.train), x)
    # Rows that are no first ones are taken out of each type as well.
    few = prepare(source="parquet", train=write("a.parquet", column, y), memory_gb=memory_gb, limit=4)
    assert np.array_equal(pixels(few.train), x[[0, 1, 6, 7]])


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.uint8()), pa.large_list(pa.uint8()), pa.list_(pa.uint8(), 12), pa.list_view(pa.uint8())]
)
def test_lists_of_every_arrow_type_are_pixels(kind, write, made, prepare):
    x = made.pictures(12, height=4, width=3, channels=1)
    column = pa.array([row.ravel().tolist() for row in x], kind)
    y = [0] * 6 + [1] * 6
    for limit, rows in ((None, np.arange(12)), (4, [0, 1, 6, 7])):
        train = write("a.parquet", column, y)
        data = prepare(source="parquet", train=train, limit=limit, image_size=(4, 3), channels=1)
        assert np.array_equal(data.train.images, x[rows])


@STORAGES
@pytest.mark.parametrize(
    ("values", "names"),
    [
        (("0", "1"), ("0", "1")),
        (("10", "9"), ("9", "10")),
        (("cat", "dog"), ("cat", "dog")),
        (("a%20b", "c"), ("a b", "c")),
    ],
)
def test_labels_may_be_the_names_of_folders(values, names, *, memory_gb, write, made, prepare, tmp_path):
    for number, value in enumerate(values):
        write(f"data/label={value}/0.parquet", made.pictures(6, seed=number), None)
    data = prepare(source="parquet", train=str(tmp_path / "data"), memory_gb=memory_gb)
    assert data.info.task.targets[0].class_names == names
    first = {
        name: made.pictures(6, seed=number) for number, name in enumerate(value.replace("%20", " ") for value in values)
    }
    for name, images in first.items():
        assert np.array_equal(pixels(data.train)[data.train.labels["label"] == names.index(name)], images)
