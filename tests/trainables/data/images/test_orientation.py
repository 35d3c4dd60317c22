"""Every picture is put upright once, in every container, from files and from bytes, decoded and streamed."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from trainables.data.formats.samples import read_header
from trainables.data.images.decode import Encoded, compact, decode
from trainables.data.images.images import Layout

#: What each orientation tag says of the stored rows and columns, in NumPy's words.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
MODES = {"L": (16, 32), "RGB": (16, 32, 3), "RGBA": (16, 32, 4), "I;16": (16, 32)}


def stored_pixels(mode):
    pixels = np.random.default_rng(7).integers(0, 256, MODES[mode], dtype=np.uint8)
    if mode == "RGBA":
        pixels[..., 3] = 255
    return pixels.astype(np.uint16) * 257 if mode == "I;16" else pixels


def saved(pixels, *, suffix, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, suffix, exif=exif, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "mode", "options"),
    [
        ("TIFF", "L", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGBA", {}),
        ("TIFF", "I;16", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "L", {"compression": "tiff_adobe_deflate"}),
        ("PNG", "L", {}),
        ("PNG", "I;16", {}),
        ("PNG", "RGBA", {}),
        ("WEBP", "RGB", {"lossless": True}),
    ],
)
def test_picture_is_turned_once_from_a_path_and_from_bytes(orientation, suffix, mode, options, tmp_path):
    stored = stored_pixels(mode)
    content = saved(stored, suffix=suffix, orientation=orientation, **options)
    (tmp_path / "x").write_bytes(content)
    upright = UPRIGHT[orientation](stored_pixels("L") if mode == "I;16" else stored)
    expected = upright[..., np.newaxis] if upright.ndim == 2 else upright[..., :3]
    height, width, channels = expected.shape
    layout = Layout(height=height, width=width, channels=channels)
    for place in (content, tmp_path / "x"):
        item = Encoded(where="x", content=place)
        assert read_header(item).size == (height, width)
        assert np.array_equal(decode(item, layout=layout), expected)
    kept, pixels = compact(item, layout=layout)
    assert np.array_equal(pixels, expected)
    assert np.array_equal(decode(Encoded(where="x", content=kept), layout=layout), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [8, 16])
def test_colour_tiff_of_tifffile_is_turned_once(orientation, depth):
    stored = stored_pixels("RGB")
    samples = stored if depth == 8 else stored.astype(np.uint16) * 257
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    expected = UPRIGHT[orientation](stored)
    layout = Layout(height=expected.shape[0], width=expected.shape[1], channels=3)
    assert np.array_equal(decode(Encoded(where="x", content=buffer.getvalue()), layout=layout), expected)


def test_grey_tiff_files_are_the_same_in_both_storages(tmp_path, prepare):
    stored = stored_pixels("L")
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for row in range(4):
            content = saved(stored + np.uint8(number), suffix="TIFF", orientation=6)
            (tmp_path / "photos" / name / f"{row}.tif").write_bytes(content)
    decoded = prepare(source="images", path=str(tmp_path / "photos"), allow_overlap=True)
    streamed = prepare(source="images", path=str(tmp_path / "photos"), allow_overlap=True, memory_gb=0)
    assert (decoded.info.storage, streamed.info.storage) == ("decoded", "encoded")
    assert np.array_equal(decoded.train.images[0, ..., 0], np.rot90(stored, -1))
    rows = np.arange(8)
    assert np.array_equal(streamed.train.images[rows], decoded.train.images[rows])
    assert streamed.info.fingerprint == decoded.info.fingerprint


def test_photos_of_jpeg_and_tiff_of_one_tag_have_one_size(tmp_path, prepare):
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :8] = 255
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for row, suffix in enumerate(("JPEG", "TIFF", "JPEG", "TIFF")):
            content = saved(stored, suffix=suffix, orientation=6)
            (tmp_path / "photos" / name / f"{row}.{suffix.lower()}").write_bytes(content)
    images = prepare(source="images", path=str(tmp_path / "photos"), allow_overlap=True).train.images
    assert images.shape[1:] == (32, 16, 3)
    assert (images[:, 2, -2] > 200).all()
    assert images[:, 2, 2].max() < 50
