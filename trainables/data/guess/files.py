"""Which source reads a file, by its name; files that people give and no source reads are refused with the way out."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.data.guess.guess import DataGuess
from trainables.data.records.webdataset import ENDINGS
from trainables.data.sources.array_keys import SPLIT_WORDS
from trainables.data.sources.base import SPLIT_NAMES, SplitName
from trainables.data.sources.folder_tree import SUFFIXES
from trainables.errors import DataError

#: By source, what its files are called.
NOUNS: Mapping[str, str] = {
    "npz": "NumPy archive",
    "parquet": "Parquet file",
    "csv": "table",
    "webdataset": "tar archive",
    "tfrecord": "TFRecord file",
}
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_IDX = re.compile(r".*images[-.]idx\d-\w+(\.gz)?")
#: Endings that no source reads -> what to do.
_STRANGERS: Mapping[tuple[str, ...], str] = {
    (".yaml", ".yml"): "is a study file by its ending: `convfleet run` takes it as it is",
    (".zip", ".rar", ".7z"): "is an archive: unpack it, and give the folder",
    (".xlsx", ".xls", ".ods"): "is a spreadsheet: save it as CSV in UTF-8, and give that",
    (".doc", ".docx", ".odt", ".rtf", ".pdf", ".pptx", ".txt", ".md"): "is a document, which holds no labelled images",
    (".h5", ".hdf5", ".mat", ".pkl", ".pickle", ".pt"): "is read by a function of yours (source: python)",
    (".npy",): "is a single array: save images and labels in one file with np.savez(path, x=..., y=...)",
}
_WANTED = (
    "give a folder of class folders, a CSV table with names of images, an .npz archive, a Parquet file, MNIST's or "
    "CIFAR's own files, tar archives or TFRecord files"
)


def source_by_name(name: str) -> str:
    """Returns the source that reads a file of this name; an empty text for any other file.

    >>> source_by_name("train-00000-of-00002.parquet"), source_by_name("labels.tsv"), source_by_name("notes.docx")
    ('parquet', 'csv', '')
    """
    lower = name.lower()
    if lower.startswith("."):
        return ""
    if lower.endswith(ENDINGS):
        return "webdataset"
    if ".tfrecord" in lower or lower.endswith(".tfrec"):
        return "tfrecord"
    if lower.endswith(_TABLES):
        return "csv"
    if _IDX.fullmatch(lower):
        return "idx"
    return {".npz": "npz", ".parquet": "parquet"}.get(Path(lower).suffix, "")


def guess_file(path: Path) -> DataGuess:
    """Returns the data section that reads a file.

    Raises:
        DataError: If no source reads it.
    """
    source = source_by_name(path.name)
    if source == "npz":
        return DataGuess(data={"source": source, "path": str(path)}, reasons={"source": "a NumPy archive"})
    if source == "idx":
        reason = "a file of images as MNIST has them; its labels lie beside it"
        return DataGuess(data={"source": source, "train": str(path)}, reasons={"source": reason})
    if source:
        return DataGuess(data={"source": source, "train": str(path)}, reasons={"source": f"a {NOUNS[source]}"})
    raise DataError(f"{path}: {_refusal(path)}")


def guess_files(folder: Path, files: Sequence[Path], *, source: str) -> DataGuess:
    """Returns the data section that reads files of one source in a folder, parted into splits by their names."""
    splits = by_split(files)
    noun, count = NOUNS[source], len(files)
    several = f"{count} {noun}s" if count > 1 else f"a {noun}"
    if "train" not in splits:
        # No name says what is for training: all of them are.
        if source == "npz" and count == 1:
            return guess_file(files[0])
        value = _pattern(folder, files)
        return DataGuess(data={"source": source, "train": value}, reasons={"source": several})
    data: dict[str, str] = {split: _pattern(folder, splits[split]) for split in SPLIT_NAMES if split in splits}
    left_out = sorted(path.name for path in files if not any(path in named for named in splits.values()))
    notes = (f"left out, as their names are of no split: {', '.join(left_out[:3])}",) if left_out else ()
    reasons = {"source": several, "train": f"the files' names say the split: {', '.join(data)}"}
    return DataGuess(data={"source": source, **data}, reasons=reasons, notes=notes)


def by_split(files: Sequence[Path]) -> dict[SplitName, list[Path]]:
    """Returns the files of each split, by a word of their names."""
    found: dict[SplitName, list[Path]] = {}
    for path in files:
        words = re.split(r"[\W_]+", path.name.lower())
        split = next((name for name in SPLIT_NAMES if set(words).intersection(SPLIT_WORDS[name])), None)
        if split is not None:
            found.setdefault(split, []).append(path)
    return found


def _pattern(folder: Path, files: Sequence[Path]) -> str:
    """Returns a file, a glob or the folder that stands for exactly these files."""
    if len(files) == 1:
        return str(files[0])
    source = source_by_name(files[0].name)
    if all(path.parent == folder for path in files):
        start = _common_start([path.name for path in files])
        endings = {path.suffix for path in files}
        pattern = f"{glob.escape(str(folder))}/{start}*{endings.pop() if len(endings) == 1 else ''}"
        if start and sorted(glob.glob(pattern)) == sorted(map(str, files)):  # noqa: PTH207 - as the sources do
            return pattern
    beside = [path for path in folder.rglob("*") if path.is_file() and source_by_name(path.name) == source]
    if sorted(beside) == sorted(files):
        return str(folder)
    raise DataError(
        f"{folder}: no pattern names these {len(files)} files and no other: {files[0].name}, {files[1].name}, ...; put "
        "the files of each split into a folder of its own, or write the study file yourself"
    )


def _common_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((at for at, sign in enumerate(first) if at >= len(last) or sign != last[at]), len(first))
    return first[:length]


def _refusal(path: Path) -> str:
    lower = path.name.lower()
    for endings, what in _STRANGERS.items():
        if lower.endswith(endings):
            return f"{what}; {_WANTED}" if "give" not in what and "run" not in what and "save" not in what else what
    if path.suffix.lower() in SUFFIXES:
        return f"is one image, which nothing can be learned from; {_WANTED}"
    return f"no source reads a file of this name; {_WANTED}"
