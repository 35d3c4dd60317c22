"""A hundred malformed or odd files: a sentence that names the file, never a traceback or a silent change."""

import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.errors import DataError

X = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
Y = np.arange(12) % 2


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **{"x": X, "y": Y, **arrays})
    return buffer.getvalue()


def members(compression=zipfile.ZIP_STORED, **contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npy(array, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def header(text):
    content = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content


def flagged(content, place, value):
    """Returns an archive with other flags in its directory: a password, an unknown compression."""
    changed = bytearray(content)
    at = changed.rfind(b"PK\x01\x02") + place
    changed[at : at + 2] = value.to_bytes(2, "little")
    return bytes(changed)


GOOD, Y_NPY = npz(), npy(Y)
#: Content of an archive, and a part of the sentence; None where the archive is read right.
ARCHIVES = {
    "empty": (b"", "is not a whole NumPy archive"),
    "text": (b"hello world", "it is neither a zip of arrays nor an array"),
    "html": (b"<!DOCTYPE html><html>404", "it is neither a zip of arrays nor an array"),
    "pickle": (pickle.dumps({"x": 1}), "it is neither a zip of arrays nor an array"),
    "gzip": (gzip.compress(b"\x00\x00\x08\x03", mtime=0), "but a gzip file; MNIST's *-ubyte.gz files are read by"),
    "idx": (b"\x00\x00\x08\x03\x00\x00\x00\x01" + bytes(40), "but an IDX file as MNIST has them"),
    "matlab": (b"MATLAB 5.0 MAT-file" + bytes(200), "but a MATLAB file; load it with scipy.io.loadmat"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(200), "but an HDF5 file"),
    "parquet": (b"PAR1" + bytes(100) + b"PAR1", "but a Parquet file; read it by source: parquet"),
    "bzip2": (b"BZh9" + bytes(50), "it is neither a zip of arrays nor an array"),
    "xz": (b"\xfd7zXZ\x00" + bytes(50), "it is neither a zip of arrays nor an array"),
    "zstandard": (b"\x28\xb5\x2f\xfd" + bytes(50), "it is neither a zip of arrays nor an array"),
    "single": (npy(X), "is a single array, expected an archive"),
    "single of objects": (b"\x93NUMPY" + bytes(20), "is not a whole NumPy archive"),
    "torn in the directory": (GOOD[:-30], "is not a whole NumPy archive"),
    "torn in the middle": (GOOD[: len(GOOD) // 2], "is not a whole NumPy archive"),
    "start only": (b"PK\x03\x04", "is not a whole NumPy archive"),
    "nothing inside": (members(), "expected arrays named x_train and y_train"),
    "no array inside": (members(**{"a.txt": b"hello"}), "expected arrays named x_train and y_train"),
    "labels are a text file": (members(**{"x.npy": npy(X), "y": b"0 1 0"}), "y: is a file that is no array"),
    "images are text": (members(**{"x.npy": b"hello", "y.npy": Y_NPY}), "x: is a file that is no array"),
    "torn array": (members(**{"x.npy": npy(X)[:300], "y.npy": Y_NPY}), "x: is not a whole NumPy archive"),
    "torn header": (members(**{"x.npy": npy(X)[:20], "y.npy": Y_NPY}), "x: is not a whole NumPy archive"),
    "header of code": (members(**{"x.npy": header("__import__('os')"), "y.npy": Y_NPY}), "x: is not a whole NumPy"),
    "header of nonsense": (members(**{"x.npy": header("{'descr': 7"), "y.npy": Y_NPY}), "x: is not a whole NumPy"),
    "header without shape": (members(**{"x.npy": header("{'descr': '|u1'}"), "y.npy": Y_NPY}), "x: is not a whole"),
    "huge shape": (
        members(**{"x.npy": header("{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999, 9)}"),
                   "y.npy": Y_NPY}), "x: is not a whole NumPy archive"),
    "negative shape": (
        members(**{"x.npy": header("{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 9)}"), "y.npy": Y_NPY}),
        "x: "),
    "unknown version": (members(**{"x.npy": b"\x93NUMPY\x09\x00" + bytes(99), "y.npy": Y_NPY}), "x: is not a whole"),
    "password": (flagged(GOOD, 8, 1), "y: "),
    "unknown compression": (flagged(GOOD, 10, 77), "is not a whole NumPy archive"),
    "wrong checksum": (GOOD.replace(bytes(X[3].tobytes()), bytes(64)), "x: is not a whole NumPy archive"),
    "images of objects": (npz(x=np.array([X[0], None] * 6, object)), "x: is an array of Python objects"),
    "labels of objects": (npz(y=np.array(["a", None] * 6, object)), "y: is an array of Python objects"),
    "names of objects": (npz(class_names=np.array(["a", None], object)), "class_names: is an array of Python objects"),
    "names of numbers": (npz(class_names=np.arange(2)), "class_names: expected a list of different texts"),
    "too few names": (npz(class_names=np.array(["a"])), "label 1 has no name"),
    "equal names": (npz(class_names=np.array(["a", "a"])), "class_names: expected a list of different texts"),
    "missing labels": (members(**{"x.npy": npy(X)}), "has x but not y; add y"),
    "missing images": (members(**{"y.npy": Y_NPY}), "has y but not x; add x"),
    "fewer labels": (npz(y=Y[:5]), "there are 12 images but 5 labels"),
    "a lone number": (npz(y=np.array(3)), "expected arrays of images and labels"),
    "empty images": (npz(x=X[:0], y=Y[:0]), "the split is empty"),
    "flat images": (npz(x=X.reshape(12, 64)), "expected images of shape"),
    "five axes": (npz(x=X[:, None, None]), "expected images of shape"),
    "two channels": (npz(x=X[..., None].repeat(2, 3)), "expected 1 or 3 channels last"),
    "no pixels": (npz(x=X[:, :, :0]), "expected images of shape"),
    "images of text": (npz(x=np.full((12, 8, 8), "a")), "x: expected pixels"),
    "images of dates": (npz(x=np.zeros((12, 8, 8), "datetime64[s]")), "x: expected pixels"),
    "structured images": (npz(x=np.zeros((12, 8, 8), [("r", "u1"), ("g", "u1")])), "x: expected pixels"),
    "labels of dates": (npz(y=np.zeros(12, "datetime64[s]")), "expected labels that are whole numbers or text"),
    "complex labels": (npz(y=Y * 1j), "expected labels that are whole numbers or text"),
    "labels of nan": (npz(y=np.where(Y, np.nan, 0)), "label 1 is nan"),
    "labels of inf": (npz(y=np.where(Y, np.inf, 0)), "label 1 is inf"),
    "labels of halves": (npz(y=Y / 2), "expected whole-number labels, got 0.5"),
    "huge labels": (npz(y=np.where(Y, 2**63, 0).astype(np.uint64)), "is too large; number the classes"),
    "negative labels": (npz(y=-Y), "expected labels >= 0, got -1; number the classes"),
    "one class": (npz(y=Y * 0), "expected at least two classes"),
    "several labels": (npz(y=np.ones((12, 3))), "whose rows are not one-hot; where several flags may hold"),
    "labels of three axes": (npz(y=np.zeros((12, 2, 2))), "expected one label an image"),
    "no UTF-8": (npz(y=np.array([b"\xff", b"a"] * 6)), "a label is bytes that are not UTF-8"),
    "compressed": (members(zipfile.ZIP_DEFLATED, **{"x.npy": npy(X), "y.npy": Y_NPY}), None),
    "bzip2 inside": (members(zipfile.ZIP_BZIP2, **{"x.npy": npy(X), "y.npy": Y_NPY}), None),
    "newer header": (members(**{"x.npy": npy(X, (3, 0)), "y.npy": npy(Y, (2, 0))}), None),
    "columns first": (npz(x=np.asfortranarray(X)), None),
    "big-endian": (npz(x=X.astype(">u2"), y=Y.astype(">i4")), None),
    "bytes before the archive": (b"#!/bin/sh\n" + GOOD, "it is neither a zip of arrays nor an array"),
    "objects that nobody asked for": (npz(meta=np.array([None, {}], object)), None),
    "a text file that nobody asked for": (GOOD, None),
}  # fmt: skip


@pytest.mark.malformed
@pytest.mark.parametrize("case", ARCHIVES)
def test_malformed_archives_are_told_or_read_right(case, tmp_path, prepare):
    content, message = ARCHIVES[case]
    path = tmp_path / "case.npz"
    path.write_bytes(content)
    if message is None:
        data = prepare(source="npz", path=str(path))
        assert np.array_equal(data.train.images[..., 0], X)
        assert np.array_equal(data.train.labels["label"], Y)
        return
    with pytest.raises(DataError) as caught:
        prepare(source="npz", path=str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "allow_pickle" not in str(caught.value)


PNG = "good images"
LOST = "holds paths of image files, and 1 of 1 are missing"
STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})
#: Columns image and label (or one more file's), and a part of the sentence; None where they are read right.
TABLES = {
    "no rows": (pa.array([], pa.binary()), pa.array([], pa.int64()), "the split is empty"),
    "null images": (pa.nulls(12), Y, "row 0: the image is missing (null)"),
    "null labels": (PNG, pa.nulls(12), "row 0: the label is missing (null)"),
    "a null label": (PNG, [0, 1, None] * 4, "row 2: the label is missing (null)"),
    "a null of a dictionary": (PNG, pa.array(["a", "b", None] * 4).dictionary_encode(), "row 2: the label is missing"),
    "empty bytes": ([b""] * 12, Y, "row 0: cannot be read as an image"),
    "text for bytes": (["a"] * 12, Y, LOST),
    "names of files": (["cat/0.png"] * 12, Y, LOST),
    "a struct of others": ([{"data": b"a"}] * 12, Y, "expected bytes of encoded images"),
    "a struct of text": ([{"bytes": "a"}] * 12, Y, "expected bytes of encoded images"),
    "a struct without path": (pa.array([{"bytes": None}] * 12, pa.struct({"bytes": pa.binary()})), Y, "row 0: the"),
    "neither bytes nor path": (pa.array([{"bytes": None, "path": None}] * 12, STRUCT), Y, "row 0: the image is"),
    "lost paths": (pa.array([{"bytes": None, "path": "no.png"}] * 12, STRUCT), Y, LOST),
    "a folder's path": (pa.array([{"bytes": None, "path": "."}] * 12, STRUCT), Y, LOST),
    "an archive's path": (pa.array([{"bytes": None, "path": "zip://a::b"}] * 12, STRUCT), Y, LOST),
    "numbers for images": (Y, Y, "has type int64, expected bytes of encoded images"),
    "maps for images": (pa.array([[(1, 2)]] * 12, pa.map_(pa.int8(), pa.int8())), Y, "expected bytes of encoded"),
    "ragged pixels": ([[[1, 2], [3]]] * 12, Y, "the lists of pixels differ in length"),
    "flat pixels": ([[1, 2, 3, 4]] * 12, Y, "the pixels are a flat list of 4"),
    "a missing pixel": ([[[1, None]]] * 12, Y, "a pixel is missing (null)"),
    "a missing row of pixels": ([[[1], None]] * 12, Y, "an image or a part of one is missing"),
    "text for pixels": ([[["a"]]] * 12, Y, "expected pixels"),
    "pixels of five axes": ([[[[[1]]]]] * 12, Y, "expected images of shape"),
    "pixels of no axis": ([[[]]] * 12, Y, "expected images of shape"),
    "decimal labels": (PNG, pa.array([0, 1] * 6).cast(pa.decimal128(20, 0)), "has type decimal128(20, 0), expected"),
    "labels of dates": (PNG, pa.array([0, 1] * 6, pa.timestamp("s")), "has type timestamp[ms], expected whole numbers"),
    "labels of structs": (PNG, [{"a": 1}] * 12, "expected whole numbers or strings"),
    "labels of lists": (PNG, [["a"], ["b"]] * 6, "expected whole numbers or strings"),
    "labels of ragged lists": (PNG, [[0], [1, 0]] * 6, "expected whole numbers or strings"),
    "labels of two flags": (PNG, [[0, 1], [1, 1]] * 6, "whose rows are not one-hot; where several flags may hold"),
    "bytes that are no text": (PNG, [b"\xff", b"a"] * 6, "a label is bytes that are not UTF-8"),
    "labels of nan": (PNG, [0.0, float("nan")] * 6, "label 1 is nan"),
    "labels of halves": (PNG, [0.0, 0.5] * 6, "expected whole-number labels, got 0.5"),
    "hidden labels": (PNG, [-1] * 12, "leave out a split whose labels are hidden (-1)"),
    "whole floats": (PNG, [0.0, 1.0] * 6, None),
    "flags": (PNG, [False, True] * 6, None),
    "small numbers": (PNG, pa.array([0, 1] * 6, pa.uint8()), None),
    "half floats": (PNG, pa.array(np.array([0, 1] * 6, np.float16)), None),
    "text views": (PNG, pa.array(["0", "1"] * 6, pa.string_view()), None),
    "bytes of digits": (PNG, [b"0", b"1"] * 6, None),
}  # fmt: skip


@pytest.mark.malformed
@pytest.mark.parametrize("case", TABLES)
@pytest.mark.parametrize("memory_gb", [None, 0])
def test_malformed_tables_are_told_or_read_right(case, memory_gb, tmp_path, made, prepare):
    images, labels, message = TABLES[case]
    pictures = made.pictures(12)
    path = made.write_parquet(
        tmp_path / "case.parquet",
        images=[made.encoded(image) for image in pictures] if isinstance(images, str) else images,
        labels=labels,
    )
    if message is None:
        data = prepare(source="parquet", train=str(path), memory_gb=memory_gb)
        assert np.array_equal(data.train.images[np.arange(12)], pictures)
        assert data.train.labels["label"].tolist() == [0, 1] * 6
        return
    with pytest.raises(DataError) as caught:
        prepare(source="parquet", train=str(path), memory_gb=memory_gb)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"label": [0, 1] * 6}, "has no single column 'image', its columns are ['label']"),
        ({"image": PNG}, "has no single column 'label', its columns are ['image']"),
        ({"image": [[[1]]] * 12, "label": [0, 1] * 6}, "and in"),
        ({"image": [1] * 12, "label": [0, 1] * 6}, "has type int64, expected bytes of encoded images"),
        ({"image": PNG, "label": ["0", "1"] * 6}, "the labels are text, those of"),
        (None, "is not a whole Parquet file"),
    ],
)
def test_a_part_unlike_the_first_is_named(other, message, tmp_path, made, prepare):
    pictures = [made.encoded(image) for image in made.pictures(12)]
    made.write_parquet(tmp_path / "0.parquet", images=pictures, labels=[0, 1] * 6)
    if other is None:
        (tmp_path / "1.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    else:
        other = {name: pictures if isinstance(values, str) else values for name, values in other.items()}
        pq.write_table(pa.table(other), tmp_path / "1.parquet")
    with pytest.raises(DataError) as caught:
        prepare(source="parquet", train=str(tmp_path / "*.parquet"))
    assert message in str(caught.value)
    assert f"{tmp_path}/1.parquet" in str(caught.value)


@pytest.mark.malformed
@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"info": 3}',
        json.dumps({"info": {"features": {"label": {"names": 3}}}}).encode(),
        b"\xff",
    ],
)
def test_odd_metadata_gives_no_names_and_no_error(metadata, tmp_path, made, prepare):
    table = pa.table({"image": [made.encoded(image) for image in made.pictures(12)], "label": [0, 1] * 6})
    pq.write_table(table.replace_schema_metadata({b"huggingface": metadata}), tmp_path / "a.parquet")
    data = prepare(source="parquet", train=str(tmp_path / "a.parquet"))
    assert data.info.task.targets[0].class_names == ("0", "1")


def test_there_are_more_than_a_hundred_cases():
    assert len(ARCHIVES) + len(TABLES) > 100
