"""Damaged and odd shards are refused with the file's name, the record's, and how to mend it."""

import gzip
import io
import struct
import sys
import tarfile

import google_crc32c
import pytest

from trainables.data.records.tf_frames import frames
from trainables.errors import DataError

PNG = None  # stands for an image in the files below


@pytest.fixture
def refused(tmp_path, prepare):
    """Prepares a file of a source and returns the error, without the test's own folder."""

    def run(content, *, source, name, **fields):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as caught:
            prepare(source=source, train=str(tmp_path / name), **fields)
        assert f"{tmp_path}/{name}" in str(caught.value)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return run


def tar(files, *, made, form=tarfile.PAX_FORMAT):
    image = made.encoded(made.pictures(1)[0])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            data = image if content is PNG else content.encode() if isinstance(content, str) else content
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def good(count=4):
    return [(f"{row}.{end}", content) for row in range(count) for end, content in (("cls", str(row % 2)), ("png", PNG))]


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            [("img_0.5.png", PNG), ("img_0.7.png", PNG)],
            "a.tar: img_0: expected one image 'image', its files are ['img_0.5.png', 'img_0.7.png']; the format cuts a "
            "file's name at its first dot: rename files such as img_0.5.png to have one dot, or name the field: ima",
        ),
        ([("img_0.5.png", PNG), ("img_0.5.cls", "1")], "rename files such as img_0.5.png to have one dot"),
        ([*good(), ("9.cls", "1")], "a.tar: 9: expected one image 'image', got 0, its files are ['9.cls']; give"),
        ([*good(), ("9.cls", "1"), ("9.npy", "x")], "got 0, its files are ['9.cls', '9.npy']"),
        ([("0.png", PNG), ("0.jpg", PNG), ("0.cls", "1")], "a.tar: 0: expected one image 'image', got 2, its files"),
        ([*good(), ("9.png", PNG)], "a.tar: 9: has no label 'label', its files are ['9.png']; add a file .cls to"),
        ([*good(), ("9.png", PNG), ("9.json", "{}")], "a.tar: 9: has no label 'label', its files are ['9.json', '9."),
        ([*good(), ("9.png", PNG), ("9.cls", "")], "a.tar: 'label': record 4 has no label, got ''; label it or"),
        ([*good(), ("9.png", PNG), ("9.json", '{"label": null}')], "record 4 has no label, got None"),
        ([*good(), ("9.png", PNG), ("9.json", "{")], "a.tar: 9: 9.json: cannot be read as text or JSON"),
        ([*good(), ("9.png", PNG), ("9.json", "[" * 99999)], "a.tar: 9: 9.json: cannot be read as text or JSON"),
        ([*good(), ("9.png", PNG), ("9.cls", b"\xff\xfe")], "a.tar: 9: 9.cls: cannot be read as text or JSON"),
        ([*good(), ("9.png", PNG), ("9.json", '{"label": 1}')], "record 4 has the label 1, record 0 has '0'; write"),
        ([*good(), ("9.png", PNG), ("9.json", '{"label": {"a": 1}}')], "record 4 has the label {'a': 1}, record 0 has"),
        ([*good(), ("0.txt", "late")], "a.tar: the files of 0 are not neighbours, 0.txt comes later; write the"),
        ([*good(), ("9.png", PNG), ("9.PNG", PNG)], "a.tar: 9.png and 9.PNG are both in the archive; keep one"),
        ([*good(), ("9.png", b"no image"), ("9.cls", "1")], "a.tar: 9: cannot be read as an image"),
        ([*good(), ("9.png", b""), ("9.cls", "1")], "a.tar: 9: cannot be read as an image"),
        ([("README", "x")], "a.tar: the split is empty"),
        ([], "a.tar: the split is empty"),
        ([(f"{row}.{end}", value) for row in range(4) for end, value in (("png", PNG), ("cls", "1"))], "only 1 in 4"),
    ],
)  # fmt: skip
def test_examples_that_lack_or_double_something_are_refused(files, message, made, refused):
    assert message in refused(tar(files, made=made), source="webdataset", name="a.tar")


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: b"", "a.tar: is not a whole tar archive"),
        (lambda whole: b"no archive", "a.tar: is not a whole tar archive"),
        (lambda whole: whole[:700], "a.tar: is not a whole tar archive: unexpected end of data"),
        (lambda whole: whole[:1700], "a.tar: is not a whole tar archive: unexpected end of data; copy or write"),
        (lambda whole: whole[:1024], "a.tar: has no end mark: it is cut off, or its writer did not close it; write it"),
        (lambda whole: gzip.compress(whole[:1024], mtime=0), "a.tar: has no end mark: it is cut off"),
        # tarfile takes a damaged header, or an end mark before the end, for the end of the archive.
        (lambda whole: whole[:1024] + b"\xff" * 512 + whole[1536:], "a.tar: the archive ends before byte 1024, where"),
        (lambda whole: whole[:1024] + bytes(1024) + whole[1024:], "the archive ends before byte 2048, where more"),
        (lambda whole: whole + whole, "two archives in one file; write it again, or join archives with tar --concat"),
        (lambda whole: gzip.compress(whole, mtime=0)[:-9], "a.tar: is not a whole tar archive"),
        (lambda whole: gzip.compress(whole, mtime=0)[:60], "a.tar: is not a whole tar archive"),
    ],
)
def test_damaged_archives_are_refused(damage, message, made, refused):
    assert message in refused(damage(tar(good(), made=made)), source="webdataset", name="a.tar")


@pytest.mark.malformed
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_archives_are_refused(kind, made, refused):
    buffer = io.BytesIO(tar(good(), made=made))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        entry = tarfile.TarInfo("9.png")
        entry.type, entry.linkname = kind, "0.png"
        archive.addfile(entry)
    message = refused(buffer.getvalue(), source="webdataset", name="a.tar")
    assert "a.tar: 9.png is a link or a device, expected files; write the archive again with copies" in message


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(**features):
    """Returns a tf.train.Example, written by hand: bytes or lists of whole numbers."""
    entries = b""
    for name, value in features.items():
        packed = b"" if isinstance(value, bytes) else b"".join(map(varint, value))
        listed = field(1, field(1, value)) if isinstance(value, bytes) else field(3, field(1, packed))
        entries += field(1, field(1, name.encode()) + field(2, listed))
    return field(1, entries)


def masked(content):
    value = google_crc32c.value(content)
    return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content):
    length = struct.pack("<Q", len(content))
    return length + masked(length) + content + masked(content)


def good_record(made, row=0, **features):
    return record(example(**{"image": made.encoded(made.pictures(1, seed=row)[0]), "label": [row % 2], **features}))


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: b"no records at all", "a.tfrecord record 0: is no TFRecord file: the checksum of its length"),
        (lambda whole: b"short", "a.tfrecord record 0: is cut off inside its header; copy or write the file again"),
        (lambda whole: whole[:-1], "a.tfrecord record 3: is cut off"),
        (lambda whole: whole[:-7], "a.tfrecord record 3: is cut off"),
        (lambda whole: whole + b"\0\0\0", "a.tfrecord record 4: is cut off inside its header"),
        (lambda whole: whole + b"\xff" * 12, "a.tfrecord record 4: is damaged: the checksum of its length differs"),
        (lambda whole: whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], "record 0: is damaged: the checksum of"),
        (lambda whole: gzip.compress(whole, mtime=0)[:-9], "a.tfrecord: its compressed bytes are damaged or cut off"),
        (
            lambda whole: gzip.compress(whole, mtime=0)[:-8] + b"\0" * 8,
            "a.tfrecord: its compressed bytes are damaged or cut off",
        ),
        (lambda whole: whole + record(b"\xff\xff"), "a.tfrecord record 4: is no tf.train.Example"),
        (lambda whole: whole + record(b""), "a.tfrecord record 4: is no tf.train.Example with features (a Sequen"),
        (lambda whole: whole + record(field(2, b"")), "is no tf.train.Example with features (a SequenceExample?)"),
        (lambda whole: b"", "a.tfrecord: the split is empty"),
    ],
)
def test_damaged_records_are_refused(damage, message, made, refused):
    whole = b"".join(good_record(made, row) for row in range(4))
    assert message in refused(damage(whole), source="tfrecord", name="a.tfrecord")


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"image": b"no image"}, "a.tfrecord record 4: cannot be read as an image"),
        ({"image": b"1234", "height": [2], "width": [3]}, "has 4 bytes, which are no PNG or JPEG, and height 2"),
        ({"image": bytes(24), "height": [2], "width": [3], "depth": [4]}, "4 channels need 24 of 1 or 3 channels"),
        ({"image": b"", "height": [0], "width": [0]}, "has 0 bytes, which are no PNG or JPEG"),
        ({"image": [1, 2]}, "feature 'image' has 2 values of type int, expected one image as bytes; store it as PNG"),
        ({"label": []}, "a.tfrecord: 'label': record 4 has no label, got None; label it or remove the record"),
        ({"label": [1, 0]}, "record 4 has the label [1, 0], record 0 has 0; write all labels alike"),
        ({"label": b"dog"}, "record 4 has the label 'dog', record 0 has 0; write all labels alike"),
        ({"label": b"\xff"}, "a.tfrecord record 4: feature 'label' is no text in UTF-8; name another feature"),
    ],
)
def test_records_of_another_kind_than_the_others_are_refused(features, message, made, refused):
    whole = b"".join(good_record(made, row) for row in range(4)) + good_record(made, 4, **features)
    assert message in refused(whole, source="tfrecord", name="a.tfrecord")


@pytest.mark.malformed
def test_features_that_are_missing_are_named_with_those_there_are(made, refused):
    whole = good_record(made) + record(example(picture=b"", label=[1]))
    message = refused(whole, source="tfrecord", name="a.tfrecord")
    assert (
        "a.tfrecord record 1: has no feature 'image' or 'image/encoded' or 'image_raw', its features are ['l" in message
    )
    message = refused(whole, source="tfrecord", name="a.tfrecord", label_column="breed")
    assert "a.tfrecord record 0: has no feature 'breed', its features are ['image', 'label']; name one" in message


@pytest.mark.malformed
@pytest.mark.parametrize("content", [b"a\na\n", b"", b"\xff"])
def test_names_of_classes_that_cannot_be_are_refused(content, tmp_path, made, prepare):
    (tmp_path / "labels.txt").write_bytes(content)
    (tmp_path / "a.tfrecord").write_bytes(good_record(made) + good_record(made, 1))
    with pytest.raises(DataError, match=r"labels\.txt: (expected different class names|cannot be read as text)"):
        prepare(source="tfrecord", train=str(tmp_path / "a.tfrecord"))


def test_patterns_without_files_are_refused(tmp_path, prepare):
    for source, what in (("webdataset", "tar archive"), ("tfrecord", "TFRecord file")):
        for name in ("*.none", ""):
            with pytest.raises(DataError, match=f"data.train: no {what} matches {tmp_path}"):
                prepare(source=source, train=str(tmp_path / name))
        with pytest.raises(DataError, match=r"data\.train: cannot read .*nothing: No such file"):
            prepare(source=source, train=str(tmp_path / "nothing"))


def test_tfrecords_without_the_extra_name_it(tmp_path, made, monkeypatch):
    (tmp_path / "a.tfrecord").write_bytes(good_record(made))
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(DataError, match=r"needs google-crc32c; pip install 'convfleet\[tfrecord\]'"):
        list(frames(tmp_path / "a.tfrecord"))
