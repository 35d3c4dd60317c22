"""Folders of image files, one folder a class."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from trainables.data.images.decode import Encoded, EncodedImages
from trainables.data.sources.base import SPLIT_NAMES, OpenedSource, RawDataset, RawSplit, SplitName, content_hashes
from trainables.data.sources.folder_tree import (
    Tree,
    class_tree,
    demand_known_classes,
    equal_inner_folders,
    split_folders,
)
from trainables.data.sources.mask_folders import open_mask_folders
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: Endings of tables, which source csv reads.
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})

#: (class name, file), in reading order.
Listing = list[tuple[str, Path]]


def open_class_folders(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the class folders' images; class names are the folders' names, sorted.

    `path` is a folder of class folders, or of the folder train and, optionally, validation and test, by these or other
    usual names (Training, seg_test, val). A split may lack classes of training.
    With a limit, classes take turns: the first image of each, then the second, and so on. A target of masks has no
    classes of folders: see `open_mask_folders`.
    """
    if any(target.kind == "mask" for target in spec.target_specs.values()):
        return open_mask_folders(spec, progress)
    roots, notes = _roots(spec)
    trees = {name: _tree(root, role="path" if spec.path else name) for name, root in roots.items()}
    listings = {name: tree.images for name, tree in trees.items()}
    class_names = sorted({class_name for class_name, _ in listings["train"]})
    for name, listing in listings.items():
        demand_known_classes(class_names, dict(listing), split=name)
    all_labels = np.array([class_name for class_name, _ in listings["train"]])
    if spec.limit is not None and spec.limit < len(listings["train"]):
        listings["train"] = _in_turns(listings["train"])[: spec.limit]
    named = [
        (f"{name} {'/'.join(path.parts[len(roots[name].parts) :])}", path)
        for name, listing in listings.items()
        for _, path in listing
    ]

    def read() -> RawDataset:
        splits = {name: _split(listing, roots[name], target=spec.lone_target) for name, listing in listings.items()}
        train = splits["train"]
        splits["train"] = replace(train, all_labels={spec.lone_target: all_labels})
        return RawDataset(splits=splits)

    notes += [note for name, tree in trees.items() for note in tree.notes(root=roots[name])]
    return OpenedSource(
        content=(f"classes {class_names}",),
        read=read,
        notes=tuple(notes),
        further_content=partial(content_hashes, named, progress=progress),
    )


def _roots(spec: DataSpec) -> tuple[dict[SplitName, Path], list[str]]:
    """Returns the folder of class folders of each split, and sentences about folders."""
    if spec.path is None:
        return {name: Path(folder) for name in SPLIT_NAMES if (folder := getattr(spec, name)) is not None}, []
    path = Path(spec.path)
    roots, notes = split_folders(path, role="path")
    if roots == {"train": path} and (inner := equal_inner_folders(path, role="path")):
        notes.append(
            f"every class folder of {path} holds the folders {list(inner[:5])}; if these are the classes, and the "
            "class folders splits, give train: and test: as paths of their own"
        )
    return roots, notes


def _tree(root: Path, *, role: str) -> Tree:
    tree = class_tree(root, role=role)
    classes = {class_name for class_name, _ in tree.images}
    if len(classes) < 2 and (table := _table_beside(root)):
        found = f"expected at least two classes, got only {min(classes)!r}" if classes else "has no class folders"
        raise DataError(
            f"data.{role}: {root}: {found}; the table {table} lies beside: with source: csv, train: that file and "
            "images: the folder of the images, its columns are the labels"
        )
    if not tree.images:
        hint = "; a split without labels cannot be scored: leave it out" if tree.loose else ""
        raise DataError(
            f"data.{role}: {root} has no class folders; put the images of each class in a folder of its own{hint}"
        )
    return tree


def _table_beside(root: Path) -> str:
    """Returns the name of a table in a folder, as competitions have it beside their images, or an empty string."""
    names = sorted(path.name for path in root.iterdir() if path.suffix.lower() in TABLE_SUFFIXES and path.is_file())
    return min(names, key=lambda name: "train" not in name.lower(), default="")


def _in_turns(listing: Listing) -> Listing:
    by_class: dict[str, Listing] = {}
    for item in listing:
        by_class.setdefault(item[0], []).append(item)
    return [item for item in chain.from_iterable(zip_longest(*by_class.values())) if item is not None]


def _split(listing: Listing, root: Path, *, target: str) -> RawSplit:
    labels = np.array([class_name for class_name, _ in listing])
    items = [Encoded(where=str(path), content=path) for _, path in listing]
    images = EncodedImages(count=len(items), items=lambda: items)
    return RawSplit(where=str(root), images=images, labels={target: labels}, all_labels={target: labels})
