"""The files that a user's function imports and opens while it builds a model: code by any name, weights, tables.

Python reports every file that it opens to audit hooks; a library that opens files by itself, such as HDF5's, does not.
"""

import hashlib
import os
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainables.user_code import is_below, loaded_files

_DIGITS = 12
_NOT_DATA = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/")
#: By the thread that builds, the files that it opened so far.
_opened: dict[int, set[str]] = {}
_is_watching = False
_built_from: weakref.WeakKeyDictionary[Any, Mapping[str, str]] = weakref.WeakKeyDictionary()


def built_from(model: Any) -> Mapping[str, str]:
    """Returns a hash of each file that a model was built from, by its path; nothing for a model of no user's code."""
    return _built_from.get(model, {})


class BuildFiles:
    """The files of one build.

    Args:
        folder: The folder of the user's module.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: set[str] = set()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Notes what this thread opens meanwhile."""
        _watch()
        thread = threading.get_ident()
        _opened[thread] = self._opened
        try:
            yield
        finally:
            del _opened[thread]

    def belong_to(self, model: Any) -> None:
        """Lets `built_from` return the files of a model: their paths are relative where they lie in the folder."""
        data = {Path(name) for name in self._opened if _is_data(name)}
        paths = {path.absolute() for path in (*data, *loaded_files(folder=self._folder)) if path.is_file()}
        _built_from[model] = {self._name(path): _hash(path) for path in sorted(paths)}

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix() if path.is_relative_to(self._folder) else path.as_posix()


def _watch() -> None:
    global _is_watching  # noqa: PLW0603 - Python never takes an audit hook away, so there is one for all builds
    if not _is_watching:
        _is_watching = True
        sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or (opened := _opened.get(threading.get_ident())) is None:
        return
    path, mode, flags = arguments
    is_read = "r" in mode if isinstance(mode, str) else not (flags & (os.O_WRONLY | os.O_RDWR))
    if is_read and isinstance(path, str | bytes | os.PathLike):
        opened.add(str(Path(os.fsdecode(path)).absolute()))


def _is_data(name: str) -> bool:
    """Returns whether an opened file is a user's data: none of Python's, of a library's, or of the system's."""
    if name.startswith((*_NOT_DATA, f"{sys.prefix}/", f"{sys.base_prefix}/")) or name.endswith((".py", ".pyc")):
        return False
    path = Path(name)
    return is_below(name, folder=Path(path.anchor)) and ".keras" not in path.parts


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
