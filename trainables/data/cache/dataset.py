"""A prepared data set: where it lies, and its splits opened without copying."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.data.cache.array_folder import load_array, read_manifest
from trainables.data.cache.storage_choice import Storage
from trainables.data.errors import DataError
from trainables.data.images.images import Array
from trainables.specs.pixels import PixelStatistics
from trainables.specs.task import Task

if TYPE_CHECKING:
    from trainables.data.cache.encoded import EncodedRows

SPLITS_FOLDER = "splits"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """Is everything about a prepared data set but its images.

    Attributes:
        key: names the decoded images: equal content and decoding settings, equal key.
        split_key: names who is in which split.
        folder: the cache entry on this node.
        task: what a model gets of it and must predict.
        statistics: the pixels of the training split, by stored channel.
        num_train: rows of the training split; likewise validation and test.
        fingerprint: equal for equal pixels, labels, names and splits, whatever source they came from and however
            they are kept.
        storage: how the images are kept, chosen once for all nodes.
        decoded_bytes: what all images take when decoded.
    """

    key: str
    split_key: str
    folder: str
    task: Task
    statistics: PixelStatistics
    num_train: int
    num_validation: int
    num_test: int
    fingerprint: str
    storage: Storage = "decoded"
    decoded_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        return asdict(self)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> DatasetInfo:
        """Returns the info that `to_json` described."""
        statistics = {name: tuple(values) for name, values in mapping["statistics"].items()}
        task = Task.from_json(mapping["task"])
        return cls(**{**mapping, "task": task, "statistics": PixelStatistics(**statistics)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Is one split: rows of memory-mapped arrays that other splits may share, or images that are decoded when read.

    Attributes:
        images: uint8 (count, height, width, channels), more than this split's rows when it was carved out.
        labels: by target, beside the images: class numbers int32 (count,), flags uint8 (count, flags), numbers float32
            (count, values).
        indices: int32, ascending: the rows of images and labels that are in this split.
    """

    images: Array | EncodedRows
    labels: Mapping[str, Array]
    indices: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Is a prepared data set, open. Splits carved out of the training images share the very same arrays."""

    info: DatasetInfo
    train: Split
    validation: Split
    test: Split


def open_dataset(info: DatasetInfo, *, verify: bool = False) -> Dataset:
    """Returns the memory-mapped splits of a prepared data set; nothing is copied.

    Args:
        info: what the preparation on this node returned.
        verify: also reads everything once and compares its hashes.

    Raises: DataError: if the cache entry is gone or damaged; preparing again rebuilds it.
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
        # Late: it brings the image library.
        from trainables.data.cache.encoded import EncodedRows

        return EncodedRows(folder, rows_of, manifest=manifest)

    def split(name: str) -> Split:
        rows_of = split_manifest["rows_of"][name]
        return Split(
            images=images(rows_of),
            labels={target.name: array(f"{rows_of}_labels_{target.name}") for target in info.task.targets},
            indices=load_array(split_folder, f"{name}_indices", manifest=split_manifest),
        )

    return Dataset(info=info, train=split("train"), validation=split("validation"), test=split("test"))
