"""Reads the arrays that the user's own function beside the study file returns."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from trainables.data.images.images import Array
from trainables.data.labels.plain import plain_labels
from trainables.data.sources.array_keys import NamedArrays
from trainables.data.sources.array_splits import array_dataset, plain_images
from trainables.data.sources.base import OpenedSource, RawDataset, SplitName
from trainables.data.sources.folder_tree import split_of
from trainables.errors import DataError, UserCodeError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec
from trainables.user_code import importable, load_function, user_frames

T = TypeVar("T")

#: The splits of so many pairs of images and labels.
_SPLITS: Mapping[int, Sequence[SplitName]] = {2: ("train", "test"), 3: ("train", "validation", "test")}


def open_python(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns what the function returned; it is called once a preparation, also when the cache has its data.

    The content is the module's file and the returned arrays: what else the function reads shows in those.
    """
    where = f"data.function {spec.function!r}"
    progress("calling the function", 0, 1)
    module_file, returned = _call(spec, where=where)
    named = _as_arrays(returned, where=where)
    content = [f"module {hashlib.sha256(module_file.read_bytes()).hexdigest()}"] if module_file else []
    for key, array in sorted(named.items()):
        digest = hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()
        content.append(f"{key} {array.dtype} {array.shape} {digest}")
    arrays = NamedArrays(named, named.__getitem__)

    def read() -> RawDataset:
        return replace(array_dataset(arrays, where=where, spec=spec), notes=arrays.notes(where=where))

    return OpenedSource(content=tuple(content), read=read)


def _call(spec: DataSpec, *, where: str) -> tuple[Path | None, object]:
    reference, folder = spec.function or "", Path(spec.function_dir or ".").absolute()
    with importable(folder):
        module, function = _guarded(lambda: load_function(reference, folder=folder), where=where, folder=folder)
        module_file = Path(module.__file__) if module.__file__ else None
        return module_file, _guarded(function, where=where, folder=folder)


def _guarded(call: Callable[[], T], *, where: str, folder: Path) -> T:
    try:
        return call()
    except UserCodeError as exc:
        raise DataError(f"{where}: {exc}") from exc
    except (Exception, SystemExit) as exc:  # the user's code may raise anything; the message quotes its lines
        frames = user_frames(exc, folder=folder)
        if isinstance(exc, ModuleNotFoundError) and not frames:
            raise DataError(f"{where}: {exc}; expected the module in {folder}") from exc
        text = "".join(traceback.format_list(frames)).rstrip()
        raise DataError(f"{where}: raised {type(exc).__name__}: {exc}\n{text}".rstrip()) from exc


def _as_arrays(returned: object, *, where: str) -> dict[str, Array]:
    if isinstance(returned, Mapping):
        if returned and all(split_of(str(key)) and _is_pair(pair) for key, pair in returned.items()):
            named = {
                f"{part}_{key}": value for key, pair in returned.items() for part, value in zip("xy", pair, strict=True)
            }
            return _as_arrays(named, where=where)
        return {str(key): _array(value, where=f"{where}: {key}") for key, value in returned.items()}
    if isinstance(returned, tuple | list) and len(returned) in _SPLITS and all(map(_is_pair, returned)):
        return {
            f"{part}_{split}": _array(value, where=f"{where}: {part}_{split}")
            for split, pair in zip(_SPLITS[len(returned)], returned, strict=True)
            for part, value in zip("xy", pair, strict=True)
        }
    if isinstance(returned, tuple | list) and len(returned) == 2:
        return {"x": _array(returned[0], where=f"{where}: x"), "y": _array(returned[1], where=f"{where}: y")}
    raise DataError(
        f"{where}: expected it to return (x, y), Keras's ((x_train, y_train), (x_test, y_test)), or a dictionary with "
        f"x_train, y_train and so on, got {type(returned).__name__}; return arrays"
    )


def _is_pair(part: object) -> bool:
    """Returns whether a value is images and as many labels, not images alone."""
    if not isinstance(part, tuple | list) or len(part) != 2:
        return False
    try:
        images, labels = np.shape(part[0]), np.shape(part[1])
    except ValueError:
        return False  # Lists of different lengths.
    return len(images) >= 3 and 1 <= len(labels) <= 2 and images[0] == labels[0]


def _array(value: object, *, where: str) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as exc:
        raise DataError(f"{where}: cannot become an array: {exc}; stack equal sizes with np.stack") from exc
    if array.dtype.kind not in "OT":
        return array
    labels = plain_labels(array, where=where)
    return labels if labels.dtype != object else plain_images(array, where=where)
