"""Splits from named arrays: the keys that npz files and Python functions share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainables.data.arrays import array_images, with_channels
from trainables.data.errors import DataError
from trainables.data.images import Array
from trainables.data.labels import named
from trainables.data.sources.base import SPLIT_NAMES, RawDataset, RawSplit, SplitName
from trainables.spec import DataSpec

#: The pairs of keys that may hold a split, most telling first.
SPLIT_KEYS: Mapping[SplitName, tuple[tuple[str, str], ...]] = {
    "train": (("x_train", "y_train"), ("x", "y"), ("images", "labels")),
    "validation": (("x_val", "y_val"), ("x_validation", "y_validation")),
    "test": (("x_test", "y_test"),),
}
PLAIN_KEYS = (("x", "y"), ("images", "labels"))


def array_dataset(arrays: Mapping[str, Array], *, where: str, spec: DataSpec) -> RawDataset:
    """Returns all splits that the arrays hold under the known keys.

    Raises: DataError: if there is no training split, or half of a split.
    """
    splits = {
        name: split
        for name in SPLIT_NAMES
        if (split := array_split(arrays, name=name, where=where, spec=spec)) is not None
    }
    if "train" not in splits:
        raise DataError(
            f"{where}: expected arrays named x_train and y_train (or x and y, or images and labels), "
            f"got {sorted(arrays)}; rename them"
        )
    return RawDataset(splits=splits, class_names=named_classes(arrays, where=where, spec=spec))


def named_classes(arrays: Mapping[str, Array], *, where: str, spec: DataSpec) -> dict[str, list[str]]:
    """Returns the class names that come with the arrays, by target."""
    names = named(arrays, where=where)
    return {} if names is None else {spec.lone_target: names}


def array_split(arrays: Mapping[str, Array], *, name: SplitName, where: str, spec: DataSpec) -> RawSplit | None:
    """Returns the split of one name, or None if the arrays do not hold it."""
    return _first_pair(arrays, SPLIT_KEYS[name], where=where, spec=spec, limit=_limit(spec, name))


def lone_split(arrays: Mapping[str, Array], *, name: SplitName, where: str, spec: DataSpec) -> RawSplit:
    """Returns the split of a file that was given for one split alone: plain keys will do for any."""
    pairs = (*SPLIT_KEYS[name], *PLAIN_KEYS)
    split = _first_pair(arrays, pairs, where=where, spec=spec, limit=_limit(spec, name))
    if split is None:
        expected = " or ".join(f"{x} and {y}" for x, y in dict.fromkeys(pairs))
        raise DataError(f"{where}: expected arrays named {expected}, got {sorted(arrays)}; rename them")
    return split


def _first_pair(
    arrays: Mapping[str, Array],
    pairs: tuple[tuple[str, str], ...],
    *,
    where: str,
    spec: DataSpec,
    limit: int | None,
) -> RawSplit | None:
    for images_key, labels_key in pairs:
        if (images_key in arrays) != (labels_key in arrays):
            present, absent = (images_key, labels_key) if images_key in arrays else (labels_key, images_key)
            raise DataError(f"{where}: has {present} but not {absent}; add {absent}")
        if images_key in arrays:
            images = _plain(arrays[images_key], where=f"{where}: {images_key}")
            labels = _plain(arrays[labels_key], where=f"{where}: {labels_key}")
            return _split(images, labels, where=f"{where}: {images_key}", target=spec.lone_target, limit=limit)
    return None


def _limit(spec: DataSpec, name: SplitName) -> int | None:
    return spec.limit if name == "train" else None


def _split(images: Array, labels: Array, *, where: str, target: str, limit: int | None) -> RawSplit:
    if images.ndim == 0 or labels.ndim == 0:
        raise DataError(f"{where}: expected arrays of images and labels, got shapes {images.shape} and {labels.shape}")
    if len(images) != len(labels):
        raise DataError(f"{where}: there are {len(images)} images but {len(labels)} labels; give every image one label")
    if len(images):
        with_channels(images, where=where)
    return RawSplit(
        where=where,
        images=array_images(images[:limit], where=where),
        labels={target: labels[:limit]},
        all_labels={target: labels},
    )


def _plain(array: object, *, where: str) -> Array:
    plain = np.asarray(array)
    if plain.dtype == object:
        raise DataError(
            f"{where}: is an array of Python objects (images of different sizes?); "
            "stack equal sizes: np.stack(images).astype('uint8')"
        )
    return plain
