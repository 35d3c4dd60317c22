"""Counts what a user should know of a data set's splits: blank and equal pictures, shared ones, classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainables.data.images.images import Array

#: Examples that are named for each fact.
NUM_EXAMPLES = 3
#: Splits of which the second should have no picture of the first.
PAIRS = (("train", "validation"), ("train", "test"), ("validation", "test"))
#: Kinds of targets whose labels equal pictures should share.
COMPARED_KINDS = frozenset({"classification", "multilabel"})
#: The facts name the members of each class or flag up to this many of them.
MOST_COUNTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The pictures of one split, as the pass that decoded them saw them.

    Attributes:
        digests: uint64 (count,), from `pixel_digests`.
        is_blank: bool (count,), from `blank_pictures`.
        is_grey: bool (count,), from `grey_pictures`.
        labels: By target, the encoded labels.
        name: Returns where the source has the n-th picture of the split.
    """

    digests: Array
    is_blank: Array
    is_grey: Array
    labels: Mapping[str, Array]
    name: Callable[[int], str]

    def __len__(self) -> int:
        """Returns the number of pictures."""
        return len(self.digests)


def facts_of(splits: Mapping[str, Pictures], *, targets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the facts about a data set's splits, as a JSON-ready mapping.

    A blank picture that a split holds twice or more (the empty tiles of a scan) counts as blank only: it repeats
    nothing, and no two splits share it.

    Args:
        splits: train, validation and test.
        targets: The targets as the cache's manifest describes them.
    """
    ground = _repeated_blanks(splits.values())
    return {
        "images": {name: len(split) for name, split in splits.items()},
        "blank": {name: int(split.is_blank.sum()) for name, split in splits.items()},
        "grey": {name: int((split.is_grey & ~split.is_blank).sum()) for name, split in splits.items()},
        "repeated": {name: _num_repeated(split) for name, split in splits.items()},
        "shared": [_shared(splits, source=first, split=second, ground=ground) for first, second in PAIRS],
        "contradicting": _contradicting(splits, ground=ground, targets=targets),
        "has_one_picture": len(np.unique(splits["train"].digests)) == 1,
        "targets": [_members(splits, target) for target in targets if target["kind"] in COMPARED_KINDS],
    }


def _repeated_blanks(splits: Iterable[Pictures]) -> Array:
    """Returns the digests of blank pictures that some split holds twice or more."""
    found = [np.zeros(0, np.uint64)]
    for split in splits:
        digests, counts = np.unique(split.digests[split.is_blank], return_counts=True)
        found.append(digests[counts > 1])
    return np.unique(np.concatenate(found))


def _num_repeated(split: Pictures) -> int:
    """Returns how many pictures repeat an earlier one of their split."""
    digests = split.digests[~split.is_blank]
    return len(digests) - len(np.unique(digests))


def _shared(splits: Mapping[str, Pictures], *, source: str, split: str, ground: Array) -> dict[str, Any]:
    """Returns how many pictures of `split` are also in `source`, and a few of them, each with its twin."""
    first, second = splits[source], splits[split]
    rows = np.flatnonzero(np.isin(second.digests, first.digests) & ~np.isin(second.digests, ground))
    examples = [
        [second.name(row), first.name(int(np.flatnonzero(first.digests == second.digests[row])[0]))]
        for row in rows[:NUM_EXAMPLES].tolist()
    ]
    return {"split": split, "in": source, "images": len(rows), "examples": examples}


def _contradicting(
    splits: Mapping[str, Pictures], *, ground: Array, targets: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns how many different pictures have copies, in any split, of other labels, and a few of these pairs."""
    digests = np.concatenate([split.digests for split in splits.values()])
    _, group_of, sizes = np.unique(digests, return_inverse=True, return_counts=True)
    rows = np.flatnonzero((sizes[group_of] > 1) & ~np.isin(digests, ground))
    _, first_of, member_of = np.unique(group_of[rows], return_index=True, return_inverse=True)
    differs = np.zeros(len(rows), np.bool_)
    for target in targets:
        if target["kind"] in COMPARED_KINDS:
            labels = np.concatenate([split.labels[target["name"]] for split in splits.values()])[rows]
            flat = labels.reshape(len(rows), -1) if len(rows) else np.zeros((0, 1))
            differs |= (flat != flat[first_of[member_of]]).any(axis=1)
    wrong, places = np.unique(member_of[differs], return_index=True)
    pairs = sorted(zip(rows[first_of[wrong]].tolist(), rows[differs][places].tolist(), strict=True))
    examples = [[_name(splits, row) for row in pair] for pair in pairs[:NUM_EXAMPLES]]
    return {"pictures": len(wrong), "examples": examples}


def _name(splits: Mapping[str, Pictures], row: int) -> str:
    """Returns the name of a picture by its place in all splits, one after another."""
    for split in splits.values():
        if row < len(split):
            return split.name(row)
        row -= len(split)
    raise IndexError(row)


def _members(splits: Mapping[str, Pictures], target: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how many images of each split have each class, or each flag."""
    counts = {name: _counts(split.labels[target["name"]], size=target["size"]) for name, split in splits.items()}
    names = list(target["class_names"])
    train = counts["train"]
    present = np.flatnonzero(train) if train.any() else np.arange(len(train))
    most, fewest = int(train.argmax()), int(present[train[present].argmin()])
    described: dict[str, Any] = {
        "name": target["name"],
        "kind": target["kind"],
        "size": target["size"],
        "largest": [names[most], int(train[most])],
        "smallest": [names[fewest], int(train[fewest])],
        "missing": {name: _missing(some, names=names) for name, some in counts.items()},
    }
    if target["size"] <= MOST_COUNTED:
        described |= {"class_names": names, "members": {name: some.tolist() for name, some in counts.items()}}
    return described


def _missing(counts: Array, *, names: Sequence[str]) -> dict[str, Any]:
    absent = np.flatnonzero(counts == 0)
    return {"number": len(absent), "examples": [names[at] for at in absent[:NUM_EXAMPLES]]}


def _counts(labels: Array, *, size: int) -> Array:
    if labels.ndim == 1:
        return np.bincount(labels, minlength=size)
    return np.asarray(labels.sum(axis=0, dtype=np.int64))
