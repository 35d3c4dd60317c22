"""Draws splits and folds by a seed that keep every class's share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError


def hold_out(labels: Array, *, fraction: float, seed: int, purpose: str) -> tuple[Array, Array]:
    """Returns sorted int32 row numbers: those kept and those held out.

    Of a class with n members, floor(n * fraction) or one more are held out; of all rows, round(count * fraction) and at
    least one. A class never gives its last member: a class of one image stays in training. Unlike scikit-learn's
    stratified splits, this can hold out fewer images than there are classes, and it does not change with a library's
    version.

    >>> kept, held = hold_out(np.array([0, 0, 1, 1, 1, 1]), fraction=0.5, seed=1, purpose="test")
    >>> len(kept), len(held)
    (3, 3)

    Args:
        labels: The class numbers, (count,).
        fraction: The share to hold out, in (0, 1).
        seed: Equal labels, fraction, purpose and seed give the same split.
        purpose: "test" or "validation", for errors and to draw the two independently.

    Raises:
        DataError: If every class has a single image.
    """
    generator = np.random.default_rng([seed, *purpose.encode()])
    classes, members = np.unique(labels, return_inverse=True)
    sizes = np.bincount(members, minlength=len(classes))
    quotas = _quotas(sizes, fraction=fraction, generator=generator)
    held = np.zeros(len(labels), np.bool_)
    rows_by_class = np.split(np.argsort(members, kind="stable"), np.cumsum(sizes)[:-1])
    for rows, quota in zip(rows_by_class, quotas, strict=True):
        held[generator.permutation(rows)[:quota]] = True
    if not held.any():
        raise DataError(
            f"data.{purpose}_fraction: none of {len(labels)} training images can be held out, as every class would "
            f"lose its only one; give more images or a {purpose} split"
        )
    return np.flatnonzero(~held).astype(np.int32), np.flatnonzero(held).astype(np.int32)


def fold_of(labels: Array, *, folds: int, seed: int) -> Array:
    """Returns the fold of every row, int32 (count,), 0 to folds - 1.

    Of a class with n members, each fold has floor(n / folds) or one more; the sizes of folds differ by one at most.

    >>> np.bincount(fold_of(np.array([0, 0, 1, 1, 1, 1]), folds=2, seed=1)).tolist()
    [3, 3]

    Args:
        labels: The class numbers, (count,).
        folds: At least 2.
        seed: Equal labels, folds and seed give the same folds.

    Raises:
        DataError: If there are fewer rows than folds.
    """
    if len(labels) < folds:
        raise DataError(
            f"data.folds: expected at most one fold an image, got {folds} folds of {len(labels)} training images; "
            "use fewer folds or give more images"
        )
    generator = np.random.default_rng([seed, *b"folds"])
    numbers = np.empty(len(labels), np.int32)
    # A random order within each class, and the classes one after the other.
    order = np.lexsort((generator.random(len(labels)), labels))
    numbers[order] = generator.permutation(folds)[np.arange(len(labels)) % folds]
    return numbers


def _quotas(sizes: Array, *, fraction: float, generator: np.random.Generator) -> Array:
    """Returns how many of each class to hold out: the largest remainders first, equal ones in random order."""
    exact = sizes * fraction
    quotas = np.floor(exact).astype(np.int64)
    left = max(1, round(float(exact.sum()))) - int(quotas.sum())
    # A class of one gives no image: it comes last, so that it takes no place of the remainder.
    order = np.lexsort((generator.random(len(sizes)), quotas - exact, sizes < 2))
    quotas[order[:left]] += 1
    return np.asarray(np.minimum(quotas, sizes - 1))


def demand_classes_of_fold(
    labels: Array, *, train: Array, held: Array, names: Sequence[str], folds: tuple[int, int]
) -> None:
    """Raises DataError if a fold's training or validation images lack a class that the other part has.

    Args:
        labels: The class numbers of all rows.
        train: The rows that the fold trains on.
        held: The rows that it validates on.
        names: Of the classes, by number; empty where there are none.
        folds: The number of the fold, and how many there are.
    """
    for part, rows, others in (("validates", held, train), ("trains", train, held)):
        lacking = np.setdiff1d(labels[others], labels[rows])
        if len(lacking) and names:
            count = int(np.isin(labels[np.concatenate([train, held])], lacking[:1]).sum())
            raise DataError(
                f"data.folds: expected images of every class in every fold, got {count} of class "
                f"{names[int(lacking[0])]!r} for {folds[1]} folds, so fold {folds[0]} {part} on none; use fewer folds, "
                "give more images of it, or drop replicate_on: folds"
            )
