"""Shards of WebDataset and of TFRecord give exactly the images and labels that other libraries wrote."""

import io
import json
import tarfile
import tracemalloc

import numpy as np
import pytest

from trainables.data.images.images import Survey
from trainables.data.records.webdataset import open_webdataset
from trainables.progress import no_progress
from trainables.specs.data import DataSpec


def write_tar(path, files, *, mode="w"):
    """Writes files by name; equal to what webdataset's TarWriter and GNU tar write."""
    with tarfile.open(path, mode) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def examples_of(images, labels, *, made, suffix="png", label="cls"):
    for row, (image, text) in enumerate(zip(images, labels, strict=True)):
        yield f"{row:04}.{suffix}", made.encoded(image)
        yield f"{row:04}.{label}", str(text).encode()


@pytest.mark.parametrize(("end", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")])
def test_webdataset_reads_shards_in_the_order_of_their_names(end, mode, tmp_path, made, prepare_both):
    x, y = made.pictures(36), np.arange(36) % 3
    for shard in range(3):
        rows = slice(10 * shard, 10 * shard + 10)
        write_tar(tmp_path / f"train-{shard}{end}", examples_of(x[rows], y[rows], made=made), mode=mode)
    write_tar(tmp_path / f"val-0{end}", examples_of(x[30:], y[30:], made=made), mode=mode)
    fields = {
        "source": "webdataset",
        "train": str(tmp_path / f"train-*{end}"),
        "validation": str(tmp_path / f"val-0{end}"),
    }
    data = prepare_both(fields)
    assert np.array_equal(data.train.images, x[:30])
    assert data.train.labels["label"].tolist() == y[:30].tolist()
    assert np.array_equal(data.validation.images, x[30:])
    assert data.info.task.targets[0].class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "case",
    [
        ("cls", lambda row: str(row % 2), {}, ("0", "1")),
        ("cls", lambda row: f"{row % 2}\n", {}, ("0", "1")),
        ("CLS", lambda row: ("dog", "cat")[row % 2], {}, ("cat", "dog")),
        ("txt", lambda row: ("dog", "cat")[row % 2], {}, ("cat", "dog")),
        ("txt", lambda row: ("007", "7")[row % 2], {}, ("007", "7")),
        ("json", lambda row: json.dumps({"label": ("dog", "cat")[row % 2]}), {}, ("cat", "dog")),
        ("json", lambda row: json.dumps(row % 2), {}, ("0", "1")),
        ("json", lambda row: json.dumps({"kind": row % 2, "label": None}), {"label_column": "kind"}, ("0", "1")),
        ("breed.txt", lambda row: ("dog", "cat")[row % 2], {"label_column": "breed"}, ("cat", "dog")),
        ("breed.txt", lambda row: ("dog", "cat")[row % 2], {"label_column": "breed.txt"}, ("cat", "dog")),
    ],
)
def test_webdataset_finds_labels_in_fields_and_in_json(case, tmp_path, made, prepare):
    suffix, content, fields, names = case
    x = made.pictures(12)
    files = []
    for row, image in enumerate(x):
        files += [(f"in/{row:04}.PNG", made.encoded(image)), (f"in/{row:04}.{suffix}", content(row).encode())]
    write_tar(tmp_path / "a.tar", files)
    data = prepare(source="webdataset", train=str(tmp_path / "a.tar"), **fields)
    assert np.array_equal(data.train.images, x)
    assert data.info.task.targets[0].class_names == names
    expected = [names.index(("dog", "cat")[row % 2]) if "cat" in names else row % 2 for row in range(12)]
    assert data.train.labels["label"].tolist() == expected


def test_webdataset_has_targets_of_every_kind_and_several_images(tmp_path, made, prepare_both):
    x = made.pictures(24)
    files = []
    for row in range(12):
        told = {"tags": ["a", "b"][: row % 3], "point": [row, row / 2], "age": row}
        files += [
            (f"{row:02}.left.png", made.encoded(x[row])),
            (f"{row:02}.right.png", made.encoded(x[12 + row])),
            (f"{row:02}.json", json.dumps(told).encode()),
            (f"{row:02}.size.txt", str(row / 4).encode()),
        ]
    write_tar(tmp_path / "a.tar", files)
    targets = {
        "tags": {"kind": "multilabel"},
        "point": {"kind": "regression"},
        "age": {"kind": "regression"},
        "size": {"kind": "regression"},
    }
    fields = {"source": "webdataset", "train": str(tmp_path / "a.tar"), "targets": targets, "inputs": ("left", "right")}
    data = prepare_both(fields)
    assert np.array_equal(data.train.images, np.concatenate([x[:12], x[12:]], axis=3))
    assert data.train.labels["tags"].tolist() == [[int(row % 3 > 0), int(row % 3 > 1)] for row in range(12)]
    assert data.train.labels["point"].tolist() == [[row, row / 2] for row in range(12)]
    assert data.train.labels["age"].tolist() == [[row] for row in range(12)]
    assert data.train.labels["size"].tolist() == [[row / 4] for row in range(12)]


def test_webdataset_says_which_files_belong_to_no_example(tmp_path, made, prepare):
    x = made.pictures(12)
    files = [
        *examples_of(x, np.arange(12) % 2, made=made),
        ("README", b"x"),
        ("__info__.json", b"{}"),
        ("._0.png", b""),
    ]
    data = prepare(source="webdataset", train=str(write_tar(tmp_path / "a.tar", files)))
    assert np.array_equal(data.train.images, x)
    named = ", ".join(f"{tmp_path}/a.tar: {name}" for name in ("._0.png", "README", "__info__.json"))
    assert f"files of archives that belong to no example are left out: 3 ({named})" in data.info.notes


def test_limit_of_shards_keeps_every_class_of_sorted_examples(tmp_path, made, prepare_both):
    x, y = made.pictures(18), np.repeat(["a", "b", "c"], 6)
    write_tar(tmp_path / "a.tar", examples_of(x, y, made=made))
    data = prepare_both({"source": "webdataset", "train": str(tmp_path / "a.tar"), "limit": 6})
    assert data.train.labels["label"].tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(data.train.images, x[[0, 1, 6, 7, 12, 13]])


def test_plain_and_compressed_archives_are_read_together(tmp_path, made, prepare_both):
    x, y = made.pictures(24), np.arange(24) % 2
    write_tar(tmp_path / "a.tar", examples_of(x[:8], y[:8], made=made))
    write_tar(tmp_path / "b.tar.gz", examples_of(x[8:16], y[8:16], made=made), mode="w:gz")
    write_tar(tmp_path / "c.tar", examples_of(x[16:], y[16:], made=made))
    data = prepare_both({"source": "webdataset", "train": str(tmp_path)})
    assert np.array_equal(data.train.images, x)
    assert data.train.labels["label"].tolist() == y.tolist()


@pytest.mark.parametrize("source", ["webdataset", "tfrecord"])
def test_shards_are_split_by_whole_groups(source, tmp_path, made, prepare_both):
    x = made.pictures(24)
    if source == "webdataset":
        told = [json.dumps({"label": row % 2, "patient": f"p{row // 5}"}).encode() for row in range(24)]
        files = [
            (f"{row:02}.{end}", (made.encoded(x[row]), told[row])[end == "json"])
            for row in range(24)
            for end in ("png", "json")
        ]
        write_tar(tmp_path / "a", files)
    else:
        rows = [{"image": made.encoded(x[row]), "label": row % 2, "patient": b"p%d" % (row // 5)} for row in range(24)]
        write_records(tmp_path / "a", rows)
    data = prepare_both({"source": source, "train": str(tmp_path / "a"), "group": "patient"})
    groups = [{row // 5 for row in split.indices.tolist()} for split in (data.train, data.validation, data.test)]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 5


def test_only_a_few_large_images_of_an_archive_lie_in_memory_at_once(tmp_path, made):
    padding = bytes(4 * 2**20)  # behind a PNG's end, where readers do not look
    files = [(f"{row}.{end}", content) for row in range(40) for end, content in (
        ("cls", str(row % 2).encode()), ("png", made.encoded(made.pictures(1, seed=row)[0]) + padding),
    )]  # fmt: skip
    write_tar(tmp_path / "a.tar", files)
    del files
    spec = DataSpec(source="webdataset", train=str(tmp_path / "a.tar"))
    images = open_webdataset(spec, no_progress).read().splits["train"].images
    tracemalloc.start()
    images.survey(Survey())
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert images.num_bytes > 160 * 2**20
    assert peak_bytes < 100 * 2**20


def feature(value):
    """Returns a feature as TensorFlow makes it, of bytes, floats or whole numbers."""
    import tensorflow as tf

    values = value if isinstance(value, list) else [value]
    if all(isinstance(item, bytes) for item in values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if all(isinstance(item, float) for item in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def write_records(path, rows, *, compression=""):
    """Writes examples with TensorFlow's own writer."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), options=compression) as writer:
        for row in rows:
            features = tf.train.Features(feature={name: feature(value) for name, value in row.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return path


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_tfrecord_reads_what_tensorflow_writes(compression, tmp_path, made, prepare_both):
    x = made.pictures(30)
    for shard in range(3):
        rows = [{"image": made.encoded(x[row]), "label": row % 3} for row in range(10 * shard, 10 * shard + 10)]
        write_records(tmp_path / f"a.tfrecord-0000{shard}-of-00003", rows, compression=compression)
    (tmp_path / "label.labels.txt").write_text("ant\nbee\ncow\n")
    data = prepare_both({"source": "tfrecord", "train": str(tmp_path)})
    assert np.array_equal(data.train.images, x)
    assert data.train.labels["label"].tolist() == [row % 3 for row in range(30)]
    assert data.info.task.targets[0].class_names == ("ant", "bee", "cow")
    assert not any("shards" in note for note in data.info.notes)
    (tmp_path / "a.tfrecord-00001-of-00003").unlink()
    data = prepare_both({"source": "tfrecord", "train": str(tmp_path)})
    assert f"{tmp_path}/a.tfrecord: 2 of 3 numbered shards are read" in data.info.notes


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        (("image/encoded", "image/class/label"), {}),
        (("image_raw", "label"), {}),
        (("pixels", "kind"), {"image_column": "pixels", "label_column": "kind"}),
    ],
)
def test_tfrecord_finds_the_usual_features_and_those_that_are_named(columns, fields, tmp_path, made, prepare):
    image, label = columns
    rows = [
        {image: made.encoded(pixels), label: row % 2, "image/height": 8} for row, pixels in enumerate(made.pictures(12))
    ]
    write_records(tmp_path / "a.tfrecord", rows)
    (tmp_path / "labels.txt").write_text("0:daisy\n1:rose\n")
    data = prepare(source="tfrecord", train=str(tmp_path / "*.tfrecord"), **fields)
    assert np.array_equal(data.train.images, made.pictures(12))
    assert data.info.task.targets[0].class_names == ("daisy", "rose")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "names",
    [("height", "width", "depth"), ("image/height", "image/width", "image/channels"), ("height", "width", None)],
)
def test_tfrecord_reads_raw_pixels_by_the_sizes_beside(names, channels, tmp_path, made, prepare_both):
    x = made.pictures(12, channels=channels)
    x[:, 0, 0] = ord("B"), *([ord("M")] * (channels - 1))  # looks like the start of a BMP
    sizes = {name: size for name, size in zip(names, (8, 6, channels), strict=True) if name}
    rows = [
        {"image": pixels.tobytes(), "label": ["no", "yes"][row % 2].encode(), **sizes} for row, pixels in enumerate(x)
    ]
    write_records(tmp_path / "a.tfrecord", rows)
    data = prepare_both({"source": "tfrecord", "train": str(tmp_path / "a.tfrecord")})
    assert np.array_equal(data.train.images, x)
    assert data.info.task.targets[0].class_names == ("no", "yes")


def test_tfrecord_has_targets_of_every_kind(tmp_path, made, prepare):
    rows = [
        {
            "image": made.encoded(pixels),
            "tags": [b"a", b"b"][: 1 + row % 2],
            "flags": [row % 2, 1],
            "point": [row / 2, 0.25],
            "age": row,
        }
        for row, pixels in enumerate(made.pictures(12))
    ]
    write_records(tmp_path / "a.tfrecord", rows)
    targets = {
        "tags": {"kind": "multilabel"},
        "flags": {"kind": "multilabel"},
        "point": {"kind": "regression"},
        "age": {"kind": "regression"},
    }
    labels = prepare(source="tfrecord", train=str(tmp_path / "a.tfrecord"), targets=targets).train.labels
    assert labels["tags"].tolist() == [[1, row % 2] for row in range(12)]
    assert labels["flags"].tolist() == [[row % 2, 1] for row in range(12)]
    assert labels["point"].tolist() == [[row / 2, 0.25] for row in range(12)]
    assert labels["age"].tolist() == [[row] for row in range(12)]
