"""Photos decoded at a reduced size stay within the stated bound, and are the same in both storages."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from trainables.data.images.decode import Encoded, decode
from trainables.data.images.images import Layout

#: The bound that docs/explain/speed.md states: the most that a pixel, and that pixels on average, differ.
MOST, MOST_ON_AVERAGE = 32, 4.0
MOST_OF_PHOTOS, MOST_ON_AVERAGE_OF_PHOTOS = 14, 1.0


def noise(generator, height, width):
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(generator, height, width):
    small = Image.fromarray(noise(generator, height // 40, width // 40))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def edges(generator, height, width):
    pixels = np.zeros((height, width, 3), np.uint8)
    for _ in range(40):
        row, column = generator.integers(0, height), generator.integers(0, width)
        tall, wide = generator.integers(3, height // 3), generator.integers(3, width // 3)
        pixels[row : row + tall, column : column + wide] = generator.integers(0, 256, 3)
    return pixels


def text(_, height, width):
    picture = Image.new("RGB", (width, height), "white")
    for row in range(0, height, 14):
        ImageDraw.Draw(picture).text((5, row), "The quick brown fox " * 20, fill="black")
    return np.asarray(picture)


def saved(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [noise, smooth, edges, text])
@pytest.mark.parametrize(
    ("size", "target"),
    [((600, 800), (112, 112)), ((960, 600), (60, 80)), ((640, 640), (300, 40)), ((515, 517), (64, 64))],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_pixels_stay_within_the_bound(kind, size, target, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(kind(np.random.default_rng(4), *size), exif=exif)
    whole, reduced = (
        decode(
            Encoded(where="x", content=content),
            layout=Layout(height=target[0], width=target[1], channels=3, reduces=reduces),
        ).astype(int)
        for reduces in (False, True)
    )
    difference = np.abs(whole - reduced)
    assert difference.max() <= MOST
    assert difference.mean() <= MOST_ON_AVERAGE
    upright = size[::-1] if orientation == 6 else size
    # Half of each side is still one and a half of the target's, or more.
    assert difference.any() == all(side >= 3 * aim for side, aim in zip(upright, target, strict=True))


@pytest.mark.parametrize("target", [(64, 64), (72, 112), (100, 100)])
def test_photos_differ_by_less(target):
    for pixels in load_sample_images().images:
        whole, reduced = (
            decode(
                Encoded(where="x", content=saved(pixels)),
                layout=Layout(height=target[0], width=target[1], channels=3, reduces=reduces),
            ).astype(int)
            for reduces in (False, True)
        )
        difference = np.abs(whole - reduced)
        assert 0 < difference.max() <= MOST_OF_PHOTOS
        assert difference.mean() <= MOST_ON_AVERAGE_OF_PHOTOS


def test_reduced_photos_are_the_same_in_both_storages_and_named(tmp_path, prepare):
    generator = np.random.default_rng(1)
    for number in range(8):
        folder = tmp_path / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(saved(smooth(generator, 640, 800) if number else text(0, 640, 800)))
    fields = {"source": "images", "path": str(tmp_path / "photos"), "image_size": (64, 64)}
    whole = prepare(**fields)
    decoded = prepare(**fields, reduced_decoding=True)
    streamed = prepare(**fields, reduced_decoding=True, memory_gb=0)
    images = np.asarray(decoded.train.images)
    assert np.array_equal(streamed.train.images[np.arange(8)], images)
    assert streamed.info.fingerprint == decoded.info.fingerprint != whole.info.fingerprint
    assert "decoded at a reduced size" in " ".join(decoded.info.notes)
    assert "reduced size" not in " ".join(whole.info.notes)


def test_reduced_decoding_without_a_size_is_refused(prepare):
    with pytest.raises(ValueError, match="reduced_decoding: needs an image_size to shrink images to, got none"):
        prepare(source="digits", reduced_decoding=True)
