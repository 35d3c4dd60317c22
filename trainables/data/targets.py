"""The labels of every target: checked, encoded as training takes them, and what a model must know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainables.data.errors import DataError
from trainables.data.images import Array
from trainables.data.labels import checked_labels, class_numbers, known_classes
from trainables.data.sources.base import RawDataset, SplitName
from trainables.spec import DataSpec
from trainables.target_spec import TargetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedTarget:
    """Is what the training labels tell of a target.

    Attributes:
        name: as the study file calls it.
        kind: classification, multilabel or regression.
        size: classes, flags or values.
        class_names: one name a class or flag; empty for regression.
        values: of a classification, the labels that are classes, in the order of class_names.
    """

    name: str
    kind: TargetKind
    size: int
    class_names: Sequence[str] = ()
    values: Sequence[int] | Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns what the cache keeps: everything but the values, which the encoded labels replace."""
        kept = {name: value for name, value in asdict(self).items() if name != "values"}
        return {**kept, "class_names": list(self.class_names)}


def described_targets(raw: RawDataset, *, spec: DataSpec) -> list[DescribedTarget]:
    """Returns each target as the training labels show it, those beyond the limit included.

    Raises: DataError: if labels are not of the target's kind.
    """
    return [_described(name, target.kind, raw) for name, target in spec.target_specs.items()]


def encoded_labels(
    raw: RawDataset, targets: Sequence[DescribedTarget], *, limit: int | None
) -> dict[SplitName, dict[str, Array]]:
    """Returns the labels by split and target: class numbers as int32, flags as uint8, numbers as float32.

    Raises: DataError: if labels of a split do not fit the training labels, or the limit leaves one class only.
    """
    encoded: dict[SplitName, dict[str, Array]] = {}
    for name, split in raw.splits.items():
        encoded[name] = {}
        for target in targets:
            plain = checked_labels(split.labels[target.name], where=split.where, num_images=len(split.images))
            encoded[name][target.name] = class_numbers(plain, where=split.where, values=target.values)
    for target in targets:
        _demand_two_classes(encoded["train"][target.name], target, limit=limit)
    return encoded


def stratum(targets: Sequence[Mapping[str, Any]], *, load: Callable[[str], Array]) -> Array:
    """Returns the labels whose shares every split keeps: those of the first classification, else all the same.

    targets: as the cache describes them. load: returns a target's encoded training labels.
    """
    for target in targets:
        if target["kind"] == "classification":
            return load(target["name"])
    return np.zeros(len(load(targets[0]["name"])), np.int32)


def _described(name: str, kind: TargetKind, raw: RawDataset) -> DescribedTarget:
    train = raw.splits["train"]
    everything = train.all_labels[name]
    plain = checked_labels(everything, where=train.where, num_images=len(everything))
    values, names = known_classes(plain, where=train.where, class_names=raw.class_names.get(name))
    return DescribedTarget(name=name, kind=kind, size=len(names), class_names=names, values=values)


def _demand_two_classes(labels: Array, target: DescribedTarget, *, limit: int | None) -> None:
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"data.limit: the first {len(labels)} training images are all of one class, "
            f"{target.class_names[labels[0]]!r}; raise limit (got {limit}) or shuffle the data"
        )
