"""IDX files, the format of MNIST and its kin: a header of sizes, then the values; plain or gzipped."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np

from trainables.data.images.arrays import array_images, with_channels
from trainables.data.images.images import Array
from trainables.data.labels.limits import kept_rows
from trainables.data.sources.base import (
    SPLIT_NAMES,
    OpenedSource,
    RawDataset,
    RawSplit,
    SplitName,
    content_hashes,
    missing_file,
)
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: The types of values by the third byte of the magic number; more than a byte stands with the largest part first.
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
#: What files of images begin with in a folder, by split; a prefix before it may name the set.
SPLIT_WORDS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("t10k", "test"),
}
_IMAGES = re.compile(r"(?:(?P<set>.+)[-_])?(?P<split>[A-Za-z0-9]+)-images[-.]idx\d-\w+(\.gz)?")
_TAIL = re.compile(r"[-.]idx\d-\w+(\.gz)?")


def open_idx(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the splits of a folder (train-images-idx3-ubyte, t10k-...) or those whose files of images are named.

    The labels lie beside: the same name with `labels` for `images` and any number for that of `idx3`.

    Raises:
        DataError: If a file is missing, or a folder has several sets.
    """
    images = {name: Path(file) for name in SPLIT_NAMES if (file := getattr(spec, name)) is not None}
    images = images or _in_folder(Path(spec.path or "."))
    labels = {name: _labels_beside(path, role=_role(spec, name)) for name, path in images.items()}
    files = [(f"{_role(spec, name)} {name}", path) for name in images for path in (images[name], labels[name])]

    def read() -> RawDataset:
        return RawDataset(splits={name: _split(images[name], labels[name], spec, name=name) for name in images})

    return OpenedSource(content=content_hashes(files, progress=progress), read=read)


def read_idx(path: Path) -> Array:
    """Returns the array of an IDX file; `.gz` is unpacked.

    Raises:
        DataError: If the file is none, or has more or fewer bytes than its header says.
    """
    content = _unpacked(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or not content[3]:
        raise DataError(
            f"{path}: is no IDX file: its magic number is 0x{content[:4].hex() or '00'}, expected 0x0000, a type (08 "
            "for bytes) and the number of dimensions, such as 0x00000803 of images and 0x00000801 of labels; fetch the "
            "file again"
        )
    dtype, num_dimensions = np.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * num_dimensions
    if len(content) < start:
        raise DataError(f"{path}: is cut off inside its header of {start} bytes; fetch the file again")
    shape = struct.unpack(f">{num_dimensions}I", content[4:start])
    expected, found = math.prod(shape) * dtype.itemsize, len(content) - start
    if expected != found:
        sizes = " x ".join(map(str, shape))
        raise DataError(
            f"{path}: its header says {sizes} values of {dtype.itemsize} bytes, which are {expected}, but {found} "
            "bytes follow; fetch the file again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _unpacked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise DataError(f"{path}: is not a whole gzip file: {exc}; fetch the file again") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}; check the file's permissions") from exc


def _in_folder(folder: Path) -> dict[SplitName, Path]:
    """Returns the files of images by split; of a file and its gzipped form the plain one."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as exc:
        raise missing_file("path", folder, exc) from exc
    found: dict[SplitName, list[str]] = {}
    for name in names:
        match = _IMAGES.fullmatch(name)
        for split, words in SPLIT_WORDS.items():
            if match and match["split"].lower() in words and name.removesuffix(".gz") not in found.get(split, []):
                found.setdefault(split, []).append(name)
    if doubled := next((listed for listed in found.values() if len(listed) > 1), None):
        raise DataError(
            f"data.path: {folder} has several files for one split, {doubled[:4]}; name the files of images instead: "
            f"train: {doubled[0]}"
        )
    if "train" not in found:
        raise DataError(
            f"data.path: {folder} has no train-images-idx3-ubyte, plain or .gz, its files are {names[:8]}; name the "
            "files of images: train: ..., test: ..."
        )
    return {split: folder / listed[0] for split, listed in found.items()}


def _labels_beside(images: Path, *, role: str) -> Path:
    """Returns the file of labels of a file of images, the plain one rather than the gzipped."""
    head, word, tail = images.name.rpartition("images")
    if not word:
        raise DataError(f"data.{role}: {images}: expected a name such as train-images-idx3-ubyte; rename both files")
    try:
        beside = sorted(path.name for path in images.parent.iterdir())
    except OSError as exc:
        raise missing_file(role, images, exc) from exc
    start, ends = f"{head}labels", (tail.removesuffix(".gz"), f"{tail.removesuffix('.gz')}.gz")
    rests = {name: name.removeprefix(start) for name in beside if name.startswith(start)}
    found = [name for name, rest in rests.items() if _TAIL.fullmatch(rest) or rest in ends]
    if not found:
        wanted = start + re.sub(r"idx\d", "idx1", tail)
        raise DataError(f"data.{role}: {images}: the labels are not beside, expected {wanted}; add the file")
    return images.parent / found[0]


def _role(spec: DataSpec, split: SplitName) -> str:
    return "path" if spec.path is not None else split


def _split(images: Path, labels: Path, spec: DataSpec, *, name: SplitName) -> RawSplit:
    pixels, answers = read_idx(images), read_idx(labels)
    if pixels.ndim not in (3, 4):
        raise DataError(
            f"{images}: expected 3 dimensions (images, height, width), got {pixels.shape}; is it a file of labels?"
        )
    if answers.ndim != 1:
        raise DataError(f"{labels}: expected 1 dimension of labels, got {answers.shape}; is it a file of images?")
    if len(answers) != len(pixels):
        raise DataError(
            f"{images}: there are {len(pixels)} images but {len(answers)} labels in {labels}; fetch both again"
        )
    if len(pixels):
        with_channels(pixels, where=str(images))
    kept = kept_rows(answers, count=len(pixels), limit=spec.limit if name == "train" else None)
    target = spec.lone_target
    return RawSplit(
        where=str(images),
        images=array_images(pixels if len(kept) == len(pixels) else pixels[kept], where=str(images)),
        labels={target: answers[kept]},
        all_labels={target: answers},
    )
