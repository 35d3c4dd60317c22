"""The data that a source of images returns, and the content hashes that identify it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trainables.data.images.images import Array, Images
from trainables.data.images.masks import Masks
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

SplitName = Literal["train", "validation", "test"]
#: Files that a thread hashes at once, and the bytes that it reads at once.
_FILES_A_TASK, _PIECE_BYTES = 64, 1 << 18
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSplit:
    """One split as its source has it: not checked and not decoded.

    Attributes:
        where: The split's name in errors, as the user wrote it.
        images: The split's images; of the training split those within the limit.
        labels: By target, one label an image, of any kind.
        all_labels: The training labels without the limit: a limit never changes the classes.
        columns: The values of the columns that splits are carved by (`DataSpec.split_columns`), one an image.
        weights: float32 (count,), how much each image counts in the training loss; None but for the training split of a
            study that names `data.sample_weight`.
        masks: By target, the masks of a source that does not have them as arrays among the labels.
    """

    where: str
    images: Images
    labels: Mapping[str, Array]
    all_labels: Mapping[str, Array]
    columns: Mapping[str, Array] = field(default_factory=dict)
    weights: Array | None = None
    masks: Mapping[str, Masks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDataset:
    """All splits of a source.

    Attributes:
        splits: At least train.
        class_names: By target, the class names that the source knows.
        notes: Sentences for the user about what was read, for example what was left out.
    """

    splits: Mapping[SplitName, RawSplit]
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSource:
    """A source that was found: hashes of its content, which no path enters, and the function that reads it.

    Attributes:
        content: Equal content and equal decoding settings give the same cache entry.
        read: Reads the splits; called at most once.
        notes: Sentences for the user about what `content` does not hold, for example the files that were left out.
        further_content: Returns more of the content, which takes long to hash and which not everybody asks for.
    """

    content: tuple[str, ...]
    read: Callable[[], RawDataset]
    notes: tuple[str, ...] = ()
    further_content: Callable[[], tuple[str, ...]] = tuple


def content_hashes(files: Iterable[tuple[str, Path]], *, progress: OnProgress) -> tuple[str, ...]:
    """Returns one text `role sha256` for each file, in order.

    Raises:
        DataError: If a file is missing or unreadable; the role names the field of the study file.
    """
    listed = list(files)

    hashes: list[str] = []
    # Several files a task: handing over a small one takes longer than hashing it.
    size = max(1, min(_FILES_A_TASK, len(listed) // (4 * (os.cpu_count() or 1))))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for texts in pool.map(_hashed, [listed[start : start + size] for start in range(0, len(listed), size)]):
            hashes += texts
            progress("hashing files", len(hashes), len(listed))
    return tuple(hashes)


def _hashed(files: Sequence[tuple[str, Path]]) -> list[str]:
    hashes = []
    for role, path in files:
        digest = hashlib.sha256()
        try:
            with path.open("rb", buffering=0) as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
        except OSError as exc:
            raise missing_file(role, path, exc) from exc
        hashes.append(f"{role} {digest.hexdigest()}")
    return hashes


def demand_different_files(files: Sequence[tuple[str, Path]], content: Sequence[str], *, spec: DataSpec) -> None:
    """Raises DataError if a file of one split is also one of another, by content, unless the study insists.

    Args:
        files: (split, file) in the order of `content`.
        content: What `content_hashes` returned for them.
        spec: The data section.
    """
    if spec.allow_overlap:
        return
    seen: dict[str, tuple[str, Path]] = {}
    for (split, path), text in zip(files, content, strict=True):
        other, other_path = seen.setdefault(text.rpartition(" ")[2], (split, path))
        if other != split:
            same = f"{path} is" if path == other_path else f"{path} is equal to {other_path},"
            raise DataError(
                f"data.{split}: {same} one of the files of {other}: a score on images that were trained on is worth "
                f"nothing; name the files of each split (for example {other}: folder/{other}-*), or insist with "
                "data.allow_overlap: true"
            )


def missing_file(role: str, path: Path, exc: OSError) -> DataError:
    """Returns the error of a file that cannot be opened."""
    reason = exc.strerror or str(exc)
    return DataError(
        f"data.{role}: cannot read {path}: {reason}; check the path, relative ones start at the study file"
    )
