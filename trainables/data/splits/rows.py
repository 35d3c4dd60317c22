"""Decides which rows each split has, from a study's settings and the numbers that the cache keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.data.sources.base import SPLIT_NAMES, SplitName
from trainables.data.splits.grouped import fold_of_groups, hold_out_groups
from trainables.data.splits.ordered import hold_out_last
from trainables.data.splits.stratified import fold_of, hold_out
from trainables.errors import DataError
from trainables.specs.data import DataSpec

#: The splits that are carved out of the training images where the source lacks them, in this order.
SPLITS_TO_HOLD_OUT: tuple[SplitName, ...] = ("test", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """What splits are carved by, for every row of the training images.

    Attributes:
        labels: The class numbers of the first classification, else zeros; (count,).
        group: The group numbers; None where the study names no group.
        order: The places in the study's order; None where it names none.
    """

    labels: Array
    group: Array | None = None
    order: Array | None = None


def split_settings(own_splits: Mapping[SplitName, int], *, spec: DataSpec, seed: int) -> dict[str, Any]:
    """Returns the settings that determine the rows of each split; none where the source has all splits.

    Args:
        own_splits: The rows of each split that the source has.
        seed: The study's seed.

    Raises:
        DataError: If the study asks for folds and the source has a validation split.
    """
    if spec.folds is not None and "validation" in own_splits:
        raise DataError(
            f"data.folds: the source has a validation split of its own, got {spec.folds} folds beside it; remove folds "
            "and fold, or the validation split"
        )
    carved = [name for name in SPLITS_TO_HOLD_OUT if name not in own_splits]
    settings: dict[str, Any] = {
        f"{name}_fraction": getattr(spec, f"{name}_fraction")
        for name in carved
        if name != "validation" or spec.folds is None
    }
    if not carved:
        return settings
    # Settings of before these fields have the same key, and so the same rows.
    chosen = {name: getattr(spec, name) for name in ("group", "order", "folds", "fold")}
    return {**settings, "seed": seed, **{name: value for name, value in chosen.items() if value is not None}}


def split_rows(
    training: TrainingRows, *, own_splits: Mapping[SplitName, int], settings: Mapping[str, Any]
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Returns the int32 rows of each split, ascending, and sentences for the user about them.

    The test split is carved out of all training images; then the validation split out of the rest.

    Raises:
        DataError: If a split cannot be carved.
    """
    rows: dict[str, Array] = {"train": np.arange(len(training.labels), dtype=np.int32)}
    for name in SPLITS_TO_HOLD_OUT:
        if name in own_splits:
            rows[name] = np.arange(own_splits[name], dtype=np.int32)
            continue
        left = rows["train"]
        here = TrainingRows(
            labels=training.labels[left],
            group=None if training.group is None else training.group[left],
            order=None if training.order is None else training.order[left],
        )
        kept, held = _carved(here, name=name, settings=settings)
        rows[name], rows["train"] = left[held], left[kept]
    carved = [name for name in SPLIT_NAMES if name == "train" or name not in own_splits]
    return rows, tuple(_notes(training, {name: rows[name] for name in carved}, settings=settings))


def _carved(training: TrainingRows, *, name: SplitName, settings: Mapping[str, Any]) -> tuple[Array, Array]:
    if name == "validation" and "folds" in settings:
        fold, labels = {"folds": settings["folds"], "seed": settings["seed"]}, training.labels
        numbers = fold_of(labels, **fold) if training.group is None else fold_of_groups(labels, training.group, **fold)
        is_held = numbers == settings["fold"] - 1
        return np.flatnonzero(~is_held).astype(np.int32), np.flatnonzero(is_held).astype(np.int32)
    fraction = settings[f"{name}_fraction"]
    if training.order is not None:
        kept, held = hold_out_last(training.order, fraction=fraction, purpose=name)
        _demand_classes(training.labels, kept)
        return kept, held
    drawn = {"fraction": fraction, "seed": settings["seed"], "purpose": name}
    if training.group is not None:
        return hold_out_groups(training.labels, training.group, **drawn)
    return hold_out(training.labels, **drawn)


def _demand_classes(labels: Array, kept: Array) -> None:
    if len(np.unique(labels)) > 1 and len(np.unique(labels[kept])) < 2:
        raise DataError(
            f"data.order: the first {len(kept)} images, those left for training, are of one class; give more images, "
            "smaller fractions, or splits of your own"
        )


def _notes(training: TrainingRows, rows: Mapping[str, Array], *, settings: Mapping[str, Any]) -> list[str]:
    notes = []
    total = len(training.labels)
    if training.group is not None and "group" in settings:
        group = training.group
        shares = ", ".join(
            f"{len(np.unique(group[part]))} in {name} ({len(part) / total:.1%} of the images)"
            for name, part in rows.items()
        )
        notes.append(f"data.group {settings['group']!r}: no group is in two splits; {shares}")
    if training.order is not None and "order" in settings:
        shares = ", then ".join(f"{name} ({len(part) / total:.1%})" for name, part in rows.items())
        notes.append(f"data.order {settings['order']!r}: the splits follow each other: {shares}")
    if "folds" in settings:
        notes.append(f"data.folds: validation is fold {settings['fold']} of {settings['folds']}")
    return notes
