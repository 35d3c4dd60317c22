"""Finds splits in named arrays by the keys that npz files and Python functions share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from search_spaces import nearest
from trainables.data.images.arrays import array_images, with_channels
from trainables.data.images.images import Array
from trainables.data.images.side_by_side import side_by_side
from trainables.data.labels.classes import named
from trainables.data.sources.base import SPLIT_NAMES, RawDataset, RawSplit, SplitName
from trainables.errors import DataError
from trainables.specs.data import DataSpec


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of a split's arrays: its lone images, its lone labels, and the pattern of named arrays."""

    images: str
    labels: str
    named: str


#: The possible names of a split's arrays, the most specific first.
SPLIT_KEYS: Mapping[SplitName, tuple[Keys, ...]] = {
    "train": (Keys("x_train", "y_train", "{}_train"), Keys("x", "y", "{}"), Keys("images", "labels", "{}")),
    "validation": (Keys("x_val", "y_val", "{}_val"), Keys("x_validation", "y_validation", "{}_validation")),
    "test": (Keys("x_test", "y_test", "{}_test"),),
}
PLAIN_KEYS = (Keys("x", "y", "{}"), Keys("images", "labels", "{}"))


def array_dataset(arrays: Mapping[str, Array], *, where: str, spec: DataSpec) -> RawDataset:
    """Returns all splits that the arrays have under the known keys.

    Raises:
        DataError: If the training split is missing, or a split has images without labels or labels without images.
    """
    splits = {
        name: split
        for name in SPLIT_NAMES
        if (split := _split_of(arrays, SPLIT_KEYS[name], name=name, where=where, spec=spec)) is not None
    }
    if "train" not in splits:
        raise DataError(_nothing_found(arrays, SPLIT_KEYS["train"], where=where, spec=spec))
    return RawDataset(splits=splits, class_names=named_classes(arrays, where=where, spec=spec))


def named_classes(arrays: Mapping[str, Array], *, where: str, spec: DataSpec) -> dict[str, list[str]]:
    """Returns the arrays' class names by target: `class_names`, or `<column>_names`."""
    found = {}
    for name, target in spec.target_specs.items():
        keys = [f"{target.column or name}_names", "class_names"][0 if spec.targets else 1 :]
        if len(spec.targets) > 1:
            keys = keys[:1]
        for key in keys:
            if name not in found and (names := named(arrays, where=where, key=key)) is not None:
                found[name] = names
    return found


def lone_split(arrays: Mapping[str, Array], *, name: SplitName, where: str, spec: DataSpec) -> RawSplit:
    """Returns the split of a file that the study names for one split; plain keys fit any split."""
    known = (*SPLIT_KEYS[name], *PLAIN_KEYS)
    split = _split_of(arrays, known, name=name, where=where, spec=spec)
    if split is None:
        raise DataError(_nothing_found(arrays, known, where=where, spec=spec))
    return split


def _split_of(
    arrays: Mapping[str, Array], known: Sequence[Keys], *, name: SplitName, where: str, spec: DataSpec
) -> RawSplit | None:
    """Returns the split under the first known keys of which the arrays have any, or None."""
    for keys in known:
        images, labels = _keys_of(arrays, keys, spec=spec)
        wanted = [*images.values(), *labels.values()]
        # A plain name is ambiguous where images or labels have a more specific key.
        telling = [key for key in wanted if key in (keys.images, keys.labels)] if keys.named == "{}" else wanted
        if not any(key in arrays for key in telling or wanted):
            continue
        if missing := [key for key in wanted if key not in arrays]:
            present = next(key for key in wanted if key in arrays)
            hint = nearest(missing[0], [key for key in arrays if key not in wanted])
            raise DataError(f"{where}: has {present} but not {missing[0]}; add {missing[0]}{hint}")
        limit = spec.limit if name == "train" else None
        split = _split(arrays, images, labels, where=where, limit=limit)
        return replace(split, columns=_columns(arrays, keys, where=where, spec=spec, limit=limit))
    return None


def _columns(
    arrays: Mapping[str, Array], keys: Keys, *, where: str, spec: DataSpec, limit: int | None
) -> dict[str, Array]:
    """Returns the arrays that splits are carved by, within the limit."""
    columns = {}
    for field, column in spec.split_columns.items():
        key = keys.named.format(column)
        if key not in arrays:
            fix = nearest(key, list(arrays)) or "; add it, one value an image"
            raise DataError(f"data.{field}: {where}: has no array {key}, its arrays are {sorted(arrays)}{fix}")
        values = _plain(arrays[key], where=f"{where}: {key}")
        columns[column] = values[:limit] if values.ndim else values
    return columns


def _keys_of(arrays: Mapping[str, Array], keys: Keys, *, spec: DataSpec) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the key of each image input and of each target's labels."""
    images = {name: keys.named.format(name) if spec.inputs else keys.images for name in spec.input_names}
    labels = {name: keys.named.format(target.column or name) for name, target in spec.target_specs.items()}
    name, target = next(iter(spec.target_specs.items()))
    is_lone = len(spec.targets) == 1 and target.column is None
    if not spec.targets or (is_lone and not {labels[name], name} & set(arrays)):
        # A lone target need not be named by its array.
        labels = {name: keys.labels}
    return images, labels


def _split(
    arrays: Mapping[str, Array],
    images: Mapping[str, str],
    labels: Mapping[str, str],
    *,
    where: str,
    limit: int | None,
) -> RawSplit:
    pixels = {name: _plain(arrays[key], where=f"{where}: {key}") for name, key in images.items()}
    answers = {name: _plain(arrays[key], where=f"{where}: {key}") for name, key in labels.items()}
    first_key = next(iter(images.values()))
    first = pixels[next(iter(images))]
    place = f"{where}: {first_key}"
    for array in (*pixels.values(), *answers.values()):
        if array.ndim == 0:
            raise DataError(
                f"{place}: expected arrays of images and labels, got shapes {first.shape} and {array.shape}"
            )
    for name, array in answers.items():
        if len(array) != len(first):
            raise DataError(
                f"{place}: there are {len(first)} images but {len(array)} labels{_beside(labels, name)}; "
                "give every image one label"
            )
    for name, array in pixels.items():
        if len(array):
            with_channels(array, where=f"{where}: {images[name]}")
    parts = {key: array_images(pixels[name][:limit], where=f"{where}: {key}") for name, key in images.items()}
    return RawSplit(
        where=place,
        images=side_by_side(parts, where=where),
        labels={name: array[:limit] for name, array in answers.items()},
        all_labels=answers,
    )


def _beside(labels: Mapping[str, str], name: str) -> str:
    return f" in {labels[name]}" if len(labels) > 1 else ""


def _nothing_found(arrays: Mapping[str, Array], known: Sequence[Keys], *, where: str, spec: DataSpec) -> str:
    text = []
    for keys in known:
        images, labels = _keys_of(arrays, keys, spec=spec)
        text.append(" and ".join(dict.fromkeys([*images.values(), *labels.values()])))
    first, *others = dict.fromkeys(text)
    rest = f" (or {', or '.join(others)})" if others else ""
    return f"{where}: expected arrays named {first}{rest}, got {sorted(arrays)}; rename them"


def _plain(array: object, *, where: str) -> Array:
    plain = np.asarray(array)
    if plain.dtype == object:
        raise DataError(
            f"{where}: is an array of Python objects (images of different sizes?); "
            "stack equal sizes: np.stack(images).astype('uint8')"
        )
    return plain
