"""Small JPEGs decoded past Pillow have Pillow's bits, in any encoding; what is odd about one is left to Pillow."""

import io

import numpy as np
import pytest
from PIL import Image

from trainables.data.formats import jpeg
from trainables.data.formats.jpeg import jpeg_header, jpeg_pixels, jpegs_are_direct
from trainables.data.formats.samples import read_header
from trainables.data.images.decode import Encoded, decode
from trainables.data.images.images import Layout


def picture(number, *, mode, size=None):
    generator = np.random.default_rng([11, number])
    height, width = size or generator.integers(1, 70, 2)
    kind = number % 3
    pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind:
        small = Image.fromarray(pixels).resize((max(1, width // 7), max(1, height // 7)))
        pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC if kind == 1 else 0))
    return Image.fromarray(pixels).convert(mode)


def saved(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def pillow(content, mode):
    return np.asarray(Image.open(io.BytesIO(content)).convert(mode))


def test_this_environment_decodes_small_jpegs_directly():
    assert jpegs_are_direct()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_bits_are_pillows_for_every_quality_subsampling_and_order(mode):
    for number in range(150):
        options = {"quality": 5 + number % 95, "subsampling": number % 3, "progressive": number % 2 == 1}
        options["optimize"] = number % 5 == 0
        content = saved(picture(number, mode=mode), **options)
        pixels = jpeg_pixels(content)
        assert np.array_equal(np.squeeze(pixels, axis=2) if mode == "L" else pixels, pillow(content, mode)), options
        assert jpeg_header(content).size == pixels.shape[:2]
        assert jpeg_header(content).has_colour == (mode == "RGB")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [None, (9, 14)])
def test_layouts_are_filled_as_by_pillow(channels, mode, size, monkeypatch):
    contents = [saved(picture(number, mode=mode)) for number in range(9)]

    def decoded(content):
        height, width = size or read_header(Encoded(where="x", content=content)).size
        return decode(Encoded(where="x", content=content), layout=Layout(height=height, width=width, channels=channels))

    direct = [decoded(content) for content in contents]
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    assert all(jpeg_pixels(content) is None for content in contents)
    for one, content in zip(direct, contents, strict=True):
        assert np.array_equal(one, decoded(content))


def with_exif(content, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.open(io.BytesIO(content)), exif=exif, quality=95)


@pytest.mark.parametrize(
    "content",
    [
        with_exif(saved(picture(1, mode="RGB")), 6),
        saved(picture(1, mode="RGB", size=(513, 512))),
        saved(picture(1, mode="CMYK")),
        saved(picture(1, mode="RGB"))[:-30],
        saved(picture(1, mode="RGB")).replace(b"\xff\xda", b"\xff\x00", 1),
        b"\xff\xd8\xff",
        b"",
    ],
)
def test_what_is_turned_large_torn_or_of_other_inks_is_left_to_pillow(content):
    assert jpeg_pixels(content) is None


def test_several_pictures_in_one_jpeg_are_left_to_pillow():
    buffer = io.BytesIO()
    first = picture(1, mode="RGB", size=(20, 20))
    first.save(buffer, "MPO", save_all=True, append_images=[picture(2, mode="RGB", size=(20, 20))])
    assert jpeg_header(buffer.getvalue()) is None
    assert "frames" in read_header(Encoded(where="x", content=buffer.getvalue())).traits


def test_a_library_of_other_bits_is_not_used(monkeypatch):
    content = saved(picture(1, mode="RGB"))
    real = jpeg.simplejpeg.decode_jpeg
    monkeypatch.setattr(jpeg.simplejpeg, "decode_jpeg", lambda *given, **named: real(*given, **named) ^ np.uint8(1))
    jpegs_are_direct.cache_clear()
    try:
        assert not jpegs_are_direct()
        assert jpeg_pixels(content) is None
    finally:
        jpegs_are_direct.cache_clear()
