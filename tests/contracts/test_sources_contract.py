"""What every source promises, and that each gives exactly the pixels and labels that were put in."""

import gzip
import io
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from trainables.data.cache.sources import SOURCES
from trainables.data.sources.keras_sets import CLASS_NAMES


def arrays(made, count=40, *, seed=0):
    return made.pictures(count, seed=seed), np.arange(count) % 3


def make_digits(tmp_path, made):
    return {"source": "digits"}


def make_keras(tmp_path, made):
    (tmp_path / "keras" / "datasets").mkdir(parents=True)
    x, y = made.pictures(50, channels=1)[..., 0], np.arange(50, dtype=np.uint8) % 10
    splits = {"x_train": x[:40], "y_train": y[:40], "x_test": x[40:], "y_test": y[40:]}
    np.savez(tmp_path / "keras" / "datasets" / "mnist.npz", **splits)
    return {"source": "keras", "name": "mnist"}


def make_npz(tmp_path, made):
    splits = {
        f"{part}_{split}": values
        for split, count, seed in (("train", 40, 0), ("test", 9, 1), ("val", 6, 2))
        for part, values in zip("xy", arrays(made, count, seed=seed), strict=True)
    }
    np.savez(tmp_path / "all.npz", **splits)
    return {"source": "npz", "path": str(tmp_path / "all.npz")}


def make_parquet(tmp_path, made):
    x, y = arrays(made)
    made.write_parquet(tmp_path / "train.parquet", images=[made.encoded(image) for image in x], labels=y)
    return {"source": "parquet", "train": str(tmp_path / "train.parquet")}


def make_images(tmp_path, made):
    return {"source": "images", "path": str(made.write_folders(tmp_path / "photos", each=10))}


def make_csv(tmp_path, made):
    x, y = arrays(made)
    (tmp_path / "train_images").mkdir()
    for row, image in enumerate(x):
        (tmp_path / "train_images" / f"{row}.png").write_bytes(made.encoded(image))
    (tmp_path / "train.csv").write_text("image,label\n" + "".join(f"{row},{label}\n" for row, label in enumerate(y)))
    return {"source": "csv", "train": str(tmp_path / "train.csv"), "images": str(tmp_path / "train_images")}


def make_idx(tmp_path, made):
    x, y = made.pictures(40, channels=1), np.arange(40, dtype=np.uint8) % 3
    header = struct.pack(">4i", 2051, 40, *x.shape[1:3])
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + x.tobytes(), mtime=0))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, 40) + y.tobytes())
    return {"source": "idx", "path": str(tmp_path)}


def make_cifar_binary(tmp_path, made):
    x, y = made.pictures(40, height=32, width=32), np.arange(40, dtype=np.uint8) % 10
    records = np.concatenate([y[:, np.newaxis], x.transpose(0, 3, 1, 2).reshape(40, -1)], axis=1)
    records.tofile(tmp_path / "data_batch_1.bin")
    return {"source": "cifar_binary", "path": str(tmp_path)}


def make_webdataset(tmp_path, made):
    x, y = arrays(made)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for row, image in enumerate(x):
            for end, content in (("cls", str(y[row]).encode()), ("png", made.encoded(image))):
                entry = tarfile.TarInfo(f"{row}.{end}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return {"source": "webdataset", "train": str(tmp_path / "a.tar")}


def make_tfrecord(tmp_path, made):
    import tensorflow as tf

    x, y = arrays(made)
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for image, label in zip(x, y, strict=True):
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[made.encoded(image)])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return {"source": "tfrecord", "train": str(tmp_path / "a.tfrecord")}


def make_python(tmp_path, made):
    (tmp_path / "contract_data.py").write_text(
        "import numpy as np\ndef load():\n    return np.arange(750).reshape(30, 5, 5) / 750, np.arange(30) % 2\n"
    )
    return {"source": "python", "function": "contract_data:load", "function_dir": str(tmp_path)}


MAKERS = {
    "digits": make_digits,
    "keras": make_keras,
    "npz": make_npz,
    "parquet": make_parquet,
    "images": make_images,
    "csv": make_csv,
    "idx": make_idx,
    "cifar_binary": make_cifar_binary,
    "webdataset": make_webdataset,
    "tfrecord": make_tfrecord,
    "python": make_python,
}


def test_every_source_is_under_contract():
    assert set(MAKERS) == set(SOURCES)


@pytest.mark.parametrize("source", MAKERS)
def test_source_keeps_the_contract(source, tmp_path, monkeypatch, made, prepare):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    data = prepare(**MAKERS[source](tmp_path, made))
    info = data.info
    assert info.task.targets[0].size == len(info.task.targets[0].class_names) >= 2
    assert all(isinstance(name, str) for name in info.task.targets[0].class_names)
    assert len(set(info.task.targets[0].class_names)) == info.task.targets[0].size
    for split, count in (
        (data.train, info.num_train),
        (data.validation, info.num_validation),
        (data.test, info.num_test),
    ):
        assert split.images.dtype == np.uint8
        assert split.images.shape == (len(split.labels["label"]), *info.task.input_shape)
        assert split.labels["label"].dtype == split.indices.dtype == np.int32
        assert 0 <= split.labels["label"].min() <= split.labels["label"].max() < info.task.targets[0].size
        assert len(split.indices) == count >= 1
        assert (np.diff(split.indices) > 0).all()
        assert 0 <= split.indices[0] <= split.indices[-1] < len(split.labels["label"])


def test_digits_are_scaled_to_the_full_range(prepare):
    data = prepare(source="digits")
    assert data.info.task.input_shape == (8, 8, 1)
    assert data.info.task.targets[0].class_names == tuple("0123456789")
    assert np.unique(data.train.images).tolist() == np.rint(np.arange(17) * 255 / 16).astype(int).tolist()
    assert data.info.num_train + data.info.num_validation + data.info.num_test == 1797
    assert data.info.num_test == 359
    assert data.info.num_validation == 144


def test_splits_of_the_source_are_kept_apart(tmp_path, made, prepare):
    data = prepare(**make_npz(tmp_path, made))
    assert np.array_equal(data.train.images[data.train.indices], arrays(made)[0])
    assert np.array_equal(data.test.images[data.test.indices], arrays(made, 9, seed=1)[0])
    assert np.array_equal(data.validation.labels["label"][data.validation.indices], arrays(made, 6, seed=2)[1])


def test_carved_splits_share_the_training_arrays(prepare):
    data = prepare(source="digits")
    assert data.validation.images is data.train.images is data.test.images
    parts = np.concatenate([data.train.indices, data.validation.indices, data.test.indices])
    assert np.array_equal(np.sort(parts), np.arange(1797))


def test_limit_takes_the_first_training_images_where_these_have_every_class(tmp_path, made, prepare):
    x, y = arrays(made)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    data = prepare(source="npz", path=str(tmp_path / "a.npz"), limit=12)
    assert np.array_equal(data.train.images, x[:12])


@pytest.mark.parametrize("source", ["npz", "parquet", "python"])
def test_limit_takes_classes_in_turns_where_the_first_images_lack_one(source, tmp_path, made, prepare):
    x, y = made.pictures(40), np.sort(np.arange(40) % 4)
    if source == "npz":
        np.savez(tmp_path / "a.npz", x=x, y=y)
        fields = {"source": "npz", "path": str(tmp_path / "a.npz")}
    elif source == "parquet":
        made.write_parquet(tmp_path / "a.parquet", images=[made.encoded(image) for image in x], labels=y)
        fields = {"source": "parquet", "train": str(tmp_path / "a.parquet")}
    else:
        np.save(tmp_path / "x.npy", x)
        code = "import numpy as np\ndef load():\n    return np.load({!r}), np.repeat(range(4), 10)\n"
        (tmp_path / "limited_data.py").write_text(code.format(str(tmp_path / "x.npy")))
        fields = {"source": "python", "function": "limited_data:load", "function_dir": str(tmp_path)}
    data = prepare(**fields, limit=14, validation_fraction=0.3)
    rows = np.concatenate([10 * number + np.arange(4 if number < 2 else 3) for number in range(4)])
    assert np.array_equal(data.train.images, x[rows])
    assert np.array_equal(data.train.labels["label"], y[rows])
    assert data.info.task.targets[0].class_names == ("0", "1", "2", "3")


def test_npz_files_of_single_splits_are_read(tmp_path, made, prepare):
    x, y = arrays(made, 52)
    names = np.array(["ant", "bee", "cow"])
    np.savez(tmp_path / "train.npz", images=x[:40], labels=y[:40], class_names=names)
    np.savez(tmp_path / "test.npz", x=x[40:47], y=y[40:47])
    np.savez(tmp_path / "val.npz", x_val=x[47:], y_val=y[47:])
    files = {
        name: str(tmp_path / f"{file}.npz")
        for name, file in (("train", "train"), ("test", "test"), ("validation", "val"))
    }
    data = prepare(source="npz", **files)
    assert (data.info.num_train, data.info.num_validation, data.info.num_test) == (40, 5, 7)
    assert data.info.task.targets[0].class_names == ("ant", "bee", "cow")


@pytest.mark.parametrize("kind", ["bytes", "struct", "nested", "flat", "tensor", "grey"])
def test_parquet_gives_back_the_pixels(kind, tmp_path, made, prepare):
    x, y = made.pictures(600), np.arange(600) % 2
    fields = {}
    if kind == "bytes":
        images = [made.encoded(image) for image in x]
    elif kind == "struct":
        images = [{"bytes": made.encoded(image), "path": None} for image in x]
    elif kind == "nested":
        images = x.tolist()
    elif kind == "tensor":
        images = pa.FixedShapeTensorArray.from_numpy_ndarray(x)
    elif kind == "grey":
        x = x[..., :1]
        images = x[..., 0].tolist()
    else:
        images = pa.FixedSizeListArray.from_arrays(x.ravel(), 8 * 6 * 3)
        fields = {"image_size": (8, 6), "channels": 3}
    path = made.write_parquet(tmp_path / "a.parquet", images=images, labels=y)
    data = prepare(source="parquet", train=str(path), **fields)
    assert np.array_equal(data.train.images, x)
    assert np.array_equal(data.train.labels["label"], y)


def test_parquet_folders_globs_text_labels_and_other_columns_work(tmp_path, made, prepare):
    x = made.pictures(20)
    for part in range(2):
        rows = slice(10 * part, 10 * part + 10)
        table = pa.table({"img": [made.encoded(image) for image in x[rows]], "what": ["dog", "ant"] * 5})
        (tmp_path / "parts").mkdir(exist_ok=True)
        pa.parquet.write_table(table, tmp_path / "parts" / f"{part}.parquet")
    columns = {"source": "parquet", "image_column": "img", "label_column": "what"}
    folder = prepare(train=str(tmp_path / "parts"), **columns)
    pattern = prepare(train=str(tmp_path / "parts" / "*.parquet"), **columns)
    assert np.array_equal(folder.train.images, x)
    assert folder.info.task.targets[0].class_names == ("ant", "dog")
    assert folder.train.labels["label"].tolist() == [1, 0] * 10
    assert pattern.info == folder.info


def test_parquet_limit_decodes_no_row_behind_it(tmp_path, made, prepare):
    images = [made.encoded(image) for image in made.pictures(12)] + [b"broken"] * 12
    path = made.write_parquet(tmp_path / "a.parquet", images=images, labels=np.arange(24) % 2)
    assert prepare(source="parquet", train=str(path), limit=12).train.images.shape[0] == 12


def test_hugging_face_class_names_are_kept(tmp_path, made, prepare):
    features = '{"info": {"features": {"label": {"names": ["no", "yes", "maybe"], "_type": "ClassLabel"}}}}'
    table = pa.table({"image": [made.encoded(image) for image in made.pictures(10)], "label": [1, 0] * 5})
    pa.parquet.write_table(table.replace_schema_metadata({"huggingface": features}), tmp_path / "a.parquet")
    data = prepare(source="parquet", train=str(tmp_path / "a.parquet"))
    assert data.info.task.targets[0].class_names == ("no", "yes", "maybe")


def test_labels_with_gaps_are_numbered_and_keep_their_names(tmp_path, made, prepare):
    np.savez(tmp_path / "a.npz", x=made.pictures(9), y=np.array([30, 5, 7] * 3))
    data = prepare(source="npz", path=str(tmp_path / "a.npz"))
    assert data.info.task.targets[0].class_names == ("5", "7", "30")
    assert data.train.labels["label"].tolist() == [2, 0, 1] * 3


def test_python_function_may_return_all_splits(tmp_path, prepare):
    (tmp_path / "all_splits.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    x, y = np.eye(16).reshape(16, 4, 4, 1) / 5, ['a', 'b'] * 8\n"
        "    return {'x_train': x[:12], 'y_train': y[:12], 'x_test': x[12:], 'y_test': y[12:]}\n"
    )
    data = prepare(source="python", function="all_splits:load", function_dir=str(tmp_path))
    assert data.info.task.targets[0].class_names == ("a", "b")
    assert data.info.num_test == 4
    assert np.unique(data.train.images).tolist() == [0, 51]


def write_fashion(home: Path, labels, made):
    folder = home / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for seed, part in enumerate(("train", "t10k")):
        images = made.pictures(len(labels), height=28, width=28, channels=1, seed=seed)
        header = struct.pack(">4i", 2051, len(images), 28, 28)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images.tobytes(), mtime=0))
        header = struct.pack(">2i", 2049, len(labels))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + labels.tobytes(), mtime=0))


KERAS_SCRIPT = """
import sys
from trainables.data.cache.prepare import prepare_dataset
from trainables.errors import DataError
from trainables.specs.data import DataSpec
info = prepare_dataset(DataSpec(source="keras", name="fashion_mnist", cache_dir=sys.argv[1]), 0)
print(info.task.targets[0].class_names[-1], info.num_test, info.task.input_shape)
try:
    prepare_dataset(DataSpec(source="keras", name="cifar10", cache_dir=sys.argv[1]), 0)
except DataError as exc:
    print(exc)
"""


@pytest.mark.slow
def test_keras_reads_its_own_files_and_tells_the_way_out_without_network(tmp_path, made, monkeypatch):
    home = tmp_path / "keras"
    labels = np.arange(30, dtype=np.uint8) % 10
    write_fashion(home, labels, made)
    monkeypatch.setenv("KERAS_HOME", str(home))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody answers there
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))
    command = [sys.executable, "-c", KERAS_SCRIPT, str(tmp_path / "cache")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Ankle boot 30 (28, 28, 1)" in lines
    assert "data.name: 'cifar10' could not be loaded by Keras: URL fetch failure" in lines
    assert f"place it as {home}/datasets/cifar-10-batches-py-target_archive, or use your own files" in lines


def test_keras_mnist_file_is_read_without_importing_keras(tmp_path, monkeypatch, made, prepare):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setitem(sys.modules, "keras", None)  # an import would fail
    data = prepare(**make_keras(tmp_path, made))
    assert data.info.task.targets[0].class_names == CLASS_NAMES["mnist"]
    assert data.info.num_test == 10
