"""Random valid pictures of many kinds, written by Pillow, tifffile, OpenCV or imagecodecs, and read by another of them.

A drawn picture has the bytes of its file and the samples that the second library reads, turned upright by NumPy.
"""

import io
from dataclasses import dataclass, field

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image

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


@dataclass(kw_only=True)
class Drawn:
    """A picture: how it was made, its bytes, and its upright samples, (height, width) or (height, width, channels)."""

    about: dict = field(default_factory=dict)
    content: bytes = b""
    samples: np.ndarray | None = None
    #: What another decoder of a lossy format may differ by.
    tolerance: int = 0
    #: Whether the samples hold alpha last.
    has_alpha: bool = False
    #: Whether no reader of ours is expected, only words.
    is_refused: bool = False
    #: Whether words do as well: Pillow reads some of a kind.
    may_be_refused: bool = False


def draw(number: int) -> Drawn:
    """Returns the picture of a number; equal numbers give equal pictures."""
    generator = np.random.default_rng([2026, number])
    maker = (pillow_png, pillow_jpeg, pillow_tiff, pillow_other, tifffile_tiff, tifffile_tiff, opencv_any, codecs_png)[
        number % 8
    ]
    drawn = maker(generator)
    drawn.about = {"number": number, "maker": maker.__name__, **drawn.about}
    return drawn


def size_of(generator):
    return int(generator.integers(1, 40)), int(generator.integers(1, 40))


def pick(generator, *values):
    return values[int(generator.integers(len(values)))]


def random_samples(generator, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return generator.random(shape).astype(dtype)
    if dtype.kind == "b":
        return generator.random(shape) < 0.5
    info = np.iinfo(dtype)
    return generator.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def pillow_picture(generator, mode):
    height, width = size_of(generator)
    if mode == "I;16":
        return Image.fromarray(random_samples(generator, (height, width), np.uint16))
    if mode == "1":
        return Image.fromarray(random_samples(generator, (height, width), np.uint8)).convert("1")
    if mode == "P":
        picture = Image.frombytes("P", (width, height), random_samples(generator, (height, width), np.uint8).tobytes())
        picture.putpalette(random_samples(generator, (768,), np.uint8).tobytes())
        return picture
    bands = len(Image.new(mode, (1, 1)).getbands())
    if mode in ("I", "F"):
        return Image.fromarray(random_samples(generator, (height, width), np.int32 if mode == "I" else np.float32))
    samples = random_samples(generator, (height, width, bands), np.uint8)
    return Image.frombytes(mode, (width, height), samples.tobytes())


def saved(picture, suffix, *, orientation=None, **options):
    buffer = io.BytesIO()
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    picture.save(buffer, suffix, **options)
    return buffer.getvalue()


def pillow_png(generator):
    mode, orientation = pick(generator, "1", "L", "LA", "P", "RGB", "RGBA", "I;16"), int(generator.integers(1, 9))
    level = int(generator.integers(0, 10))
    content = saved(pillow_picture(generator, mode), "PNG", orientation=orientation, compress_level=level)
    width, height = Image.open(io.BytesIO(content)).size
    samples = UPRIGHT[orientation](imagecodecs.png_decode(content).reshape(height, width, -1))
    if mode == "1":
        samples = samples * np.uint8(255) if samples.max() <= 1 else samples
    about = {"mode": mode, "orientation": orientation}
    return Drawn(about=about, content=content, samples=samples, has_alpha=mode in ("LA", "RGBA"))


def pillow_jpeg(generator):
    mode, orientation = pick(generator, "L", "RGB"), int(generator.integers(1, 9))
    options = {"quality": int(generator.integers(30, 101)), "subsampling": pick(generator, 0, 1, 2)}
    options |= {"progressive": bool(generator.integers(2))}
    content = saved(pillow_picture(generator, mode), "JPEG", orientation=orientation, **options)
    samples = UPRIGHT[orientation](imagecodecs.jpeg8_decode(content))
    return Drawn(
        about={"mode": mode, "orientation": orientation, **options}, content=content, samples=samples, tolerance=2
    )


def pillow_tiff(generator):
    mode = pick(generator, "1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F")
    orientation = int(generator.integers(1, 9))
    compression = pick(generator, None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd")
    content = saved(pillow_picture(generator, mode), "TIFF", orientation=orientation, compression=compression)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        stored = page.asarray()
        if mode == "P":
            stored = (page.colormap >> 8).astype(np.uint8)[:, stored].transpose(1, 2, 0)
    if stored.dtype == np.bool_:
        stored = stored.astype(np.uint8) * np.uint8(255)
    samples = UPRIGHT[orientation](stored)
    about = {"mode": mode, "orientation": orientation, "compression": compression}
    return Drawn(about=about, content=content, samples=samples, has_alpha=mode in ("LA", "RGBA"))


def pillow_other(generator):
    suffix = pick(generator, "BMP", "WEBP", "PPM", "GIF", "TGA", "JPEG2000")
    mode = {"WEBP": ("RGB", "RGBA"), "TGA": ("L", "RGB", "RGBA"), "BMP": ("1", "L", "P", "RGB"), "PPM": ("L", "RGB"),
            "GIF": ("L", "P"), "JPEG2000": ("L", "RGB", "RGBA")}[suffix]  # fmt: skip
    mode = pick(generator, *mode)
    picture = pillow_picture(generator, mode)
    orientation, options = None, {}
    if suffix == "WEBP":
        orientation, options = int(generator.integers(1, 9)), {"lossless": True, "exact": True}
    content = saved(picture, suffix, orientation=orientation, **options)
    if suffix == "WEBP":
        samples = imagecodecs.webp_decode(content)
    elif suffix == "JPEG2000":
        samples = imagecodecs.jpeg2k_decode(content)
    elif suffix in ("BMP", "PPM"):
        samples = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    else:
        # No second reader: what Pillow was given.
        samples = np.asarray(picture.convert("RGB") if mode == "P" else picture)
    samples = UPRIGHT[orientation or 1](samples)
    about = {"suffix": suffix, "mode": mode, "orientation": orientation}
    return Drawn(about=about, content=content, samples=samples, has_alpha=mode == "RGBA" and samples.shape[-1] == 4)


def tifffile_tiff(generator):
    dtype = pick(generator, "u1", "u1", "u2", "u2", "u4", "i2", "i4", "f4", "i1", "f2", "f8")
    channels = pick(generator, 1, 1, 3, 4, 2, 5) if dtype in ("u1", "u2") else 1
    orientation, height_width = int(generator.integers(1, 9)), size_of(generator)
    planar = pick(generator, "contig", "contig", "separate") if channels in (3, 4) else "contig"
    photometric = "rgb" if channels in (3, 4) else pick(generator, "minisblack", "minisblack", "miniswhite")
    options = {
        "photometric": photometric,
        "compression": pick(generator, None, "zlib", "lzw", "packbits", "zstd"),
        "byteorder": pick(generator, "<", ">"),
        "bigtiff": bool(generator.integers(2)),
        "tile": pick(generator, None, (16, 16)),
        "planarconfig": planar if channels > 1 else None,
    }
    if channels == 4:
        options["extrasamples"] = [pick(generator, "unassalpha", "unspecified")]
    shape = height_width if channels == 1 else (*height_width, channels)
    samples = random_samples(generator, shape, dtype)
    stored = samples.transpose(2, 0, 1) if planar == "separate" else samples
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stored, **options, extratags=[(274, "H", 1, orientation, True)], metadata=None)
    content = buffer.getvalue()
    if photometric == "miniswhite":
        samples = np.iinfo(dtype).max - samples if np.dtype(dtype).kind == "u" else samples
    second = imagecodecs_tiff(content) if channels == 3 and planar == "contig" else None
    if second is not None:
        samples = second
    is_wide_white = photometric == "miniswhite" and dtype not in ("u1", "u2")
    is_refused = (
        dtype in ("i1", "f2", "f8") or channels in (2, 5) or is_wide_white or (planar == "separate" and dtype == "u2")
    )
    is_big = options["byteorder"] == ">"
    is_refused |= is_big and (options["bigtiff"] or dtype == "u4" or (photometric, dtype) == ("miniswhite", "u2"))
    may_be_refused = planar == "separate" and options.get("extrasamples") == ["unspecified"]
    about = {"dtype": dtype, "channels": channels, "orientation": orientation, **options}
    return Drawn(
        about=about,
        content=content,
        samples=UPRIGHT[orientation](samples),
        has_alpha=channels == 4,
        is_refused=is_refused,
        may_be_refused=may_be_refused,
    )


def imagecodecs_tiff(content):
    """Reads with libtiff's own unpacking, or returns None where this build cannot."""
    try:
        return imagecodecs.tiff_decode(content)
    except imagecodecs.TiffError:
        return None


def opencv_any(generator):
    suffix = pick(generator, ".png", ".tiff", ".jp2", ".bmp", ".webp")
    dtype = pick(generator, np.uint8, np.uint16) if suffix in (".png", ".tiff") else np.uint8
    channels = pick(generator, 1, 3, 4) if suffix != ".bmp" else pick(generator, 1, 3)
    if suffix in (".webp", ".jp2"):
        channels = 3
    height, width = size_of(generator)
    if suffix == ".jp2":
        height, width = height + 32, width + 32  # OpenCV writes no smaller ones
    samples = random_samples(generator, (height, width, channels), dtype)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    options = {".webp": [cv2.IMWRITE_WEBP_QUALITY, 101], ".jp2": [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]}
    content = cv2.imencode(suffix, np.ascontiguousarray(samples[..., order]), options.get(suffix, []))[1].tobytes()
    read = {".png": imagecodecs.png_decode, ".webp": imagecodecs.webp_decode, ".jp2": imagecodecs.jpeg2k_decode}
    if suffix in read:
        samples = read[suffix](content).reshape(height, width, -1)
    if suffix == ".tiff":
        samples = tifffile.imread(io.BytesIO(content)).reshape(height, width, -1)
    about = {"suffix": suffix, "dtype": np.dtype(dtype).name, "channels": channels}
    return Drawn(about=about, content=content, samples=samples, has_alpha=channels == 4)


def codecs_png(generator):
    dtype, channels = pick(generator, np.uint8, np.uint16), pick(generator, 1, 2, 3, 4)
    height, width = size_of(generator)
    samples = random_samples(generator, (height, width, channels), dtype)
    content = imagecodecs.png_encode(np.squeeze(samples, axis=2) if channels == 1 else samples, level=3)
    second = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if channels in (3, 4):
        samples = second[..., [2, 1, 0, 3][:channels]]
    about = {"dtype": np.dtype(dtype).name, "channels": channels}
    return Drawn(about=about, content=content, samples=samples, has_alpha=channels in (2, 4))
