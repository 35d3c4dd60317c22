"""Small real data sets of every source, made of numpy and Pillow."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import ExifTags, Image

from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.specs.data import DataSpec


def pictures(count, *, height=8, width=6, channels=3, seed=0):
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels, *, suffix="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, format=suffix, **options)
    return buffer.getvalue()


def write_folders(root: Path, *, classes=("cat", "dog"), each=6, channels=3, suffix="png", seed=0):
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for row, pixels in enumerate(pictures(each, channels=channels, seed=seed + number)):
            (root / name / f"{row:03}.{suffix}").write_bytes(encoded(pixels, suffix=suffix))
    return root


def write_parquet(path: Path, *, images, labels, **options):
    pq.write_table(pa.table({"image": images, "label": labels}), path, **options)
    return path


def write_mixed_folders(root: Path, *, each=20):
    """Writes photos of two classes of many formats, sizes and modes, some turned, some larger than their pixels."""
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    for number, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for row in range(each):
            size = {"height": 8 + 7 * (row % 4), "width": 8 + 5 * (row % 3)}
            pixels = pictures(1, channels=1 if row % 3 == 0 else 3, seed=100 * number + row, **size)[0]
            suffix = ("png", "jpeg", "bmp")[row % 3]
            options = {"exif": turned} if suffix == "jpeg" and row % 2 else {}
            (root / name / f"{row:03}.{suffix}").write_bytes(encoded(pixels, suffix=suffix, **options))
    return root


@pytest.fixture
def sources(tmp_path):
    """Two data sets in image formats, as fields of a DataSpec: `png` in Parquet and a `mixed` folder to be resized."""
    images = [encoded(image) for image in pictures(90, height=12, width=10)]
    path = write_parquet(tmp_path / "a.parquet", images=images, labels=np.arange(90) % 3)
    return {
        "png": {"source": "parquet", "train": str(path)},
        "mixed": {
            "source": "images", "path": str(write_mixed_folders(tmp_path / "mixed")), "image_size": (12, 10),
        },
    }  # fmt: skip


@pytest.fixture
def made():
    """The makers above, as files of this folder cannot import each other."""

    class Made:
        pass

    for function in (pictures, encoded, write_folders, write_parquet):
        setattr(Made, function.__name__, staticmethod(function))
    return Made


@pytest.fixture
def prepare(tmp_path):
    """Prepares in this process, in a cache of the test's own, and opens."""

    def run(*, seed=0, progress=None, **fields):
        spec = DataSpec(**{"cache_dir": str(tmp_path / "cache"), **fields})
        return open_dataset(prepare_dataset(spec, seed, progress=progress), verify=True)

    return run


@pytest.fixture
def prepare_both(tmp_path):
    """Prepares decoded and encoded, demands equal bits, and returns the decoded data set."""

    def run(fields):
        spec = DataSpec(**{"cache_dir": str(tmp_path / "cache"), **fields})
        decoded, encoded = (
            open_dataset(prepare_dataset(spec, 0, storage=storage), verify=True) for storage in ("decoded", "encoded")
        )
        assert decoded.info.fingerprint == encoded.info.fingerprint
        for name in ("train", "validation", "test"):
            rows = np.arange(len(getattr(encoded, name).images))
            assert np.array_equal(getattr(encoded, name).images[rows], getattr(decoded, name).images)
            for target, labels in getattr(decoded, name).labels.items():
                assert np.array_equal(getattr(encoded, name).labels[target], labels)
        return decoded

    return run
