"""Finds splits in named arrays by the keys that npz files and Python functions share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from search_spaces import nearest
from trainables.data.images.arrays import array_images, with_channels
from trainables.data.images.images import Array
from trainables.data.images.side_by_side import side_by_side
from trainables.data.labels.classes import named
from trainables.data.labels.limits import limited_rows
from trainables.data.labels.plain import one_hot_numbers, plain_labels
from trainables.data.labels.weights import weights_of
from trainables.data.sources.array_keys import PLAIN_KEYS, SPLIT_KEYS, Keys
from trainables.data.sources.base import SPLIT_NAMES, RawDataset, RawSplit, SplitName
from trainables.errors import DataError
from trainables.specs.data import DataSpec


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
        split, rows = _split(arrays, (images, labels), where=where, spec=spec, is_train=name == "train")
        columns = {
            column: values[rows] if (values := _column(arrays, keys, column, field=field, where=where)).ndim else values
            for field, column in spec.split_columns.items()
        }
        weights = _weights(arrays, keys, split, rows=rows, spec=spec, where=where) if name == "train" else None
        return replace(split, columns=columns, weights=weights)
    return None


def _column(arrays: Mapping[str, Array], keys: Keys, column: str, *, field: str, where: str) -> Array:
    """Returns an array beside images and labels, of all rows.

    Args:
        field: The field of the study file that names it.
    """
    key = keys.named.format(column)
    if key not in arrays:
        fix = nearest(key, list(arrays)) or "; add it, one value an image"
        raise DataError(f"data.{field}: {where}: has no array {key}, its arrays are {sorted(arrays)}{fix}")
    return plain_labels(np.asarray(arrays[key]), where=f"{where}: {key}")


def _weights(  # noqa: PLR0913 - an array, and the images that it is beside
    arrays: Mapping[str, Array], keys: Keys, split: RawSplit, *, rows: slice | Array, spec: DataSpec, where: str
) -> Array | None:
    """Returns the weights of a split's images, if the study names some."""
    if spec.sample_weight is None:
        return None
    values = _column(arrays, keys, spec.sample_weight, field="sample_weight", where=where)
    named = f"{where}: {keys.named.format(spec.sample_weight)}"
    count = len(next(iter(split.all_labels.values())))
    return weights_of(
        values, count=count, where=f"data.sample_weight {spec.sample_weight!r}", place=lambda row: f"{named} row {row}"
    )[rows]


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
    keys: tuple[Mapping[str, str], Mapping[str, str]],
    *,
    where: str,
    spec: DataSpec,
    is_train: bool,
) -> tuple[RawSplit, slice | Array]:
    """Returns a split, and the rows that its limit keeps."""
    images, labels = keys
    pixels = {name: plain_images(arrays[key], where=f"{where}: {key}") for name, key in images.items()}
    answers = {name: plain_labels(np.asarray(arrays[key]), where=f"{where}: {key}") for name, key in labels.items()}
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
                f"{_images_axis(first, count=len(array))}"
            )
    for name, array in pixels.items():
        if len(array):
            with_channels(array, where=f"{where}: {images[name]}")
    rows = limited_rows(classes_of(answers, spec), count=len(first), limit=spec.limit if is_train else None)
    parts = {key: array_images(pixels[name][rows], where=f"{where}: {key}") for name, key in images.items()}
    split = RawSplit(
        where=place,
        images=side_by_side(parts, where=where),
        labels={name: array[rows] for name, array in answers.items()},
        all_labels=answers,
    )
    return split, rows


def classes_of(labels: Mapping[str, Array], spec: DataSpec) -> Array | None:
    """Returns the class of each row by the first target that is a classification; None if no target is."""
    for name, target in spec.target_specs.items():
        values = labels.get(name)
        if target.kind == "classification" and values is not None and values.dtype != object:
            numbers = one_hot_numbers(values)
            values = values.reshape(len(values), -1)[:, 0] if numbers is None and values.size else values
            return values if numbers is None else numbers
    return None


def _images_axis(images: Array, *, count: int) -> str:
    """Returns the fix where images and labels differ in number; MATLAB's files have the images on the last axis."""
    for axis in range(images.ndim - 1, 0, -1):
        if images.shape[axis] == count:
            return f"axis {axis} of {images.shape} has {count}: use np.moveaxis(x, {axis}, 0)"
    return "give every image one label"


def _beside(labels: Mapping[str, str], name: str) -> str:
    return f" in {labels[name]}" if len(labels) > 1 else ""


def _nothing_found(arrays: Mapping[str, Array], known: Sequence[Keys], *, where: str, spec: DataSpec) -> str:
    text = []
    # The words of other splits have as many names again.
    for keys in dict.fromkeys([*known[:2], *(keys for keys in known if keys in PLAIN_KEYS)]):
        images, labels = _keys_of(arrays, keys, spec=spec)
        text.append(" and ".join(dict.fromkeys([*images.values(), *labels.values()])))
    first, *others = dict.fromkeys(text)
    rest = f" (or {', or '.join(others)})" if others else ""
    return f"{where}: expected arrays named {first}{rest}, got {sorted(arrays)}; rename them"


def plain_images(array: object, *, where: str) -> Array:
    """Returns images as a plain array; objects that are arrays of one shape are stacked.

    Raises:
        DataError: If they are other objects, or of different shapes.
    """
    plain = np.asarray(array)
    if plain.dtype != object:
        return plain
    parts = [np.asarray(part) for part in plain.tolist()] if plain.ndim == 1 else []
    shapes = {part.shape for part in parts}
    if len(shapes) == 1 and () not in shapes and all(part.dtype != object for part in parts):
        return np.stack(parts)
    sizes = f" of {len(shapes)} different shapes, for example {sorted(shapes)[:2]}" if len(shapes) > 1 else ""
    raise DataError(
        f"{where}: is an array of Python objects (images of different sizes?){sizes}; "
        "stack equal sizes: np.stack(images).astype('uint8')"
    )
