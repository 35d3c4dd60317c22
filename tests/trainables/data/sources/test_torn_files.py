"""Files that a copy or a download left torn, in every format: a sentence that names the file, or what it held."""

import gzip
import io
import struct
import tarfile

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

from trainables.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::UserWarning:pydicom")

COLOURS = np.random.default_rng(5).integers(0, 256, (12, 23, 31, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]
LABELS = np.arange(12) % 2


def saved(suffix, pixels=COLOURS[0], **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, suffix, **options)
    return buffer.getvalue()


def tiff(pixels=COLOURS[0], **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def dicom(*, is_packed):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    file.Rows, file.Columns = GREY.shape[1:]
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
    file.PixelData = (GREY[0].astype("<u2") * 16).tobytes()
    if is_packed:
        file.compress(RLELossless)
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


PICTURES = {
    "png": saved("PNG"),
    "16.png": saved("PNG", GREY[0].astype(np.uint16) * 257),
    "palette.png": saved("PNG", COLOURS[0] // 128 * 255),
    "jpg": saved("JPEG"),
    "progressive.jpg": saved("JPEG", progressive=True),
    "webp": saved("WEBP"),
    "lossless.webp": saved("WEBP", lossless=True),
    "avif": saved("AVIF"),
    "tif": saved("TIFF"),
    "lzw.tif": saved("TIFF", compression="tiff_lzw"),
    "tiles.tif": tiff(compression="zlib", tile=(16, 16), photometric="rgb"),
    "big.tif": tiff(bigtiff=True, photometric="rgb"),
    "float.tif": tiff(GREY[0].astype(np.float32) / 255),
    "gif": saved("GIF"),
    "bmp": saved("BMP"),
    "ppm": saved("PPM"),
    "tga": saved("TGA"),
    "jp2": saved("JPEG2000"),
    "dcm": dicom(is_packed=False),
    "packed.dcm": dicom(is_packed=True),
}


def npz(save):
    buffer = io.BytesIO()
    save(buffer, x=GREY, y=LABELS)
    return buffer.getvalue()


def parquet(compression):
    buffer = io.BytesIO()
    table = pa.table({"image": [saved("PNG", image) for image in GREY], "label": LABELS})
    pq.write_table(table, buffer, compression=compression)
    return buffer.getvalue()


def tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for row, label in enumerate(LABELS):
            for end, content in (("cls", str(label).encode()), ("png", saved("PNG", GREY[row]))):
                entry = tarfile.TarInfo(f"{row:02}.{end}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def field(number, content):
    size, length = len(content), b""
    while size >= 128:
        length, size = length + bytes([size % 128 + 128]), size // 128
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def example(image, label):
    entries = {b"image": field(1, field(1, image)), b"label": field(3, field(1, bytes([label])))}
    return field(1, b"".join(field(1, field(1, name) + field(2, value)) for name, value in entries.items()))


def checksum(content):
    value = google_crc32c.value(content)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def tfrecord():
    records = [example(saved("PNG", image), label) for image, label in zip(GREY, LABELS.tolist(), strict=True)]
    lengths = [struct.pack("<Q", len(content)) for content in records]
    return b"".join(
        length + checksum(length) + content + checksum(content)
        for length, content in zip(lengths, records, strict=True)
    )


def idx():
    return struct.pack(">4i", 2051, *GREY.shape) + GREY.tobytes()


CIFAR = np.random.default_rng(6).integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)


def cifar():
    return np.concatenate([LABELS[:, None].astype(np.uint8), CIFAR.reshape(12, -1)], axis=1).tobytes()


def packed(content):
    return gzip.compress(content, mtime=0)


#: By the file's name: its source and field, its content, and what lies beside it.
CONTAINERS = {
    "stored.npz": ("npz", "path", npz(np.savez)),
    "deflated.npz": ("npz", "path", npz(np.savez_compressed)),
    "plain.parquet": ("parquet", "train", parquet("none")),
    "snappy.parquet": ("parquet", "train", parquet("snappy")),
    "zstd.parquet": ("parquet", "train", parquet("zstd")),
    "a.tar": ("webdataset", "train", tar()),
    "a.tar.gz": ("webdataset", "train", packed(tar())),
    "a.tfrecord": ("tfrecord", "train", tfrecord()),
    "a.tfrecord.gz": ("tfrecord", "train", packed(tfrecord())),
    "train-images-idx3-ubyte": ("idx", "train", idx()),
    "train-images-idx3-ubyte.gz": ("idx", "train", packed(idx())),
    "data_batch_1.bin": ("cifar_binary", "path", cifar()),
    "train.csv.gz": ("csv", "train", packed(b"image,label\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in range(12)))),
}


def half(content):
    return content[: len(content) // 2 + 1]


def most(content):
    return content[: int(len(content) * 0.9)]


def all_but_one(content):
    return content[:-1]


def without_begin(content):
    return bytes(4) + content[4:]


def web_page(content):
    return b"<!DOCTYPE html><html><body>404</body></html>".ljust(len(content))


def pointer(content):
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize %d\n" % len(content)


@pytest.mark.malformed
@pytest.mark.parametrize("tear", [half, all_but_one, without_begin, web_page])
@pytest.mark.parametrize("name", PICTURES)
def test_a_torn_picture_is_named_or_whole(name, tear, tmp_path, made, prepare):
    folder = made.write_folders(tmp_path / "photos", each=2)
    fields = {"source": "images", "path": str(folder), "image_size": (8, 6), "channels": 3}
    file = folder / "dog" / f"torn.{name}"
    file.write_bytes(tear(PICTURES[name]))
    try:
        torn = prepare(**fields)
    except DataError as exc:
        message = str(exc)
    else:
        assert tear in (all_but_one, without_begin)
        file.write_bytes(PICTURES[name])
        assert np.array_equal(torn.train.images, prepare(**fields).train.images)
        return
    assert str(file) in message
    assert "at 0x" not in message


def write_container(folder, name, content):
    """Writes a file with what belongs to it, and returns the data section."""
    source, key, _ = CONTAINERS[name]
    (folder / name).write_bytes(content)
    if source == "idx":
        labels = struct.pack(">2i", 2049, 12) + LABELS.astype(np.uint8).tobytes()
        (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    if source == "csv":
        for row in range(12):
            (folder / f"{row}.png").write_bytes(saved("PNG", GREY[row]))
    return {"source": source, key: str(folder if source == "cifar_binary" else folder / name)}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_container_gives_its_pixels_and_labels(name, tmp_path, prepare):
    demand_all(name, prepare(**write_container(tmp_path, name, CONTAINERS[name][2])))


def demand_all(name, data):
    """Asserts that all pixels and labels of a container were read."""
    expected = CIFAR.transpose(0, 2, 3, 1) if name.endswith(".bin") else GREY[..., np.newaxis]
    assert np.array_equal(data.train.images, expected)
    assert np.array_equal(data.train.labels["label"], LABELS)


#: Bytes of CIFAR's records are pixels and labels, whatever they are.
CASES = [
    (name, tear)
    for name in CONTAINERS
    for tear in (half, most, all_but_one, without_begin, pointer)
    if (name, tear) != ("data_batch_1.bin", without_begin)
]


@pytest.mark.malformed
@pytest.mark.parametrize(("name", "tear"), CASES)
def test_a_torn_container_is_named_or_whole(name, tear, tmp_path, prepare):
    content = CONTAINERS[name][2]
    try:
        torn = prepare(**write_container(tmp_path, name, tear(content)))
    except DataError as exc:
        message = str(exc)
    else:
        # A tar ends in zeros; some archives hold nothing in their first or last bytes.
        assert tear in (all_but_one, without_begin) or (name, tear) == ("a.tar", most)
        demand_all(name, torn)
        return
    assert str(tmp_path / name) in message
    assert "at 0x" not in message
