"""Pages, frames and samples beside the first are read, refused or named; bad files are named all at once."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from trainables.errors import DataError

ROWS = np.arange(8)


def tiff(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def pages(count, *, number=0, dtype=np.uint8):
    top = 256 if dtype == np.uint8 else 4096
    generator = np.random.default_rng([count, number])
    return generator.integers(0, top, (count, 12, 10)).astype(dtype)


@pytest.fixture
def prepare_bytes(tmp_path, prepare, made):
    def run(contents, **fields):
        path = made.write_parquet(tmp_path / "a.parquet", images=list(contents), labels=np.arange(len(contents)) % 2)
        both = [
            prepare(source="parquet", train=str(path), allow_overlap=True, **fields, **more)
            for more in ({}, {"memory_gb": 0})
        ]
        images = np.asarray(both[0].train.images)
        assert np.array_equal(both[1].train.images[np.arange(len(images))], images)
        assert both[0].info.fingerprint == both[1].info.fingerprint
        return images, both[0].info

    return run


@pytest.mark.parametrize("count", [2, 3, 5])
def test_tiff_of_several_pages_is_refused_with_the_keys_that_read_it(count, prepare_bytes):
    with pytest.raises(DataError) as caught:
        prepare_bytes([tiff(pages(count, number=number), photometric="minisblack") for number in ROWS])
    assert f"a.parquet row 0: is a TIFF of {count} pages, expected one" in str(caught.value)
    assert "set data.pages: first to read the first page of each file, or data.pages: channels" in str(caught.value)


def test_first_page_is_read_and_the_others_named(prepare_bytes):
    made = [pages(2 + number % 3, number=number) for number in ROWS]
    images, info = prepare_bytes([tiff(stack, photometric="minisblack") for stack in made], pages="first")
    assert np.array_equal(images[..., 0], np.stack([stack[0] for stack in made]))
    assert "8 of 8 images" in " ".join(info.notes)
    assert "have more than one page; the first is used (data.pages: first)" in " ".join(info.notes)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_three_pages_are_the_channels_of_one_image(dtype, prepare_bytes):
    made = [pages(3, number=number, dtype=dtype) for number in ROWS]
    images, info = prepare_bytes([tiff(stack, photometric="minisblack") for stack in made], pages="channels")
    stacked = np.stack(made).transpose(0, 2, 3, 1)
    low, high = (0, 255) if dtype == np.uint8 else (stacked.min(), stacked.max())
    expected = np.rint((stacked.astype(float) - low) * 255 / (high - low)).astype(np.uint8)
    assert np.array_equal(images, expected)
    assert "have three pages, which are the channels of one image" in " ".join(info.notes)


def test_other_numbers_of_pages_cannot_be_channels(prepare_bytes):
    with pytest.raises(DataError, match="is a TIFF of 2 pages, expected 1 or 3 to read as channels"):
        prepare_bytes([tiff(pages(2), photometric="minisblack")] * 8, pages="channels")
    with pytest.raises(DataError, match="has a page of mode RGB, expected three grey pages"):
        prepare_bytes([tiff(np.zeros((3, 12, 10, 3), np.uint8), photometric="rgb")] * 8, pages="channels")


def test_thumbnail_beside_a_page_is_no_page(prepare_bytes):
    def with_thumbnail(number):
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as writer:
            writer.write(pages(1, number=number)[0], photometric="minisblack")
            writer.write(np.zeros((3, 2), np.uint8), photometric="minisblack", subfiletype=1)
        return buffer.getvalue()

    images, _ = prepare_bytes([with_thumbnail(number) for number in ROWS])
    assert np.array_equal(images[..., 0], np.stack([pages(1, number=number)[0] for number in ROWS]))


@pytest.mark.parametrize("suffix", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_animations_is_used_and_the_others_named(suffix, prepare_bytes):
    def animation(number):
        frames = [Image.fromarray(page) for page in pages(3, number=number)]
        buffer = io.BytesIO()
        options = {"lossless": True} if suffix == "WEBP" else {}
        frames[0].save(buffer, suffix, save_all=True, append_images=frames[1:], **options)
        return buffer.getvalue()

    images, info = prepare_bytes([animation(number) for number in ROWS], channels=1)
    assert np.array_equal(images[..., 0], np.stack([pages(3, number=number)[0] for number in ROWS]))
    assert "8 of 8 images" in " ".join(info.notes)
    assert "have more than one frame; the first is used" in " ".join(info.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff(np.zeros((9, 9), np.int8)), "is a TIFF of 8-bit signed whole numbers, which are read as if they had no"),
        (tiff(np.zeros((9, 9), np.float16)), "is a TIFF of 16-bit floats, which cannot be read\nOf each: save"),
        (tiff(np.zeros((9, 9), np.float64)), "is a TIFF of 64-bit floats, which cannot be read"),
        (tiff(np.zeros((9, 9, 5), np.uint16), photometric="minisblack", planarconfig="contig"),
         "is a TIFF of 5 samples a pixel, 16-bit whole numbers, which cannot be read"),
        (tiff(np.zeros((9, 9, 2), np.uint8), photometric="minisblack", planarconfig="contig"),
         "is a TIFF of 2 samples a pixel, 8-bit whole numbers, of which the first alone would be read"),
        (tiff(np.zeros((3, 9, 9), np.uint16), photometric="rgb", planarconfig="separate"),
         "is a TIFF of 3 samples a pixel, 16-bit whole numbers, in planes of their own, which cannot be read"),
        (tiff(np.zeros((3, 9, 9), np.uint16), photometric="rgb", planarconfig="separate", compression="zlib"),
         "in planes of their own, which cannot be read"),
        (tiff(np.zeros((9, 9), np.complex64)), "is a TIFF of 64-bit complex floats, which cannot be read"),
    ],
)  # fmt: skip
def test_tiff_that_would_lose_samples_is_refused_in_true_words(content, message, prepare_bytes):
    with pytest.raises(DataError) as caught:
        prepare_bytes([content] * 2)
    assert message in str(caught.value)


def test_samples_beside_colour_are_left_out_and_named(prepare_bytes):
    made = np.random.default_rng(0).integers(0, 256, (8, 12, 10, 4), dtype=np.uint8)
    images, info = prepare_bytes([tiff(image, photometric="rgb", extrasamples=[0]) for image in made])
    assert np.array_equal(images, made[..., :3])
    assert "have samples beside grey or RGB and alpha; they are left out" in " ".join(info.notes)


def test_all_bad_files_are_named_in_one_error(tmp_path, prepare, made):
    root = made.write_folders(tmp_path / "photos", each=20)
    for number in range(13):
        (root / "cat" / f"{number:03}.png").write_bytes(b"no picture" if number % 2 else b"")
    with pytest.raises(DataError) as caught:
        prepare(source="images", path=str(root))
    first, *lines = str(caught.value).splitlines()
    assert first == "data: 13 of 40 images cannot be used:"
    assert lines[0] == f"  {root}/cat/000.png: cannot be read as an image: the file is empty"
    assert lines[1] == f"  {root}/cat/001.png: cannot be read as an image: it is not a whole image in a known format"
    assert lines[10:] == ["  and 3 more", "Of each: replace or remove it"]


def test_all_torn_files_are_named_in_one_error(tmp_path, prepare, made):
    root = made.write_folders(tmp_path / "photos")
    for number in (1, 4):
        path = root / "dog" / f"{number:03}.png"
        path.write_bytes(path.read_bytes()[:90])
    for more in ({}, {"memory_gb": 0}):
        with pytest.raises(DataError) as caught:
            prepare(source="images", path=str(root), **more)
        first, *lines = str(caught.value).splitlines()
        assert first == "data: 2 of 12 images cannot be used:"
        assert [line.split(":")[0] for line in lines[:2]] == [f"  {root}/dog/001.png", f"  {root}/dog/004.png"]
        assert not list((tmp_path / "cache").glob("*building*"))
