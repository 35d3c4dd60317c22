"""What a folder holds: class folders, images beside masks, a table beside images, or the files of another source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.data.guess.files import NOUNS, by_split, guess_files, source_by_name
from trainables.data.guess.guess import DataGuess
from trainables.data.sources.base import SPLIT_NAMES
from trainables.data.sources.folder_tree import SUFFIXES, split_of, subfolders
from trainables.errors import DataError

_IMAGES = frozenset({"image", "images", "img", "imgs", "pictures", "photos"})
_MASKS = frozenset({"mask", "masks", "segmentation", "segmentations", "annotations", "labels"})
_CIFAR = (("data_batch_1.bin",), ("train.bin", "fine_label_names.txt"))
_RUN = ("journal.jsonl", "study.yaml")
_FIX = (
    "put the pictures of each class into a folder named for it (cats/1.jpg, dogs/1.jpg), or write a table train.csv "
    "with their names and labels"
)


def guess_folder(folder: Path) -> DataGuess:
    """Returns the data section that reads a folder.

    Raises:
        DataError: If nothing in it fits, or several things do.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    folders = subfolders(folder, role="path")
    if guess := _whole_set(folder, names=frozenset(path.name for path in files)) or _masked(folders):
        return guess
    if len(folders) == 1 and not files and _wraps(folders[0]):
        return guess_folder(folders[0])
    by_source = _by_source(files)
    kinds = [*(["class folders"] if _has_classes(folders) else []), *by_source]
    if len(kinds) > 1 and kinds != ["class folders", "csv"]:
        shown = ", ".join(f"{NOUNS[kind]} {by_source[kind][0].name}" for kind in kinds if kind in by_source)
        also = "class folders, " if kinds[0] == "class folders" else ""
        raise DataError(f"{folder}: may be read in several ways: {also}{shown}; give one of the files")
    if not kinds:
        return _deeper(folder, folders, files=files)
    if kinds[0] == "class folders":
        return _class_folders(folder, folders, tables=by_source.get("csv", []))
    found = by_source[kinds[0]]
    return _table(folder, found) if kinds == ["csv"] else guess_files(folder, found, source=kinds[0])


def _whole_set(folder: Path, *, names: frozenset[str]) -> DataGuess | None:
    """Returns the data section of a folder that a source reads as a whole: CIFAR's or MNIST's files.

    Raises:
        DataError: If it is a run folder.
    """
    if names.issuperset(_RUN):
        raise DataError(f"{folder}: is the folder of a run; go on with it: `convfleet resume {folder}`")
    data = {"path": str(folder)}
    if any(names.issuperset(wanted) for wanted in _CIFAR):
        return DataGuess(data={"source": "cifar_binary", **data}, reasons={"source": "CIFAR's binary files"})
    if any(source_by_name(name) == "idx" for name in names):
        return DataGuess(data={"source": "idx", **data}, reasons={"source": "MNIST's files, or their likes"})
    return None


def _by_source(files: Sequence[Path]) -> Mapping[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in files:
        if source := source_by_name(path.name):
            found.setdefault(source, []).append(path)
    return found


def _has_classes(folders: Sequence[Path]) -> bool:
    """Returns whether these folders are class folders, or splits of such."""
    named = [folder for folder in folders if split_of(folder.name) is None and folder.name.lower() not in _IMAGES]
    if sum(map(has_pictures, named)) >= 1:
        return True
    return any(
        split_of(folder.name) == "train" and any(map(has_pictures, subfolders(folder, role="path")))
        for folder in folders
    )


def has_pictures(folder: Path) -> bool:
    """Returns whether a picture lies below a folder."""
    return any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*") if not path.name.startswith("."))


def _class_folders(folder: Path, folders: Sequence[Path], *, tables: Sequence[Path]) -> DataGuess:
    splits = [split for split in SPLIT_NAMES if any(split_of(inner.name) == split for inner in folders)]
    words = "folders of pictures, one a class"
    if any(subfolders(inner, role="path") for inner in folders if split_of(inner.name) == "train"):
        words = f"folders of pictures, one a class, in folders of the splits {', '.join(splits)}"
    notes = tuple(
        f"{table} lies beside the class folders and is not read; `convfleet init {table}` reads it" for table in tables
    )
    return DataGuess(data={"source": "images", "path": str(folder)}, reasons={"source": words}, notes=notes)


def _masked(folders: Sequence[Path]) -> DataGuess | None:
    """Returns the data section of a folder of images beside one of masks, if these are all that lies there."""
    images = [inner for inner in folders if inner.name.lower() in _IMAGES and has_pictures(inner)]
    masks = [inner for inner in folders if inner.name.lower() in _MASKS and has_pictures(inner)]
    if len(images) != 1 or len(masks) != 1 or len(folders) != 2:
        return None
    data = {"source": "images", "path": str(images[0]), "masks": str(masks[0]), "targets": {"mask": {"kind": "mask"}}}
    reasons = {
        "source": f"{images[0].name}/ has the pictures and {masks[0].name}/ a mask of each, named alike",
        "targets": "a class for each pixel",
    }
    return DataGuess(data=data, reasons=reasons)


def _table(folder: Path, tables: Sequence[Path]) -> DataGuess:
    train = by_split(tables).get("train", [])
    if len(tables) > 1 and len(train) != 1:
        shown = ", ".join(path.name for path in tables[:4])
        raise DataError(
            f"{folder}: holds {len(tables)} tables ({shown}), and no single one is named for training; give the one "
            f"that has names of images and labels, such as `convfleet init {tables[0]}`"
        )
    table = train[0] if train else tables[0]
    others = ", ".join(path.name for path in tables if path != table)
    notes = (f"not read, as tables of tests often have no labels: {others}",) if others else ()
    return DataGuess(
        data={"source": "csv", "train": str(table)}, reasons={"source": f"the table {table.name}"}, notes=notes
    )


def _deeper(folder: Path, folders: Sequence[Path], *, files: Sequence[Path]) -> DataGuess:
    """Returns what a lone folder below holds, or Parquet files, tar archives and TFRecord files at any depth.

    Raises:
        DataError: If nothing fits.
    """
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
    below = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    for source in ("parquet", "webdataset", "tfrecord"):
        if found := sorted(path for path in below if source_by_name(path.name) == source):
            return guess_files(folder, found, source=source)
    if pictures or any(map(has_pictures, folders)):
        number = len(pictures) or sum(path.suffix.lower() in SUFFIXES for path in below)
        where = "lie in the folder itself" if pictures else "lie in no folder of a class"
        raise DataError(f"{folder}: {number} pictures {where}, and nothing says what they show; {_FIX}")
    if not below:
        raise DataError(f"{folder}: is empty; {_FIX}")
    endings = sorted({path.suffix.lower() or "no ending" for path in below})
    raise DataError(
        f"{folder}: holds no pictures and no file of a source that is known, but {len(below)} files "
        f"({', '.join(endings[:6])}); {_FIX}"
    )


def _wraps(folder: Path) -> bool:
    """Returns whether a lone folder is no class and no split, but holds what is looked for."""
    return split_of(folder.name) is None and not any(
        path.suffix.lower() in SUFFIXES for path in folder.iterdir() if not path.name.startswith(".")
    )
