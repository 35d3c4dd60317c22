"""Torn, odd and foreign files: a sentence, or the right pixels; never a traceback, never other pixels."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from trainables.data.formats.refusals import PictureError
from trainables.data.formats.samples import read_header
from trainables.data.images.decode import Encoded, decode
from trainables.data.images.images import Layout
from trainables.errors import DataError

COLOURS = np.random.default_rng(5).integers(0, 256, (23, 31, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]
WIDE = GREY.astype(np.uint16) * 257


def saved(suffix, pixels=COLOURS, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, suffix, **options)
    return buffer.getvalue()


def tiff(pixels=COLOURS, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def chunk(kind, data, *, crc=None):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc or zlib.crc32(kind + data))


def png(*, width=4, height=4, depth=8, colour=0, data=None, crc=None, method=0):
    rows = zlib.compress(b"\0\1\2\3\4" * 4) if data is None else data
    head = struct.pack(">IIBBBBB", width, height, depth, colour, method, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head, crc=crc) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


WHOLE = {
    "png": saved("PNG"),
    "png16": saved("PNG", WIDE),
    "jpeg": saved("JPEG", quality=90),
    "progressive": saved("JPEG", quality=90, progressive=True),
    "gif": saved("GIF"),
    "bmp": saved("BMP"),
    "webp": saved("WEBP", lossless=True),
    "tiff": saved("TIFF"),
    "lzw": saved("TIFF", compression="tiff_lzw"),
    "tiles": tiff(compression="zlib", tile=(16, 16), photometric="rgb"),
    "wide tiff": tiff(WIDE),
    "ppm": saved("PPM"),
    "tga": saved("TGA"),
    "jpeg2000": saved("JPEG2000"),
}


def pixels_of(content):
    item = Encoded(where="x", content=content)
    header = read_header(item)
    layout = Layout(height=header.size[0], width=header.size[1], channels=3 if header.has_colour else 1)
    return decode(item, layout=layout)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.35, 0.6, 0.85, 0.97, -1, -9])
@pytest.mark.parametrize("name", WHOLE)
def test_torn_picture_is_refused_or_whole_without_its_end(name, share):
    content = WHOLE[name]
    torn = content[:share] if share < 0 else content[: int(len(content) * share)]
    try:
        pixels = pixels_of(torn)
    except PictureError as exc:
        message = str(exc)
    else:
        # Only the end that holds no pixels may lack.
        assert share < 0 or share > 0.9
        assert np.array_equal(pixels, pixels_of(content))
        return
    assert message.startswith(("cannot be read as an image: ", "is a TIFF"))
    assert "0x" not in message
    assert "<" not in message


def without_tag(content, tag):
    """Returns a little-endian TIFF whose entry of a tag has another tag's number."""
    first = struct.unpack("<I", content[4:8])[0]
    (place,) = (
        place for place in range(first + 2, first + 300, 12) if content[place : place + 2] == struct.pack("<H", tag)
    )
    return content[:place] + struct.pack("<H", 65000) + content[place + 2 :]


FOREIGN = {
    "empty": (b"", "the file is empty"),
    "text": (b"id,label\n1,cat\n", "it is not a whole image in a known format"),
    "web page": (b"<!DOCTYPE html><html>404</html>", "it is a web page, perhaps a failed download"),
    "web page in capitals": (b"\n<HTML><BODY>", "it is a web page, perhaps a failed download"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is XML, perhaps a vector drawing (SVG)"),
    "xml": (b"<?xml version='1.0'?><svg/>", "it is XML, perhaps a vector drawing (SVG)"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "it is a pointer of Git LFS"),
    "pdf": (b"%PDF-1.7\n%", "it is PostScript or PDF, which is not decoded"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is PostScript or PDF, which is not decoded"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "it is HEIC, which is not decoded; save it as JPEG or PNG"),
    "zip": (b"PK\x03\x04" + bytes(60), "it is not a whole image in a known format"),
    "numpy": (b"\x93NUMPY\x01\0" + bytes(60), "it is not a whole image in a known format"),
    "zeros": (bytes(4096), "it is not a whole image in a known format"),
    "noise": (np.random.default_rng(1).bytes(4096), "it is not a whole image in a known format"),
    "png signature alone": (b"\x89PNG\r\n\x1a\n", "cannot be read as an image"),
    "jpeg marker alone": (b"\xff\xd8\xff", "cannot be read as an image"),
    "png without pixels": (png(data=b""), "cannot be read as an image"),
    "png of no width": (png(width=0), "cannot be read as an image"),
    "png of 30000 x 30000": (png(width=30000, height=30000), "it has more than 179 million pixels, the most that are"),
    "png with a broken header": (png(crc=1), "cannot be read as an image"),
    "png of 3 bits": (png(depth=3), "cannot be read as an image"),
    "png of an unknown colour type": (png(colour=5), "cannot be read as an image"),
    "png with broken pixels": (png(data=b"no zlib"), "cannot be read as an image"),
    "tiff of 5 samples": (tiff(np.zeros((9, 9, 5), np.uint8), photometric="minisblack", planarconfig="contig"),
                          "is a TIFF of 5 samples a pixel, 8-bit whole numbers, which cannot be read"),
    "tiff of 13 bands": (tiff(np.zeros((13, 9, 9), np.uint16), photometric="minisblack", planarconfig="separate"),
                         "is a TIFF of 13 samples a pixel, 16-bit whole numbers, which cannot be read"),
    "tiff of float64": (tiff(np.zeros((9, 9))), "is a TIFF of 64-bit floats, which cannot be read"),
    "tiff of complex": (tiff(np.zeros((9, 9), np.complex128)), "is a TIFF of 128-bit complex floats, which cannot"),
    "tiff of int8": (tiff(np.zeros((9, 9), np.int8)), "is a TIFF of 8-bit signed whole numbers, which are read as if"),
    "tiff of uint64": (tiff(np.zeros((9, 9), np.uint64)), "is a TIFF of 64-bit whole numbers, which cannot be read"),
    "big-endian bigtiff": (tiff(GREY, bigtiff=True, byteorder=">"), "is a BigTIFF of big-endian samples, which cannot"),
    "tiff without width": (without_tag(tiff(GREY), 256), "cannot be read as an image"),
    "tiff header alone": (b"II*\0\x08\0\0\0", "cannot be read as an image"),
    "tiff whose directory lies outside": (b"II*\0\xff\xff\0\0", "cannot be read as an image"),
    "floats beyond 1": (tiff(np.full((9, 9), 7, np.float32)), "expected float pixels in 0..1, got 7..7"),
    "floats with nan": (tiff(np.full((9, 9), np.nan, np.float32)), "some samples are NaN (not a number)"),
    "jpeg of 12 bits": (imagecodecs.jpeg8_encode(WIDE >> 4, bitspersample=12), "cannot be read as an image"),
    "dicom preamble alone": (bytes(128) + b"DICM", "cannot be read as a DICOM slice"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::UserWarning:pydicom")
@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_file_is_refused_in_words(name):
    content, message = FOREIGN[name]
    with pytest.raises(PictureError) as caught:
        pixels_of(content)
    assert message in str(caught.value)
    assert "0x" not in str(caught.value)


ODD = {
    "png named otherwise": (saved("PNG"), COLOURS),
    "bytes behind the end": (saved("PNG") + b"more", COLOURS),
    "black and white": (saved("PNG", GREY > 127), np.where(GREY > 127, 255, 0)),
    "bigtiff": (tiff(bigtiff=True, photometric="rgb"), COLOURS),
    "planes of colour": (tiff(COLOURS.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
                                      COLOURS),
    "jpeg 2000": (saved("JPEG2000"), COLOURS),
    "sgi": (saved("SGI"), COLOURS),
    "pcx": (saved("PCX"), COLOURS),
    "one pixel": (saved("PNG", COLOURS[:1, :1]), COLOURS[:1, :1]),
    "one row": (saved("TIFF", GREY[:1]), GREY[:1]),
    "one column": (saved("BMP", GREY[:, :1]), GREY[:, :1]),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_picture_is_read_right(name):
    content, expected = ODD[name]
    expected = expected[..., np.newaxis] if expected.ndim == 2 else expected
    assert np.array_equal(pixels_of(content), expected)


def test_cmyk_without_ink_is_white_and_full_cyan_has_no_red():
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[:2, :, 0] = 255
    for suffix in ("TIFF", "JPEG"):
        buffer = io.BytesIO()
        Image.frombytes("CMYK", (4, 4), ink.tobytes()).save(buffer, suffix)
        pixels = pixels_of(buffer.getvalue()).astype(int)
        assert np.abs(pixels[0] - (0, 255, 255)).max() <= 4
        assert np.abs(pixels[3] - (255, 255, 255)).max() <= 4


def test_no_program_is_started_for_a_picture(monkeypatch):
    def started(*_arguments, **_options):
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", started)
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(PictureError, match="it is PostScript or PDF, which is not decoded"):
        pixels_of(drawing)


def test_file_that_is_gone_is_named(tmp_path):
    item = Encoded(where="gone.png", content=tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"cannot be read as an image: .*No such file"):
        decode(item, layout=Layout(height=4, width=4, channels=1))
