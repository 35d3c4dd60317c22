"""Masks are read as the class numbers that were written, or refused, and resized to the nearest pixel."""

import io

import numpy as np
import pytest
from PIL import Image

from trainables.data.formats.files import Encoded
from trainables.data.images.arrays import array_images
from trainables.data.images.masks import ArrayMasks, EncodedMasks, nearest, read_mask
from trainables.errors import DataError

NUMBERS = np.arange(12, dtype=np.uint8).reshape(3, 4) % 5


def written(picture, suffix="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, suffix, **options)
    return Encoded(where="mask", content=buffer.getvalue())


def palette(numbers):
    picture = Image.fromarray(numbers).convert("P")
    picture = Image.frombytes("P", picture.size, numbers.tobytes())
    picture.putpalette([200, 10, 10, 0, 255, 0, 9, 9, 9, 1, 2, 3, 90, 90, 255])
    return picture


@pytest.mark.parametrize("make", [Image.fromarray, palette])
def test_class_numbers_are_read_as_they_were_written(make):
    assert np.array_equal(read_mask(written(make(NUMBERS))), NUMBERS)


def test_a_palette_of_few_bits_keeps_its_numbers():
    assert np.array_equal(read_mask(written(palette(NUMBERS), bits=4)), NUMBERS)


def test_one_bit_is_black_and_white():
    flags = NUMBERS % 2 == 1
    assert np.array_equal(read_mask(written(Image.fromarray(flags))), flags * np.uint8(255))


def test_a_file_is_read_as_its_bytes_are(tmp_path):
    (tmp_path / "a.png").write_bytes(written(Image.fromarray(NUMBERS)).content)
    assert np.array_equal(read_mask(Encoded(where="a", content=tmp_path / "a.png")), NUMBERS)


def few_bits():
    """Returns a grey PNG of two bits, which Pillow does not write: by hand."""
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\x1b")) + chunk(b"IEND", b"")
    return Encoded(where="mask", content=b"\x89PNG\r\n\x1a\n" + parts)


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return written(Image.fromarray(NUMBERS), exif=exif)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: written(Image.fromarray(NUMBERS), "JPEG"), "got JPEG of mode 'L'; save class numbers as a grey or"),
        (lambda: written(Image.fromarray(np.zeros((3, 4, 3), np.uint8))), "got PNG of mode 'RGB'"),
        (lambda: written(Image.fromarray(np.zeros((3, 4), np.uint16))), "got PNG of mode 'I;16'"),
        (lambda: Encoded(where="mask", content=b"no image"), "the mask is not a whole image in a known format"),
        (few_bits, "the mask is a grey PNG of 2 bits, whose values programs scale"),
        (turned, "the mask is turned by its Exif orientation; save it upright"),
    ],
)
def test_what_may_not_be_class_numbers_is_refused(make, message):
    with pytest.raises(DataError) as caught:
        read_mask(make())
    assert message in str(caught.value)


@pytest.mark.parametrize("size", [(3, 4), (6, 8), (2, 3), (1, 1), (7, 5)])
def test_resizing_takes_the_pixel_under_the_middle(size):
    height, width = size
    mask = np.random.default_rng(1).integers(0, 200, (3, 4), dtype=np.uint8)
    rows = np.floor((np.arange(height) + 0.5) * 3 / height).astype(int)
    columns = np.floor((np.arange(width) + 0.5) * 4 / width).astype(int)
    assert np.array_equal(nearest(mask, height=height, width=width), mask[np.ix_(rows, columns)])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_arrays_give_their_numbers(dtype):
    array = np.random.default_rng(2).integers(0, 4, (5, 3, 4))
    masks = ArrayMasks(array.astype(dtype)[..., None], where="y")
    (batch,) = masks.batches(height=3, width=4)
    assert batch.dtype == np.uint8
    assert np.array_equal(batch, array)
    assert np.array_equal(masks.counts(), np.bincount(array.reshape(-1), minlength=256))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 3, 4, 2)), "got (5, 3, 4, 2); turn one-hot masks into class numbers: y.argmax(axis=-1)"),
        (np.zeros(5), "y: expected masks of shape (count, height, width)"),
        (np.full((5, 3, 4), 256), "expected class numbers from 0 to 255, got 256"),
        (np.full((5, 3, 4), -1), "expected class numbers from 0 to 255, got -1"),
        (np.full((5, 3, 4), 0.5), "expected class numbers from 0 to 255, got 0.5"),
        (np.full((5, 3, 4), np.nan), "expected class numbers from 0 to 255, got nan"),
        (np.full((5, 3, 4), "a"), "got dtype <U1"),
    ],
)
def test_arrays_without_class_numbers_are_refused(array, message):
    with pytest.raises(DataError) as caught:
        ArrayMasks(array, where="y").counts()
    assert message in str(caught.value)


def test_a_mask_of_another_size_than_its_image_is_refused():
    images = array_images(np.zeros((2, 4, 3), np.uint8), where="x")
    with pytest.raises(DataError, match=r"y: the mask has 3x4 pixels \(height x width\), its upright image 4x3; give"):
        ArrayMasks(np.zeros((2, 3, 4)), where="y").check(images)
    items = [written(Image.fromarray(NUMBERS))] * 2
    with pytest.raises(DataError, match=r"mask: the mask has 3x4 pixels .* its upright image x\[0\] 4x3"):
        EncodedMasks(count=2, items=lambda: items).check(images)
    with pytest.raises(DataError, match=r"there are 2 images but 3 masks"):
        ArrayMasks(np.zeros((3, 4, 3)), where="y").check(images)
