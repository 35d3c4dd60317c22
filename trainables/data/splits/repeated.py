"""Further splits of the images that are trained and validated on, so that few images measure a variant better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainables.data.images.images import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedSplit:
    """One more split of the same images.

    Attributes:
        train: int32, ascending: the rows to train on, as many as the first split has.
        validation: int32, ascending: the rows to validate on, as many as the first split has.
    """

    train: Array
    validation: Array


def repeated_splits(
    train: Array, validation: Array, *, labels: Array | None, count: int, seed: int
) -> list[RepeatedSplit]:
    """Returns the splits beyond the first: each validates on images that no other one validates on.

    Every class is dealt out evenly, so that each validation split has its share of it, or one image less.

    >>> further = repeated_splits(np.arange(2, 8), np.arange(2), labels=np.array([0, 1] * 4), count=4, seed=0)
    >>> sorted(np.concatenate([split.validation for split in further]).tolist())
    [2, 3, 4, 5, 6, 7]
    >>> [len(split.train) for split in further]
    [6, 6, 6]

    Args:
        train: int32: the rows that the first split trains on.
        validation: int32: the rows that it validates on.
        labels: The class numbers of all rows, by row; None where there are none.
        count: How many splits, the first included; at most `DatasetInfo.most_splits`.
        seed: Equal rows, labels, count and seed give equal splits.
    """
    size, rows = len(validation), np.union1d(train, validation)
    shuffled = np.random.default_rng([seed, *b"repeats"]).permutation(train)
    if labels is not None:
        shuffled = shuffled[np.argsort(np.asarray(labels)[shuffled], kind="stable")]
    num_parts = len(train) // size
    splits = []
    for part in range(count - 1):
        held = shuffled[part::num_parts][:size]
        splits.append(RepeatedSplit(train=_as_rows(np.setdiff1d(rows, held)), validation=_as_rows(held)))
    return splits


def _as_rows(rows: Array) -> Array:
    return np.sort(rows).astype(np.int32)
