"""Prepares a data set at most once on a node, for any number of processes and studies."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from trainables.data.cache.array_folder import SCHEMA_VERSION, cannot_write, read_manifest
from trainables.data.cache.dataset import SPLITS_FOLDER, Dataset, Split, open_dataset
from trainables.data.cache.entry import (
    SourceSurvey,
    build_entry,
    build_splits,
    demand_whole_folds,
    examine,
    fingerprint,
    own_splits,
    statistics_of,
    task_of,
)
from trainables.data.cache.sources import SOURCES
from trainables.data.cache.storage_choice import (
    ENCODED_SUFFIX,
    ImagesSize,
    cache_folder,
    chosen_storage,
    entry_name,
    memory_budget_bytes,
)
from trainables.data.formats.files import decoders
from trainables.data.images.images import LEAST_REDUCED
from trainables.data.look.sentences import refuse_worthless, sentences
from trainables.data.sources.base import OpenedSource
from trainables.data.splits.rows import split_settings
from trainables.errors import DataError
from trainables.files.manifests import MANIFEST
from trainables.progress import OnProgress, no_progress
from trainables.specs.data import DataSpec
from trainables.specs.dataset import IMAGE_STORAGES, DatasetInfo, ImageStorage
from trainables.specs.pixels import PixelRule

__all__ = [
    "Dataset",
    "DatasetInfo",
    "Split",
    "cache_folder",
    "entry_key",
    "open_dataset",
    "prepare_dataset",
    "prepare_folds",
]

#: The settings that determine the decoded arrays, together with the content.
DECODING_FIELDS = (
    "source", "name", "limit", "image_size", "channels", "image_column", "inputs", "function", "pixel_range",
    "background", "pages", "reduced_decoding",
)  # fmt: skip

LOCKS_FOLDER = "locks"
BUILDING = ".building-"


def prepare_dataset(
    spec: DataSpec,
    seed: int,
    *,
    progress: OnProgress | None = None,
    storage: ImageStorage | None = None,
    verify: bool = False,
) -> DatasetInfo:
    """Returns the prepared data set, decoding it only if this node has no whole entry.

    The entry's key is a hash of the content of all input files and of the settings that decide the decoding, not of
    any path: a copied file finds the same entry. Different seeds and fractions share the decoded images.
    Source `keras` may import TensorFlow and source `python` runs the user's code in this process; `prepare_in_process`
    keeps both out of the caller.

    Args:
        spec: The data section with absolute paths (`DataSpec.resolved`).
        seed: Determines the rows of the splits that the source does not have; >= 0.
        progress: Receives each stage and how far it is.
        storage: How images are kept; None: decided by `spec.memory_gb` or this machine's memory.
        verify: Whether to compare the cached arrays with their hashes and to rebuild what differs.

    Raises:
        DataError: If the data is wrong or the cache cannot be written.
    """
    return prepare_folds(spec, seed, folds=(), progress=progress, storage=storage, verify=verify)[0]


def prepare_folds(  # noqa: PLR0913 - what `prepare_dataset` takes, and the folds
    spec: DataSpec,
    seed: int,
    *,
    folds: Sequence[int],
    progress: OnProgress | None = None,
    storage: ImageStorage | None = None,
    verify: bool = False,
) -> list[DatasetInfo]:
    """Returns the prepared data set, then the same images with each of the folds as the validation split.

    All of them share the decoded images; see `prepare_dataset`.

    Args:
        spec: The data section with absolute paths (`DataSpec.resolved`).
        seed: Determines the rows of the splits that the source does not have; >= 0.
        folds: Numbers from 1 to `spec.folds`; with any of them, each fold must train and validate on all classes.
        progress: Receives each stage and how far it is.
        storage: How images are kept; None: decided by `spec.memory_gb` or this machine's memory.
        verify: Whether to compare the cached arrays with their hashes and to rebuild what differs.

    Raises:
        DataError: If the data is wrong or the cache cannot be written.
    """
    progress = progress or no_progress
    cache = cache_folder(spec)
    opened = SOURCES[spec.source](spec, progress)
    key = entry_key(spec, opened)
    specs = [spec, *(spec.model_copy(update={"fold": fold}) for fold in folds)]
    with _exclusive(cache, key, progress=progress):
        _remove_leftovers(cache, own_key=key)
        entry, manifest = _ensure_entry(
            cache, key, spec=spec, opened=opened, storage=storage, verify=verify, on=progress
        )
        rows = [_ensure_rows(entry, each, seed=seed, manifest=manifest, verify=verify) for each in specs]
    if folds:
        demand_whole_folds(entry, manifest, rows=[folder for folder, _ in rows], specs=specs)
    found = []
    for each, (folder, split_manifest) in zip(specs, rows, strict=True):
        refuse_worthless(split_manifest["look"], spec=each)
        info = _info(entry, spec=each, split_key=folder.name, manifest=manifest, split_manifest=split_manifest)
        found.append(replace(info, notes=(*opened.notes, *info.notes)))
    return found


def _ensure_entry(  # noqa: PLR0913 - what decides an entry, and how it is made
    cache: Path,
    key: str,
    *,
    spec: DataSpec,
    opened: OpenedSource,
    storage: ImageStorage | None,
    verify: bool,
    on: OnProgress,
) -> tuple[Path, dict[str, Any]]:
    """Returns the folder of the decoded images and its manifest, after decoding them where they are missing."""

    @functools.cache
    def source() -> SourceSurvey:
        try:
            return examine(opened.read(), spec=spec, progress=on)
        except OSError as exc:
            raise DataError(f"data: the source cannot be read: {exc}; check its files, or write them again") from exc

    if storage is None:
        size = _known_size(cache, key) or source().size
        storage = chosen_storage(size, budget_bytes=memory_budget_bytes(spec))
    entry = cache / entry_name(key, storage)

    def build(folder: Path) -> None:
        build_entry(folder, source(), key=entry.name, storage=storage, progress=on)

    return entry, _ensure(entry, build, verify=verify)


def _ensure_rows(
    entry: Path, spec: DataSpec, *, seed: int, manifest: dict[str, Any], verify: bool
) -> tuple[Path, dict[str, Any]]:
    """Returns the folder of the rows of each split and its manifest, after drawing them where they are missing."""
    settings = split_settings(own_splits(manifest), spec=spec, seed=seed)
    folder = entry / SPLITS_FOLDER / _hashed(settings)[:16]

    def build(draft: Path) -> None:
        build_splits(draft, entry, manifest=manifest, settings=settings)

    return folder, _ensure(folder, build, verify=verify)


def entry_key(spec: DataSpec, opened: OpenedSource) -> str:
    """Returns the name of the cache entry for a source's content under the spec's decoding settings."""
    decoding: dict[str, Any] = {field: getattr(spec, field) for field in DECODING_FIELDS}
    # A study without them has the key that it had before them.
    decoding |= spec.split_columns
    if spec.reduced_decoding:
        decoding["least_reduced"] = LEAST_REDUCED
    decoding |= {} if spec.sample_weight is None else {"sample_weight": spec.sample_weight}
    # Losses, weights and metrics do not change what is stored.
    if named := {name: target.class_names for name, target in spec.target_specs.items() if target.class_names}:
        decoding["class_names"] = named
    decoding["targets"] = [[name, target.kind, target.column] for name, target in spec.target_specs.items()]
    described = {"schema_version": SCHEMA_VERSION, "decoders": decoders()}
    return _hashed({**described, "decoding": decoding, "content": (*opened.content, *opened.further_content())})[:32]


@contextmanager
def _exclusive(cache: Path, key: str, *, progress: OnProgress) -> Iterator[None]:
    """Holds the key's lock, which the operating system frees even if this process is killed."""
    lock = _lock(cache, key)
    try:
        # A new folder is private to its owner; an existing folder for several users keeps its permissions.
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        (cache / LOCKS_FOLDER).mkdir(exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress("waiting for another process to prepare this data", 0, 1)
            lock.acquire()
    except OSError as exc:
        raise cannot_write(cache, exc) from exc
    try:
        yield
    finally:
        lock.release()


def _lock(cache: Path, key: str) -> FileLock:
    return FileLock(cache / LOCKS_FOLDER / f"{key}.lock")


def _ensure(folder: Path, build: Callable[[Path], None], *, verify: bool) -> dict[str, Any]:
    """Returns the manifest of a whole folder; a missing or damaged one is built under another name and renamed."""
    if (folder / MANIFEST).exists():
        try:
            return read_manifest(folder, verify=verify)
        except DataError:
            _discard(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            _discard(folder)
        temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}{BUILDING}", dir=folder.parent))
    except OSError as exc:
        raise cannot_write(folder.parent, exc) from exc
    try:
        build(temporary)
        _let_users_of_the_cache_read(temporary)
        temporary.rename(folder)
    except OSError as exc:
        raise cannot_write(folder.parent, exc) from exc
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_manifest(folder)


def _let_users_of_the_cache_read(folder: Path) -> None:
    """Gives an entry permissions that do not depend on its builder: every user of the cache may read it."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)


def _discard(folder: Path) -> None:
    """Renames a damaged folder and removes it; processes that have it open keep their pages."""
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}{BUILDING}", dir=folder.parent))
    folder.rename(aside / "damaged")
    shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(cache: Path, *, own_key: str) -> None:
    """Removes the leftovers of killed builders: of this key, whose lock is held, and of keys without a builder."""
    own = [cache / entry_name(own_key, storage) / SPLITS_FOLDER for storage in IMAGE_STORAGES]
    for leftover in chain(cache.glob(f"*{BUILDING}*"), *(splits.glob(f"*{BUILDING}*") for splits in own)):
        key = own_key if leftover.parent != cache else leftover.name.split(BUILDING)[0].removesuffix(ENCODED_SUFFIX)
        if key == own_key:
            shutil.rmtree(leftover, ignore_errors=True)
            continue
        lock = _lock(cache, key)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        try:
            shutil.rmtree(leftover, ignore_errors=True)
        finally:
            lock.release()


def _known_size(cache: Path, key: str) -> ImagesSize | None:
    """Returns the images' size, if an entry of either storage records it."""
    for storage in IMAGE_STORAGES:
        try:
            return ImagesSize(**read_manifest(cache / entry_name(key, storage))["size"])
        except DataError:
            continue
    return None


def _info(
    entry: Path, *, spec: DataSpec, split_key: str, manifest: dict[str, Any], split_manifest: dict[str, Any]
) -> DatasetInfo:
    sizes = {name: split_manifest["arrays"][f"{name}_indices"]["shape"][0] for name in ("train", "validation", "test")}
    return DatasetInfo(
        key=manifest["key"],
        split_key=split_key,
        folder=str(entry),
        task=task_of(manifest, spec=spec),
        statistics=statistics_of(split_manifest),
        num_train=sizes["train"],
        num_validation=sizes["validation"],
        num_test=sizes["test"],
        fingerprint=fingerprint(manifest, split_manifest),
        storage=manifest["storage"],
        decoded_bytes=manifest["size"]["decoded_bytes"],
        notes=(
            *manifest["notes"],
            *split_manifest.get("notes", ()),
            *sentences(split_manifest["look"], spec=spec),
        ),
        look=split_manifest["look"],
        pixel_rule=PixelRule.from_json(manifest["pixel_rule"]),
        decoders=manifest["decoders"],
        is_validation_carved=split_manifest["rows_of"]["validation"] == "train",
    )


def _hashed(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
