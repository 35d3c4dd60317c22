"""Folders of image files, one folder a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from trainables.data.images.decode import Encoded, EncodedImages
from trainables.data.sources.base import SPLIT_NAMES, OpenedSource, RawDataset, RawSplit, SplitName, content_hashes
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".dcm"})

#: Endings of tables, which source csv reads.
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})

#: (class name, file), in reading order.
Listing = list[tuple[str, Path]]


def open_class_folders(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the class folders' images; class names are the folders' names, sorted.

    `path` is a folder of class folders, or of the folder train and, optionally, validation and test.
    With a limit, classes take turns: the first image of each, then the second, and so on.
    """
    roots = _roots(spec)
    listings = {name: _listing(root, field="path" if spec.path else name) for name, root in roots.items()}
    class_names = sorted({class_name for class_name, _ in listings["train"]})
    for name, listing in listings.items():
        _demand_same_classes(class_names, {class_name for class_name, _ in listing}, split=name, root=roots[name])
    all_labels = np.array([class_name for class_name, _ in listings["train"]])
    if spec.limit is not None and spec.limit < len(listings["train"]):
        listings["train"] = _in_turns(listings["train"])[: spec.limit]
    named = [
        (f"{name} {path.relative_to(roots[name]).as_posix()}", path)
        for name, listing in listings.items()
        for _, path in listing
    ]

    def read() -> RawDataset:
        splits = {name: _split(listing, roots[name], target=spec.lone_target) for name, listing in listings.items()}
        train = splits["train"]
        splits["train"] = replace(train, all_labels={spec.lone_target: all_labels})
        return RawDataset(splits=splits)

    hashes = content_hashes(named, progress=progress)
    return OpenedSource(content=(f"classes {class_names}", *hashes), read=read)


def _roots(spec: DataSpec) -> dict[SplitName, Path]:
    if spec.path is None:
        return {name: Path(folder) for name in SPLIT_NAMES if (folder := getattr(spec, name)) is not None}
    path = Path(spec.path)
    folders = {folder.name: folder for folder in _subfolders(path, field="path")}
    if "train" not in folders or not _subfolders(folders["train"], field="path"):
        return {"train": path}
    if strangers := sorted(set(folders) - set(SPLIT_NAMES)):
        raise DataError(
            f"data.path: beside {folders['train']} there may be validation and test only, found {strangers}; "
            "rename them, or give train, validation and test as paths of their own"
        )
    return {name: folders[name] for name in SPLIT_NAMES if name in folders}


def _subfolders(root: Path, *, field: str) -> list[Path]:
    try:
        entries = sorted(root.iterdir())
    except OSError as exc:
        raise DataError(
            f"data.{field}: cannot list {root}: {exc.strerror}; give a folder of class folders, "
            "relative paths start at the study file"
        ) from exc
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith((".", "__MACOSX"))]


def _listing(root: Path, *, field: str) -> Listing:
    listing: Listing = []
    for folder in _subfolders(root, field=field):
        files = [path for path in sorted(folder.rglob("*")) if _is_image(path, folder)]
        if not files:
            raise DataError(
                f"data.{field}: class folder {folder} has no images ({', '.join(sorted(SUFFIXES))}); "
                "add some or remove the folder"
            )
        listing += [(folder.name, path) for path in files]
    classes = {class_name for class_name, _ in listing}
    if len(classes) < 2 and (table := _table_beside(root)):
        found = f"expected at least two classes, got only {min(classes)!r}" if classes else "has no class folders"
        raise DataError(
            f"data.{field}: {root}: {found}; the table {table} lies beside: with source: csv, train: that file and "
            "images: the folder of the images, its columns are the labels"
        )
    if not listing:
        raise DataError(
            f"data.{field}: {root} has no class folders; put the images of each class in a folder of its own"
        )
    return listing


def _table_beside(root: Path) -> str:
    """Returns the name of a table in a folder, as competitions have it beside their images, or an empty string."""
    names = sorted(path.name for path in root.iterdir() if path.suffix.lower() in TABLE_SUFFIXES and path.is_file())
    return min(names, key=lambda name: "train" not in name.lower(), default="")


def _is_image(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    return path.suffix.lower() in SUFFIXES and path.is_file() and not any(part.startswith(".") for part in inside)


def _demand_same_classes(expected: Sequence[str], found: set[str], *, split: str, root: Path) -> None:
    if set(expected) == found:
        return
    missing, extra = sorted(set(expected) - found), sorted(found - set(expected))
    details = "; ".join(f"{word} {names[:5]}" for word, names in (("lacks", missing), ("has besides", extra)) if names)
    raise DataError(
        f"data.{split}: the class folders of {root} differ from those of training: {details}; "
        "give every split the same class folders"
    )


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
