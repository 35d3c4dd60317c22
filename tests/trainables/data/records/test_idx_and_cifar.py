"""MNIST's and CIFAR's own files give exactly the bytes that are in them, and the names that lie beside."""

import gzip
import struct

import numpy as np
import pytest

from trainables.errors import DataError


def idx(array, *, code=8):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path, made):
    """Writes a folder as MNIST's archive has it; returns its settings and the arrays."""
    x, y = made.pictures(40, height=7, width=5, channels=1)[..., 0], (np.arange(40, dtype=np.uint8) * 3) % 10

    def write(*, sign="-", end="", prefix=""):
        folder = tmp_path / "mnist"
        folder.mkdir()
        pack = gzip.compress if end else bytes
        for split, rows in {"train": slice(30), "t10k": slice(30, 40)}.items():
            (folder / f"{prefix}{split}-images{sign}idx3-ubyte{end}").write_bytes(pack(idx(x[rows])))
            (folder / f"{prefix}{split}-labels{sign}idx1-ubyte{end}").write_bytes(pack(idx(y[rows])))
        return {"source": "idx", "path": str(folder)}, x[:30], y[:30], x[30:]

    return write


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("sign", ["-", "."])
def test_a_folder_of_mnist_is_read_with_its_test_split(sign, end, mnist, prepare):
    fields, x, y, others = mnist(sign=sign, end=end)
    data = prepare(**fields)
    assert np.array_equal(data.train.images[..., 0], x)
    assert data.train.labels["label"].tolist() == y.tolist()
    assert np.array_equal(data.test.images[..., 0], others)
    assert data.info.task.targets[0].class_names == tuple("0123456789")


def test_named_files_are_read_with_the_labels_beside(tmp_path, mnist, prepare):
    fields, *_ = mnist(prefix="emnist-letters-", end=".gz")
    by_folder = prepare(**fields)
    named = prepare(source="idx", train=str(tmp_path / "mnist/emnist-letters-train-images-idx3-ubyte.gz"))
    assert np.array_equal(by_folder.train.images, named.train.images)
    assert (by_folder.info.num_test, named.info.num_test) == (10, 6)


def test_plain_files_go_before_gzipped_ones(tmp_path, mnist, prepare):
    fields, x, *_ = mnist()
    (tmp_path / "mnist/train-images-idx3-ubyte.gz").write_bytes(b"broken")
    (tmp_path / "mnist/train-labels-idx1-ubyte.gz").write_bytes(b"broken")
    assert np.array_equal(prepare(**fields).train.images[..., 0], x)


def test_other_types_and_colour_are_read(tmp_path, made, prepare):
    x, y = made.pictures(12), np.arange(12) % 3
    (tmp_path / "a-images-idx4-int").write_bytes(idx(x.astype(">i4"), code=12))
    (tmp_path / "a-labels-idx1-short").write_bytes(idx(y.astype(">i2"), code=11))
    data = prepare(source="idx", train=str(tmp_path / "a-images-idx4-int"))
    assert np.array_equal(data.train.images, x)
    assert data.train.labels["label"].tolist() == y.tolist()


def test_limit_of_idx_keeps_every_class(tmp_path, made, prepare):
    x, y = made.pictures(30, channels=1)[..., 0], np.repeat(np.arange(3, dtype=np.uint8), 10)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(x))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(y))
    data = prepare(source="idx", path=str(tmp_path), limit=7)
    assert data.train.labels["label"].tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert np.array_equal(data.train.images[..., 0], x[[0, 1, 2, 10, 11, 20, 21]])


IDX = idx(np.zeros((4, 3, 2), np.uint8))
LABELS = idx(np.arange(4, dtype=np.uint8) % 2)


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (None, LABELS, "data.path: mnist has no train-images-idx3-ubyte, plain or .gz, its files are ['train-lab"),
        (IDX, None, "the labels are not beside, expected train-labels-idx1-ubyte; add the file"),
        (b"", LABELS, "train-images-idx3-ubyte: is no IDX file: its magic number is 0x00, expected 0x0000, a type"),
        (b"\x00\x00\x07\x03" + IDX[4:], LABELS, "is no IDX file: its magic number is 0x00000703"),
        (b"\x89PNG\r\n\x1a\n", LABELS, "is no IDX file: its magic number is 0x89504e47"),
        (b"\x00\x00\x08\x00", LABELS, "is no IDX file: its magic number is 0x00000800"),
        (IDX[:10], LABELS, "is cut off inside its header of 16 bytes"),
        (IDX[:-1], LABELS, "its header says 4 x 3 x 2 values of 1 bytes, which are 24, but 23 bytes follow; fetch"),
        (IDX + b"x", LABELS, "which are 24, but 25 bytes follow"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + IDX[16:], LABELS, "4294967295 x 4294967295 x 4294967295 values"),
        (LABELS, LABELS, "train-images-idx3-ubyte: expected 3 dimensions (images, height, width), got (4,); is it a"),
        (IDX, IDX, "train-labels-idx1-ubyte: expected 1 dimension of labels, got (4, 3, 2); is it a file of images?"),
        (IDX, LABELS[:7] + b"\x03" + LABELS[8:-1], "there are 4 images but 3 labels in mnist/train-labels-idx1-ubyte"),
        (gzip.compress(IDX, mtime=0)[:-6], LABELS, "train-images-idx3-ubyte: is not a whole gzip file"),
        (b"\x1f\x8b\x08", LABELS, "train-images-idx3-ubyte: is not a whole gzip file"),
        (idx(np.zeros((0, 3, 2), np.uint8)), idx(np.zeros(0, np.uint8)), "the split is empty"),
        (idx(np.zeros((4, 0, 2), np.uint8)), LABELS, "expected images of shape"),
        (IDX, idx(np.zeros(4, np.uint8)), "expected at least two classes, got only 0 in 4 labels"),
    ],
)  # fmt: skip
def test_wrong_idx_files_are_refused_in_words(images, labels, message, tmp_path, prepare):
    (tmp_path / "mnist").mkdir()
    for name, content in {"images-idx3": images, "labels-idx1": labels}.items():
        if content is not None:
            (tmp_path / "mnist" / f"train-{name}-ubyte").write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare(source="idx", path=str(tmp_path / "mnist"))
    assert str(tmp_path / "mnist") in str(caught.value)
    assert message in str(caught.value).replace(f"{tmp_path}/", "")


def test_folders_and_names_that_are_not_idx_are_refused(tmp_path, mnist, prepare):
    mnist(prefix="byclass-")
    (tmp_path / "mnist/bymerge-train-images-idx3-ubyte").write_bytes(b"")
    for more, message in {
        "mnist": "has several files for one split, ['byclass-train-images-idx3-ubyte', 'bymerge-train-images-idx3-",
        "nowhere": "data.path: cannot read",
    }.items():
        with pytest.raises(DataError, match=r"data\.path: ") as caught:
            prepare(source="idx", path=str(tmp_path / more))
        assert message in str(caught.value)
    with pytest.raises(DataError, match=r"expected a name such as train-images-idx3-ubyte; rename both files"):
        prepare(source="idx", train=str(tmp_path / "mnist/digits"))


@pytest.fixture
def cifar(tmp_path, made):
    """Writes a folder as CIFAR's binary archives have it; returns its settings, pixels and label bytes."""

    def write(*, version=10, rows=20, batches=2, names=True):
        folder = tmp_path / "cifar"
        folder.mkdir()
        x = made.pictures(rows + 5, height=32, width=32)
        planes = x.transpose(0, 3, 1, 2).reshape(rows + 5, -1)
        numbers = np.arange(rows + 5, dtype=np.uint8)
        fine, coarse = numbers * 7 % version, numbers % 20
        columns = [fine] if version == 10 else [coarse, fine]
        records = np.concatenate([*(column[:, np.newaxis] for column in columns), planes], axis=1)
        if version == 10:
            for number, part in enumerate(np.array_split(records[:rows], batches), start=1):
                part.tofile(folder / f"data_batch_{number}.bin")
            records[rows:].tofile(folder / "test_batch.bin")
        else:
            records[:rows].tofile(folder / "train.bin")
            records[rows:].tofile(folder / "test.bin")
        if names:
            of_100 = {"fine_label_names.txt": 100, "coarse_label_names.txt": 20}
            files = {"batches.meta.txt": 10} if version == 10 else of_100
            for name, count in files.items():
                (folder / name).write_text("".join(f"{name[0]}{number}\n" for number in range(count)) + "\n")
        return {"source": "cifar_binary", "path": str(folder)}, x, fine[:rows], coarse[:rows]

    return write


def test_cifar_10_is_read_batch_after_batch_with_its_names(cifar, prepare):
    fields, x, fine, _ = cifar(rows=33, batches=11)
    data = prepare(**fields)
    assert np.array_equal(data.train.images, x[:33])
    assert data.train.labels["label"].tolist() == fine.tolist()
    assert data.info.task.targets[0].class_names == tuple(f"b{number}" for number in range(10))
    assert np.array_equal(data.test.images, x[33:])


def test_cifar_100_has_fine_and_coarse_labels(cifar, prepare):
    fields, x, fine, coarse = cifar(version=100, rows=200)
    data = prepare(**fields, targets={"kind": {"column": "fine"}, "group": {"column": "coarse"}})
    assert np.array_equal(data.train.images, x[:200])
    assert data.train.labels["kind"].tolist() == fine.tolist()
    assert data.train.labels["group"].tolist() == coarse.tolist()
    assert [target.class_names[1] for target in data.info.task.targets] == ["f1", "c1"]
    assert prepare(**fields).train.labels["label"].tolist() == fine.tolist()
    assert prepare(**fields, label_column="coarse").train.labels["label"].tolist() == coarse.tolist()


def test_cifar_without_names_calls_classes_by_their_numbers_and_says_so(tmp_path, cifar, prepare):
    fields, *_ = cifar(names=False, rows=60)
    data = prepare(**fields, limit=20)
    assert data.info.task.targets[0].class_names == tuple("0123456789")
    assert data.info.notes[0] == (
        f"{tmp_path}/cifar: batches.meta.txt is missing, so classes are called by their numbers"
    )
    assert sorted(data.train.labels["label"].tolist()) == [number // 2 for number in range(20)]


@pytest.mark.malformed
@pytest.mark.parametrize(
    "case",
    [
        ("data_batch_1.bin", None, "data.path: cifar lacks data_batch_1.bin; unpack the archive again"),
        (
            "data_batch_2.bin",
            b"\0" * 3072,
            "data_batch_2.bin: has 3072 bytes, expected a multiple of 3073, a record of",
        ),
        ("test_batch.bin", b"", "test_batch.bin: has 0 bytes, expected a multiple of 3073"),
        ("data_batch_2.bin", b"\x0a" * 3073, "record 0 has the label label 10, CIFAR-10 has 0 to 9; unpack the"),
        ("batches.meta.txt", b"a\nb\n", "batches.meta.txt: expected 10 different names, got 2; unpack the archive"),
        ("batches.meta.txt", b"a\n" * 10, "batches.meta.txt: expected 10 different names, got 1"),
        ("batches.meta.txt", b"\xff", "batches.meta.txt: cannot be read as text"),
    ],
)
def test_wrong_cifar_files_are_refused_in_words(case, tmp_path, cifar, prepare):
    file, content, message = case
    fields, *_ = cifar()
    (tmp_path / "cifar" / file).unlink()
    if content is not None:
        (tmp_path / "cifar" / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare(**fields)
    assert message in str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("", "data.path: cifar is CIFAR's Python version, whose files are pickles: they could run any code and are"),
        (
            ".dat",
            "has neither data_batch_1.bin (CIFAR-10) nor train.bin (CIFAR-100), its files are ['batches.meta.dat',",
        ),
    ],
)
def test_other_folders_than_the_binary_version_are_refused(ending, message, tmp_path, cifar, prepare):
    fields, *_ = cifar()
    for path in (tmp_path / "cifar").iterdir():
        path.rename(path.with_suffix(ending))
    with pytest.raises(DataError) as caught:
        prepare(**fields)
    assert message in str(caught.value).replace(f"{tmp_path}/", "")
    with pytest.raises(DataError, match=r"data\.path: cannot read"):
        prepare(source="cifar_binary", path=str(tmp_path / "nowhere"))


def test_a_column_that_cifar_has_not_is_refused(cifar, prepare):
    fields, *_ = cifar()
    with pytest.raises(DataError, match=r"data\.targets: CIFAR-10 has the columns \['label'\], got 'fine'"):
        prepare(**fields, label_column="fine")
