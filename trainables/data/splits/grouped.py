"""Draws splits and folds of whole groups, such as patients, that keep class shares as well as groups allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """One group: how many rows it has of each of its classes."""

    number: int
    size: int
    classes: Array
    counts: Array


@dataclass(slots=True, kw_only=True)
class _Share:
    """What a split or fold has so far, beside what it should have.

    Attributes:
        wanted: Rows by class, not whole; zeros for a fold, which should have as little of each class as the others.
        weights: One over each class's rows, so that rare classes count as much as frequent ones.
    """

    wanted: Array
    weights: Array
    counts: Array = field(init=False)
    size: int = 0

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.wanted))

    def distance_added(self, group: _Group) -> float:
        """Returns by how much a group would raise the weighted squared distance from the wanted rows by class."""
        over = self.counts[group.classes] - self.wanted[group.classes]
        return float(np.sum(self.weights[group.classes] * group.counts * (group.counts + 2.0 * over)))

    def is_nearer_with(self, group: _Group) -> bool:
        """Returns whether a group brings the number of rows nearer to the wanted number."""
        missing = float(self.wanted.sum()) - self.size
        return abs(missing - group.size) < abs(missing)

    def add(self, group: _Group) -> None:
        """Counts a group's rows."""
        self.counts[group.classes] += group.counts
        self.size += group.size


def hold_out_groups(labels: Array, groups: Array, *, fraction: float, seed: int, purpose: str) -> tuple[Array, Array]:
    """Returns sorted int32 row numbers: those kept and those held out; no group is in both.

    The number of rows held out differs from count * fraction by at most half of the largest group, or is the smallest
    group, unless the groups left have all rows of a class: such a group stays in training. Large groups are tried
    first and taken where they bring the held-out classes nearer to their shares; then others fill up.

    >>> labels, groups = np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    >>> kept, held = hold_out_groups(labels, groups, fraction=0.5, seed=1, purpose="test")
    >>> len(held), sorted(labels[held].tolist()), set(groups[kept].tolist()) & set(groups[held].tolist())
    (4, [0, 0, 1, 1], set())

    Args:
        labels: The class numbers, (count,).
        groups: The group numbers, (count,).
        fraction: The share to hold out, in (0, 1).
        seed: Equal labels, groups, fraction, purpose and seed give the same split.
        purpose: "test" or "validation", for errors and to draw the two independently.

    Raises:
        DataError: If no group can be held out.
    """
    generator = np.random.default_rng([seed, *f"{purpose} groups".encode()])
    listed, totals = _listed(labels, groups, generator=generator)
    share = _Share(wanted=totals * fraction, weights=1.0 / totals)
    left = totals.copy()
    taken: set[int] = set()

    def take(group: _Group) -> None:
        share.add(group)
        left[group.classes] -= group.counts
        taken.add(group.number)

    def may_leave(group: _Group) -> bool:
        return group.number not in taken and bool((left[group.classes] > group.counts).all())

    for group in listed:
        if may_leave(group) and share.is_nearer_with(group) and share.distance_added(group) < 0:
            take(group)
    for group in sorted(listed, key=lambda group: share.distance_added(group) / group.size):
        if may_leave(group) and share.is_nearer_with(group):
            take(group)
    if not taken:
        smallest = next((group for group in reversed(listed) if may_leave(group)), None)
        if smallest is None:
            raise DataError(
                f"data.{purpose}_fraction: none of the {len(listed)} groups in training can be held out, as every one "
                f"has all images of a class; give more groups or a {purpose} split, or remove data.group"
            )
        take(smallest)
    is_held = np.isin(groups, list(taken))
    return np.flatnonzero(~is_held).astype(np.int32), np.flatnonzero(is_held).astype(np.int32)


def fold_of_groups(labels: Array, groups: Array, *, folds: int, seed: int) -> Array:
    """Returns the fold of every row, int32 (count,), 0 to folds - 1; rows of a group are in one fold.

    The largest group comes first, and each goes to the fold that has the least of its classes.

    >>> fold_of_groups(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), folds=2, seed=1).tolist() in (
    ...     [0, 0, 1, 1], [1, 1, 0, 0])
    True

    Args:
        labels: The class numbers, (count,).
        groups: The group numbers, (count,).
        folds: At least 2.
        seed: Equal labels, groups, folds and seed give the same folds.

    Raises:
        DataError: If there are fewer groups than folds.
    """
    generator = np.random.default_rng([seed, *b"folds of groups"])
    listed, totals = _listed(labels, groups, generator=generator)
    if len(listed) < folds:
        raise DataError(
            f"data.folds: expected at most one fold a group, got {folds} folds of {len(listed)} groups in training; "
            "use fewer folds or give more groups"
        )
    shares = [_Share(wanted=np.zeros(len(totals)), weights=1.0 / totals) for _ in range(folds)]
    numbers = np.empty(int(groups.max()) + 1, np.int32)
    for group in listed:
        fold = min(range(folds), key=lambda place: (shares[place].distance_added(group), shares[place].size))
        shares[fold].add(group)
        numbers[group.number] = fold
    return numbers[groups]


def _listed(labels: Array, groups: Array, *, generator: np.random.Generator) -> tuple[list[_Group], Array]:
    """Returns the groups, the largest first and equal ones in random order, and the rows of each class."""
    _, members = np.unique(labels, return_inverse=True)
    listed = list(_groups(members, groups))
    places = generator.permutation(len(listed))
    in_order = sorted((listed[place] for place in places), key=lambda group: -group.size)
    return in_order, np.bincount(members).astype(np.float64)


def _groups(members: Array, groups: Array) -> Iterator[_Group]:
    order = np.argsort(groups, kind="stable")
    numbers, starts = np.unique(groups[order], return_index=True)
    for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        classes, counts = np.unique(members[rows], return_counts=True)
        yield _Group(number=number, size=len(rows), classes=classes, counts=counts)
