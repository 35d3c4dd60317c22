"""Looks through a folder tree: which folders are splits and classes, which files images, and what is left out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainables.data.sources.array_keys import SPLIT_WORDS
from trainables.data.sources.base import SPLIT_NAMES, SplitName
from trainables.errors import DataError

SUFFIXES = frozenset(
    {
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".gif",
        ".webp",
        ".avif",
        ".tif",
        ".tiff",
        ".jp2",
        ".dcm",
    }
    | {".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"}
)

#: Folders and files that systems leave behind; those with a dot are left out as well.
SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "system volume information"}
)
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})

#: Words of folders' names beside the split's: training_set, seg_train.
_FILLERS = frozenset({"set", "seg", "data", "dataset", "images", "imgs", "split"})
_UNLABELLED = frozenset({"pred", "prediction", "predictions", "unlabeled", "unlabelled", "inference"})


@dataclass(slots=True)
class Tree:
    """What was found below class folders.

    Attributes:
        images: (class name, file), in reading order.
        others: By ending, the files that are no images.
        links: Symbolic links to folders, which are not followed.
        loose: Images that lie in no class folder.
    """

    images: list[tuple[str, Path]] = field(default_factory=list)
    others: dict[str, list[Path]] = field(default_factory=dict)
    links: list[Path] = field(default_factory=list)
    loose: list[Path] = field(default_factory=list)

    def notes(self, *, root: Path) -> list[str]:
        """Returns a sentence for each kind of thing that was left out."""
        notes = []
        if self.others:
            total = sum(map(len, self.others.values()))
            by_count = sorted(self.others.items(), key=lambda item: -len(item[1]))
            shown = ", ".join(
                f"{ending or 'no ending'} ({len(files)}, such as {files[0].relative_to(root)})"
                for ending, files in by_count[:5]
            )
            notes.append(
                f"{total} of {total + len(self.images)} files below {root} are left out by their ending: {shown}"
            )
        if self.links:
            shown = ", ".join(str(link.relative_to(root)) for link in self.links[:3])
            notes.append(f"{len(self.links)} symbolic link(s) to folders below {root} are not followed: {shown}")
        if self.loose:
            shown = ", ".join(path.name for path in self.loose[:3])
            notes.append(f"{len(self.loose)} image(s) in {root} lie in no class folder and are left out: {shown}")
        return notes


def split_of(name: str) -> SplitName | None:
    """Returns the split that a folder's name stands for, or None.

    >>> split_of("Training"), split_of("seg_test"), split_of("train_station")
    ('train', 'test', None)
    """
    words = _words(name)
    return next((split for split in SPLIT_NAMES if len(words) == 1 and words[0] in SPLIT_WORDS[split]), None)


def split_folders(root: Path, *, role: str) -> tuple[dict[SplitName, Path], list[str]]:
    """Returns the folders of the splits below a folder, and sentences about what lies beside them.

    A folder without a training split that has class folders is the training split itself.

    Raises:
        DataError: If two folders stand for one split, or others lie beside the splits.
    """
    folders = subfolders(root, role=role)
    found: dict[SplitName, list[Path]] = {}
    for folder in folders:
        if (split := split_of(folder.name)) is not None:
            found.setdefault(split, []).append(folder)
    if "train" not in found or not subfolders(_unwrapped(found["train"][0], role=role), role=role):
        if len(folders) > 1 and sum(map(len, found.values())) == len(folders):
            raise DataError(
                f"data.{role}: the folders of {root} are named as splits, {[folder.name for folder in folders]}, but "
                "no training folder holds class folders; put the images of each class of a split into a folder of its "
                "own, name them in a table (source: csv), or rename the folders if these are the classes"
            )
        return {"train": root}, []
    for split, several in found.items():
        if len(several) > 1:
            raise DataError(
                f"data.{role}: {several[0]} and {several[1]} are both the {split} split by their names; rename one, or "
                "give train, validation and test as paths of their own"
            )
    strangers = [folder.name for folder in folders if split_of(folder.name) is None]
    if unknown := [name for name in strangers if not _UNLABELLED.intersection(_words(name))]:
        raise DataError(
            f"data.{role}: beside {found['train'][0]} there may be validation and test only, found {unknown}; "
            "rename them, or give train, validation and test as paths of their own"
        )
    notes = [f"{root / name} is left out: it has no labels by its name" for name in strangers]
    return {split: _unwrapped(several[0], role=role) for split, several in found.items()}, notes


def subfolders(root: Path, *, role: str) -> list[Path]:
    """Returns the folders in a folder, by name, without hidden ones and those of systems.

    Raises:
        DataError: If the folder cannot be listed.
    """
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if not _is_of_system(entry.name) and entry.is_dir()]
    except OSError as exc:
        raise DataError(
            f"data.{role}: cannot list {root}: {exc.strerror}; give a folder of class folders, "
            "relative paths start at the study file"
        ) from exc
    return [root / name for name in sorted(names)]


def class_tree(root: Path, *, role: str) -> Tree:
    """Returns everything below the class folders of a folder.

    Raises:
        DataError: If a class folder has no image.
    """
    tree = Tree()
    for folder in subfolders(root, role=role):
        before = len(tree.images)
        _walk(folder, tree, role=role)
        if len(tree.images) == before:
            raise DataError(
                f"data.{role}: class folder {folder} has no images ({', '.join(sorted(SUFFIXES))}); "
                "add some or remove the folder"
            )
    tree.loose = [path for path in sorted(root.iterdir()) if path.suffix.lower() in SUFFIXES and _is_kept_file(path)]
    return tree


def image_tree(root: Path, *, role: str, without: Path | None = None) -> Tree:
    """Returns everything below a folder whose folders are no classes.

    Args:
        without: A folder below it that holds something else.

    Raises:
        DataError: If the folder cannot be listed.
    """
    tree = Tree()
    subfolders(root, role=role)
    _walk(root, tree, role=role)
    if without is not None and without.resolve().is_relative_to(root.resolve()):
        inner = root / without.resolve().relative_to(root.resolve())
        tree.images = [(name, path) for name, path in tree.images if inner not in path.parents]
        kept = {end: [path for path in paths if inner not in path.parents] for end, paths in tree.others.items()}
        tree.others = {end: paths for end, paths in kept.items() if paths}
    return tree


def equal_inner_folders(root: Path, *, role: str) -> Sequence[str]:
    """Returns the names of the folders that every class folder has, if all have the same ones and at least two."""
    inner = [{folder.name for folder in subfolders(folder, role=role)} for folder in subfolders(root, role=role)]
    return (
        sorted(inner[0]) if len(inner) > 1 and len(inner[0]) > 1 and all(names == inner[0] for names in inner) else ()
    )


def demand_known_classes(expected: Sequence[str], found: Mapping[str, Path], *, split: str) -> None:
    """Raises DataError if a split has a class that the training split lacks.

    Args:
        expected: The training classes.
        found: A file of each class of the split.
        split: Its name.
    """
    if extra := sorted(set(found) - set(expected)):
        raise DataError(
            f"data.{split}: the class folders {extra[:5]} (for example {found[extra[0]]}) are none of training, "
            f"which has {list(expected)[:5]}; give every split the same class folders"
        )


def _walk(folder: Path, tree: Tree, *, role: str) -> None:
    try:
        found = sorted(_below(folder, ()))
    except OSError as exc:
        raise DataError(
            f"data.{role}: cannot list {exc.filename}: {exc.strerror}; let this user read it, or move it out of "
            f"{folder}"
        ) from exc
    for _, path, entry in found:
        if entry.is_dir():
            if entry.is_symlink():
                tree.links.append(path)
        elif path.suffix.lower() in SUFFIXES and entry.is_file():
            tree.images.append((folder.name, path))
        elif entry.is_file() and path.name.lower() not in SYSTEM_FILES:
            tree.others.setdefault(path.suffix.lower(), []).append(path)


def _below(folder: Path, parents: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Path, os.DirEntry[str]]]:
    """Yields all that lies below a folder: its names from there on, its path and what the system's listing told of it.

    The listing tells files from folders by itself: of 60,000 images it takes a tenth of the time of asking for each.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_of_system(entry.name):
                continue
            path, names = folder / entry.name, (*parents, entry.name)
            yield names, path, entry
            if entry.is_dir(follow_symlinks=False):
                yield from _below(path, names)


def _unwrapped(folder: Path, *, role: str) -> Path:
    """Returns the innermost of folders of one split that hold nothing else: seg_train/seg_train."""
    inner = subfolders(folder, role=role)
    while len(inner) == 1 and split_of(inner[0].name) == split_of(folder.name):
        folder = inner[0]
        inner = subfolders(folder, role=role)
    return folder


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", name.lower()) if word and word not in _FILLERS]


def _is_of_system(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def _is_kept_file(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name.lower() not in SYSTEM_FILES
