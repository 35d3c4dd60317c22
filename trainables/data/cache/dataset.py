"""Opens the splits of a prepared data set without copying them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.data.cache.array_folder import load_array, read_manifest
from trainables.data.images.images import Array
from trainables.errors import DataError
from trainables.specs.dataset import DatasetInfo

if TYPE_CHECKING:
    from trainables.data.cache.encoded import EncodedRows


SPLITS_FOLDER = "splits"
#: The array of how much each training image counts in the loss, where the study names a column of it.
SAMPLE_WEIGHTS = "train_sample_weight"
#: The array with the bytes of a PNG of training images, among those of the splits.
CONTACT_SHEET = "contact_sheet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One split: rows of memory-mapped arrays that other splits may share, or images that are decoded when read.

    Attributes:
        images: uint8 (count, height, width, channels); also rows of other splits where this one was carved out.
        labels: By target, beside the images: class numbers int32 (count,), flags uint8 (count, flags), numbers float32
            (count, values).
        indices: int32, ascending: the rows of images and labels that are in this split.
        weights: float32 (count,), how much each image counts in the training loss; None where all count alike, and in
            validation and test.
    """

    images: Array | EncodedRows
    labels: Mapping[str, Array]
    indices: Array
    weights: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An open prepared data set. Splits carved out of the training images share their arrays."""

    info: DatasetInfo
    train: Split
    validation: Split
    test: Split


def open_dataset(info: DatasetInfo, *, verify: bool = False) -> Dataset:
    """Returns the memory-mapped splits of a prepared data set; nothing is copied.

    Args:
        info: The result of the preparation on this node.
        verify: Whether to read every file once and compare its hash.

    Raises:
        DataError: If the cache entry is missing or damaged; preparing again rebuilds it.
    """
    folder = Path(info.folder)
    manifest = read_manifest(folder, verify=verify)
    split_folder = folder / SPLITS_FOLDER / info.split_key
    split_manifest = read_manifest(split_folder, verify=verify)
    if manifest.get("key") != info.key:
        raise DataError(f"cached data set {folder} holds {manifest.get('key')}, expected {info.key}; prepare again")

    @functools.cache
    def array(name: str) -> Array:
        return load_array(folder, name, manifest=manifest)

    @functools.cache
    def images(rows_of: str) -> Array | EncodedRows:
        if info.storage == "decoded":
            return array(f"{rows_of}_images")
        # Late: it imports the image library.
        from trainables.data.cache.encoded import EncodedRows

        return EncodedRows(folder, rows_of, manifest=manifest)

    def split(name: str) -> Split:
        rows_of = split_manifest["rows_of"][name]
        return Split(
            images=images(rows_of),
            labels={target.name: array(f"{rows_of}_labels_{target.name}") for target in info.task.targets},
            indices=load_array(split_folder, f"{name}_indices", manifest=split_manifest),
            weights=array(SAMPLE_WEIGHTS) if name == "train" and SAMPLE_WEIGHTS in manifest["arrays"] else None,
        )

    return Dataset(info=info, train=split("train"), validation=split("validation"), test=split("test"))


def contact_sheet(info: DatasetInfo) -> bytes:
    """Returns the PNG of training images that was drawn when the splits were made.

    Raises:
        DataError: If the cache entry is missing or damaged; preparing again rebuilds it.
    """
    folder = Path(info.folder) / SPLITS_FOLDER / info.split_key
    return load_array(folder, CONTACT_SHEET, manifest=read_manifest(folder)).tobytes()
