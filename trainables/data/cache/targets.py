"""Checks the labels of every target, encodes them as training takes them, and describes them for the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search_spaces import nearest
from trainables.data.images.images import Array
from trainables.data.images.masks import ArrayMasks, Masks
from trainables.data.labels.classes import checked_labels, class_numbers, known_classes
from trainables.data.labels.flags import flags_of, known_flags
from trainables.data.labels.masks import mask_classes, mask_notes
from trainables.data.labels.values import values_of
from trainables.data.sources.base import RawDataset, RawSplit, SplitName
from trainables.errors import DataError
from trainables.specs.data import DataSpec
from trainables.specs.targets import TargetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedTarget:
    """A target as the training labels describe it.

    Attributes:
        name: The target's name in the study file.
        kind: One of `classification`, `multilabel`, `regression` or `mask`.
        size: The number of classes, flags or values.
        class_names: One name for each class or flag; empty for regression.
        values: The labels of the classes or flags, in the order of class_names; empty for rows of 0 and 1.
        place: The labels' name in errors, after the split's.
        notes: Sentences for the user about the labels.
    """

    name: str
    kind: TargetKind
    size: int
    class_names: Sequence[str] = ()
    values: Sequence[int] | Sequence[str] = ()
    place: str = ""
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the mapping that the cache keeps; it leaves out raw labels, which the encoded ones replace."""
        kept = {name: value for name, value in asdict(self).items() if name not in {"values", "place", "notes"}}
        return {**kept, "class_names": list(self.class_names)}


def described_targets(raw: RawDataset, *, spec: DataSpec) -> list[DescribedTarget]:
    """Returns each target as the training labels describe it, labels beyond the limit included.

    Raises:
        DataError: If labels are not of the target's kind, or all are equal.
    """
    places = {
        # A data set with one label an image needs no name for it.
        name: f": target {name!r} (column {target.column or name!r})" if spec.targets else ""
        for name, target in spec.target_specs.items()
    }
    return [
        _described_mask(name, raw, place=places[name], given=target.class_names)
        if target.kind == "mask"
        else _described(name, target.kind, raw, place=places[name])
        for name, target in spec.target_specs.items()
    ]


def encoded_labels(
    raw: RawDataset, targets: Sequence[DescribedTarget], *, limit: int | None
) -> dict[SplitName, dict[str, Array]]:
    """Returns the labels by split and target: class numbers as int32, flags as uint8, numbers as float32.

    Raises:
        DataError: If labels of a split do not fit the training labels, or all labels within the limit are equal.
    """
    plain = [target for target in targets if target.kind != "mask"]
    encoded: dict[SplitName, dict[str, Array]] = {
        name: {target.name: _encoded(split, target) for target in plain} for name, split in raw.splits.items()
    }
    for target in plain:
        _demand_variety(encoded["train"][target.name], target, limit=limit)
    return encoded


def label_notes(raw: RawDataset, *, spec: DataSpec) -> list[str]:
    """Returns sentences about labels that are read as something else than written, and about rows of a limit."""
    notes = []
    train = raw.splits["train"]
    for name, target in spec.target_specs.items():
        if target.kind != "classification":
            continue
        about = f"target {name!r}: " if spec.targets else ""
        labels = train.all_labels[name]
        if labels.ndim == 2 and labels.shape[1] > 1:
            notes.append(
                f"{about}labels are one-hot over {labels.shape[1]} columns: the place of the 1 is the class; where "
                "several may be set at once, use kind: multilabel"
            )
        count = len(train.labels[name])
        lost = len(np.unique(labels, axis=0)) - len(np.unique(labels[:count], axis=0))
        if lost and not np.array_equal(labels[:count], train.labels[name]):
            notes.append(
                f"{about}limit: the first {count:,} training images lack {lost} of {len(np.unique(labels, axis=0))} "
                "classes (the data is sorted, or a class is rare), so classes take turns"
            )
    return notes


def masks_of(raw: RawDataset, targets: Sequence[DescribedTarget]) -> dict[SplitName, dict[str, Masks]]:
    """Returns the masks by split and target, not yet read."""
    kept = [target for target in targets if target.kind == "mask"]
    return {
        name: {target.name: _masks(split, target.name, place=target.place) for target in kept}
        for name, split in raw.splits.items()
    }


def stratum(targets: Sequence[Mapping[str, Any]], *, load: Callable[[str], Array]) -> Array:
    """Returns the labels whose shares every split keeps: those of the first classification, else zeros.

    Args:
        targets: The targets as the cache's manifest describes them.
        load: Returns a target's encoded training labels.
    """
    for target in targets:
        if target["kind"] == "classification":
            return load(target["name"])
    return np.zeros(len(load(targets[0]["name"])), np.int32)


def class_weights_by_name(described: Mapping[str, Any], *, given: Mapping[str, float] | None) -> tuple[float, ...]:
    """Returns a study's weights of classes or flags in the order of their names; empty where it gives none.

    Args:
        described: The target as the cache's manifest describes it.
        given: The weights by name.

    Raises:
        DataError: If a name is none of the target's, or one of the target's names has no weight.
    """
    if given is None:
        return ()
    names = list(described["class_names"])
    place = f"data.targets.{described['name']}.class_weights"
    shown = ", ".join(map(repr, names[:20])) + (f", ... ({len(names)} names)" if len(names) > 20 else "")
    if unknown := [name for name in given if name not in names]:
        raise DataError(f"{place}: the data has no {unknown[0]!r}{nearest(unknown[0], names)}; its names are {shown}")
    if missing := [name for name in names if name not in given]:
        raise DataError(
            f"{place}: {len(missing)} of {len(names)} names have no weight, the first is {missing[0]!r}; give each of "
            f"{shown} one (1.0: as without weights)"
        )
    return tuple(given[name] for name in names)


def _described(name: str, kind: TargetKind, raw: RawDataset, *, place: str) -> DescribedTarget:
    train = raw.splits["train"]
    labels, where, names = train.all_labels[name], f"{train.where}{place}", raw.class_names.get(name)
    _demand_one_each(labels, where=where, num_images=len(labels))
    match kind:
        case "classification":
            plain = checked_labels(labels, where=where, num_images=len(labels))
            # The columns of one-hot labels are the classes, also one without an image.
            is_one_hot = labels.ndim == 2 and labels.shape[1] > 1
            if is_one_hot and names and len(names) != labels.shape[1]:
                raise DataError(
                    f"{where}: the labels are one-hot over {labels.shape[1]} classes, but there are {len(names)} class "
                    "names; complete the names or leave them out"
                )
            names = names or ([str(number) for number in range(labels.shape[1])] if is_one_hot else None)
            values, class_names = known_classes(plain, where=where, class_names=names)
            return DescribedTarget(
                name=name, kind=kind, size=len(class_names), class_names=class_names, values=values, place=place
            )
        case "multilabel":
            flags, class_names = known_flags(labels, where=where, names=names)
            return DescribedTarget(
                name=name, kind=kind, size=len(class_names), class_names=class_names, values=flags, place=place
            )
        case _:
            return DescribedTarget(name=name, kind=kind, size=values_of(labels, where=where).shape[1], place=place)


def _described_mask(name: str, raw: RawDataset, *, place: str, given: Sequence[str]) -> DescribedTarget:
    """Returns a target of masks; its classes are those of the training masks within the limit."""
    counts: dict[str, Array] = {}
    where: dict[str, str] = {}
    for split_name, split in raw.splits.items():
        masks = _masks(split, name, place=place)
        masks.check(split.images)
        counts[split_name], where[split_name] = masks.counts(), f"{split.where}{place}"
    names = raw.class_names.get(name)
    if given and names is not None and list(names) != list(given):
        raise DataError(
            f"targets.{name}.class_names: the data names its classes {list(names)}, got {list(given)}; drop the key"
        )
    values, class_names = mask_classes(counts, where=where, names=given or names)
    return DescribedTarget(
        name=name,
        kind="mask",
        size=len(class_names),
        class_names=class_names,
        values=values,
        place=place,
        notes=mask_notes(counts, name=name, num_classes=len(class_names), values=values),
    )


def _masks(split: RawSplit, name: str, *, place: str) -> Masks:
    if name in split.masks:
        return split.masks[name]
    return ArrayMasks(split.labels[name], where=f"{split.where}{place}")


def _encoded(split: RawSplit, target: DescribedTarget) -> Array:
    labels, where, num_images = split.labels[target.name], f"{split.where}{target.place}", len(split.images)
    match target.kind:
        case "classification":
            plain = checked_labels(labels, where=where, num_images=num_images)
            width = labels.shape[1] if labels.ndim == 2 else 1
            if width not in {1, target.size}:
                raise DataError(
                    f"{where}: the training labels have {target.size} classes, these are one-hot over {width}; write "
                    "the labels of all splits alike"
                )
            return class_numbers(plain, where=where, values=target.values)
        case "multilabel":
            _demand_one_each(labels, where=where, num_images=num_images)
            return flags_of(labels, where=where, values=target.values, size=target.size)
        case "regression":
            _demand_one_each(labels, where=where, num_images=num_images)
            return values_of(labels, where=where, size=target.size)
        case "mask":
            raise DataError(f"{where}: masks are kept as `masks_of` has them")


def _demand_one_each(labels: Array, *, where: str, num_images: int) -> None:
    if labels.ndim == 0 or len(labels) != num_images:
        count = len(labels) if labels.ndim else 0
        raise DataError(f"{where}: there are {num_images} images but {count} labels; give every image one label")
    if num_images == 0:
        raise DataError(f"{where}: the split is empty; give it images or leave the split out")


def _demand_variety(labels: Array, target: DescribedTarget, *, limit: int | None) -> None:
    """Raises DataError if all training labels are equal, because a model could learn nothing from them.

    One flag of several that is never or always set is allowed, and so is one constant value of several.
    """
    if len(np.unique(labels, axis=0)) > 1:
        return
    shown = repr(target.class_names[labels[0]]) if target.kind == "classification" else labels[0].tolist()
    what = "of one class" if target.kind == "classification" else "labelled alike"
    about = f"target {target.name!r}: " if target.place else ""
    if limit is None:
        raise DataError(
            f"data.targets: {about}all {len(labels)} training images are {what}, {shown}; "
            "give images that differ in it, or leave the target out"
        )
    raise DataError(
        f"data.limit: {about}the first {len(labels)} training images are all {what}, {shown}; "
        f"raise limit (got {limit}) or shuffle the data"
    )
