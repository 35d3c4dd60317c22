"""Samples of any depth become 0 to 255 by one range for all splits."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from trainables.errors import DataError

ROWS = np.arange(8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def tiff(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def wide(count=8, *, low=127, high=2191, dtype=np.uint16, shape=(12, 10), seed=0):
    pixels = np.random.default_rng(seed).integers(low, high + 1, (count, *shape)).astype(dtype)
    pixels[0, 0, 0], pixels[0, 0, 1] = low, high
    return pixels


def between(pixels, low, high):
    return np.rint((pixels.astype(np.float64) - low) * 255.0 / (high - low)).clip(0, 255).astype(np.uint8)


def folder(root, contents, *, suffix, split="train"):
    contents = list(contents)
    for row, content in enumerate(contents):
        name = ("cat", "dog")[row * 2 // len(contents)]
        (root / "photos" / split / name).mkdir(parents=True, exist_ok=True)
        (root / "photos" / split / name / f"{row:02}.{suffix}").write_bytes(content)
    return root / "photos"


def both_storages(prepare, **fields):
    """Prepares decoded and streamed, and returns the decoded data set and all its stored training images."""
    decoded, streamed = prepare(**fields), prepare(**fields, memory_gb=0)
    assert streamed.info.storage == "encoded"
    for split in ("train", "validation", "test"):
        one, other = getattr(decoded, split).images, getattr(streamed, split).images
        assert np.array_equal(other[np.arange(len(one))], one)
    assert decoded.info.fingerprint == streamed.info.fingerprint
    assert decoded.info.pixel_rule == streamed.info.pixel_rule
    return decoded, np.asarray(decoded.train.images)


@pytest.mark.parametrize("write", [png, tiff, lambda image: tiff(image, compression="zlib")])
def test_twelve_bits_in_sixteen_use_all_grey_levels_by_the_training_range(write, tmp_path, prepare):
    train, test = wide(), wide(low=0, high=4095, seed=1)
    folder(tmp_path, map(write, train), suffix="png")
    folder(tmp_path, map(write, test), suffix="png", split="test")
    data, images = both_storages(prepare, source="images", path=str(tmp_path / "photos"))
    assert np.array_equal(images[..., 0], between(train, 127, 2191))
    assert np.array_equal(data.test.images[..., 0], between(test, 127, 2191))
    assert data.info.pixel_rule.wide == (127, 2191)
    assert "whole numbers from 127 to 2191: 127 to 2191 become 0 to 255 in all splits, and what" in " ".join(
        data.info.notes
    )


@pytest.mark.parametrize("write", [png, tiff])
def test_sixteen_bits_that_are_used_stay_as_they_were(write, tmp_path, prepare):
    train = wide(low=0, high=65535)
    folder(tmp_path, map(write, train), suffix="png")
    _, images = both_storages(prepare, source="images", path=str(tmp_path / "photos"))
    assert np.array_equal(images[..., 0], (train.astype(np.uint32) + 128) // 257)


@pytest.mark.parametrize("write", [
    lambda image: tiff(image, photometric="rgb"),
    lambda image: tiff(image, photometric="rgb", compression="lzw", byteorder=">"),
])  # fmt: skip
def test_twelve_bits_of_colour_use_all_levels(write, tmp_path, prepare):
    train = wide(low=0, high=4095, shape=(12, 10, 3))
    folder(tmp_path, map(write, train), suffix="tif")
    _, images = both_storages(prepare, source="images", path=str(tmp_path / "photos"))
    assert np.array_equal(images, between(train, 0, 4095))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colour_png_of_sixteen_bits_keeps_both_bytes(channels, tmp_path, prepare):
    cv2 = pytest.importorskip("cv2")
    train = wide(low=0, high=4095, shape=(12, 10, channels))
    train[..., -1] = train[..., -1] if channels == 3 else 65535

    def write(image):
        if channels == 2:
            return grey_alpha_png(image)
        order = [2, 1, 0, 3][:channels]
        return cv2.imencode(".png", np.ascontiguousarray(image[..., order]))[1].tobytes()

    folder(tmp_path, map(write, train), suffix="png")
    _, images = both_storages(prepare, source="images", path=str(tmp_path / "photos"))
    colours = train[..., :1] if channels == 2 else train[..., :3]
    assert images.shape[3] == colours.shape[3]
    assert np.array_equal(images, between(colours, colours.min(), 4095))


def grey_alpha_png(image):
    """Writes PNG of grey with alpha and 16 bits, which neither Pillow nor OpenCV writes."""
    import struct
    import zlib

    height, width, _ = image.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)
    head = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_signed_and_large_whole_numbers_are_scaled_from_their_own_range(tmp_path, prepare):
    for number, (dtype, low, high) in enumerate(
        [(np.int16, -1024, 3071), (np.int32, -5, 100_000), (np.uint32, 4_000_000_000, 4_000_009_000)]
    ):
        train = wide(low=low, high=high, dtype=np.int64).astype(dtype)
        folder(tmp_path / str(number), map(tiff, train), suffix="tif")
        _, images = both_storages(prepare, source="images", path=str(tmp_path / str(number) / "photos"))
        assert np.array_equal(images[..., 0], between(train, low, high))


def test_white_is_zero_is_turned_over_in_sixteen_bits_as_in_eight(tmp_path, prepare):
    for depth, dtype in ((8, np.uint8), (16, np.uint16)):
        train = wide(low=0, high=2**depth - 1, dtype=dtype)
        contents = [tiff(image, photometric="miniswhite") for image in train]
        folder(tmp_path / str(depth), contents, suffix="tif")
        _, images = both_storages(prepare, source="images", path=str(tmp_path / str(depth) / "photos"))
        assert np.array_equal(images[..., 0], 255 - between(train, 0, 2**depth - 1))


def test_floats_of_tiff_are_read_from_zero_to_one_or_by_the_range_of_the_study(tmp_path, prepare):
    train = np.random.default_rng(0).random((8, 12, 10)).astype(np.float32)
    folder(tmp_path / "unit", map(tiff, train), suffix="tif")
    _, images = both_storages(prepare, source="images", path=str(tmp_path / "unit" / "photos"))
    assert np.array_equal(images[..., 0], between(train, 0, 1))
    folder(tmp_path / "wide", map(tiff, train * 50 - 10), suffix="tif")
    with pytest.raises(DataError, match=r"8 of 8 images cannot be used:\n(.|\n)*expected float pixels in 0\.\.1, got"):
        prepare(source="images", path=str(tmp_path / "wide" / "photos"))
    fields = {"source": "images", "path": str(tmp_path / "wide" / "photos"), "pixel_range": (-10, 40)}
    _, images = both_storages(prepare, **fields)
    assert np.array_equal(images[..., 0], between(train * 50 - 10, -10, 40))


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 1), (np.int64, 1), (np.uint8, 16), (np.uint16, 16)])
def test_dim_whole_numbers_of_arrays_and_files_become_0_to_255(dtype, top, tmp_path, prepare):
    train = wide(low=0, high=top, dtype=dtype)
    np.savez(tmp_path / "a.npz", x=train, y=ROWS % 2)
    data = prepare(source="npz", path=str(tmp_path / "a.npz"))
    assert np.array_equal(data.train.images[..., 0], between(train, 0, top))
    assert f"0 to {top} become 0 to 255 in all splits" in " ".join(data.info.notes)
    if dtype != np.int64:
        folder(tmp_path / "files", map(png, train), suffix="png")
        _, images = both_storages(prepare, source="images", path=str(tmp_path / "files" / "photos"))
        assert np.array_equal(images[..., 0], between(train, 0, top))
    full = prepare(source="npz", path=str(tmp_path / "a.npz"), pixel_range="full", allow_overlap=True)
    assert full.info.pixel_rule.byte == (0, 255)
    assert np.asarray(full.train.images).max() == (top if dtype == np.uint8 else 0)


def test_one_bright_picture_of_eight_bits_keeps_all_as_they_are(tmp_path, prepare):
    train = wide(low=0, high=1, dtype=np.uint8)
    train[-1, 0, 0] = 17
    folder(tmp_path, map(png, train), suffix="png")
    data, images = both_storages(prepare, source="images", path=str(tmp_path / "photos"))
    assert np.array_equal(images[..., 0], train)
    assert "become 0 to 255" not in " ".join(data.info.notes)


def test_splits_of_other_ranges_are_refused_where_training_is_dim(tmp_path, prepare):
    train = wide(low=0, high=1, dtype=np.uint8)
    folder(tmp_path, map(png, train), suffix="png")
    folder(tmp_path, map(png, train * 255), suffix="png", split="test")
    with pytest.raises(DataError, match="has pixels up to 255, but those of the training images end at 1"):
        prepare(source="images", path=str(tmp_path / "photos"))
    np.savez(tmp_path / "a.npz", x_train=train, y_train=ROWS % 2, x_test=train * 255, y_test=ROWS % 2)
    with pytest.raises(DataError, match=r"x_test: expected whole-number pixels in 0\.\.1, got 0\.\.255; set data"):
        prepare(source="npz", path=str(tmp_path / "a.npz"))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_arrays_beyond_8_bits_are_scaled_as_files_are(dtype, tmp_path, prepare, made):
    train, test = wide(dtype=dtype), wide(low=0, high=4095, dtype=dtype, seed=1)
    np.savez(tmp_path / "a.npz", x_train=train, y_train=ROWS % 2, x_test=test, y_test=ROWS % 2)
    data = prepare(source="npz", path=str(tmp_path / "a.npz"))
    assert np.array_equal(data.train.images[..., 0], between(train, 127, 2191))
    assert np.array_equal(data.test.images[..., 0], between(test, 127, 2191))
    parquet = made.write_parquet(tmp_path / "a.parquet", images=train.tolist(), labels=ROWS % 2)
    listed = prepare(source="parquet", train=str(parquet))
    assert np.array_equal(listed.train.images[..., 0], between(train, 127, 2191))


@pytest.mark.parametrize("pixel_range", [(0, 4095), (100.5, 900)])
def test_range_of_the_study_holds_for_every_depth_source_and_split(pixel_range, tmp_path, prepare):
    train = wide()
    np.savez(tmp_path / "a.npz", x=train, y=ROWS % 2)
    folder(tmp_path / "files", map(png, train), suffix="png")
    expected = between(train, *pixel_range)
    from_arrays = prepare(source="npz", path=str(tmp_path / "a.npz"), pixel_range=pixel_range)
    assert np.array_equal(from_arrays.train.images[..., 0], expected)
    _, images = both_storages(
        prepare, source="images", path=str(tmp_path / "files" / "photos"), pixel_range=pixel_range
    )
    assert np.array_equal(images[..., 0], expected)
    bytes_of = {
        "source": "images",
        "path": str(folder(tmp_path / "eight", map(png, train.astype(np.uint8)), suffix="png")),
    }
    _, images = both_storages(prepare, **bytes_of, pixel_range=(10, 200))
    assert np.array_equal(images[..., 0], between(train.astype(np.uint8), 10, 200))


def test_files_of_8_and_16_bits_are_scaled_each_by_its_own_depth_and_named(tmp_path, prepare):
    train = wide()
    eight = train[:4].astype(np.uint8)
    folder(tmp_path, [*map(png, eight), *map(png, train[4:])], suffix="png")
    data, images = both_storages(prepare, source="images", path=str(tmp_path / "photos"))
    low, high = train[4:].min(), train[4:].max()
    assert np.array_equal(images[:4, ..., 0], eight)
    assert np.array_equal(images[4:, ..., 0], between(train[4:], low, high))
    assert "4 of 8 images have more than 8 bits a sample and the others 8" in " ".join(data.info.notes)


@pytest.mark.parametrize("low_high", [(5, 5), (9, 1)])
def test_empty_range_is_refused_before_any_file_is_read(low_high, prepare):
    with pytest.raises(ValueError, match=r"pixel_range: expected \[low, high\], low below high, got"):
        prepare(source="digits", pixel_range=low_high)
