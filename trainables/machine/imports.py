"""The import of TensorFlow and Keras into a worker, which is the longest part of its start."""

import functools
import gc
import importlib
import sys
import threading
import typing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Keras asks for scikit-learn only to offer wrappers for it, and an old Keras inside of TensorFlow, with which nobody
#: trains, for SciPy; the two take about a sixth of the time.
_NOT_NEEDED = ("scipy", "sklearn")
#: The module that imports TensorFlow when Ray imports it.
_PRELOADED = "trainables.worker.preloaded"
_LOCK = threading.Lock()


@contextmanager
def quick_imports() -> Iterator[None]:
    """Keeps the garbage collector from looking through all objects again and again while modules are imported.

    There is no garbage among modules. The collections take a quarter of the import of TensorFlow or of Ray Tune.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras without scikit-learn and SciPy, unless these are imported; users' code may do it.

    Keras's wrappers for scikit-learn then say that it is missing.
    """
    with _LOCK:
        if "keras" in sys.modules:
            return
        with quick_imports(), _hidden(_NOT_NEEDED), _each_text_compiled_once():
            import keras  # noqa: F401
            import tensorflow as tf  # noqa: F401


@contextmanager
def imported_meanwhile(*modules: str) -> Iterator[None]:
    """Imports modules in a thread while the block runs; where one fails, whoever needs it finds out why.

    Args:
        modules: Their full names.
    """

    def import_all() -> None:
        for module in modules:
            with quick_imports(), suppress(Exception):
                importlib.import_module(module)

    thread = threading.Thread(target=import_all, name="import")
    thread.start()
    try:
        yield
    finally:
        # Python may not end while a thread imports.
        thread.join()


@functools.cache
def spare_imports() -> None:
    """Makes the garbage collector pass over all present objects for good, which take it 0.3 s a time.

    To be called when all is imported and no model exists: objects that hold a model would be passed over as well.
    """
    gc.collect()
    gc.freeze()


def early_import() -> tuple[float, float] | None:
    """Returns begin and end, by `time.monotonic`, of an import of TensorFlow ahead of all trials; None if none was."""
    preloaded = sys.modules.get(_PRELOADED)
    return (preloaded.BEGAN, preloaded.ENDED) if preloaded is not None else None


@contextmanager
def _hidden(names: Sequence[str]) -> Iterator[None]:
    """Makes this thread's imports of packages fail for a while, as if they were not installed.

    Args:
        names: The packages; one that is imported already stays.
    """
    finder = _Hiding(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Hiding(MetaPathFinder):
    """Finds that packages are not installed, for the thread that made it.

    Args:
        names: The packages.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._thread = frozenset(names), threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


@contextmanager
def _each_text_compiled_once() -> Iterator[None]:
    """Keeps `typing` from compiling a text again that it has compiled.

    The functions of TensorFlow's operations name their types as texts, 18,000 times the same dozen.
    """
    setattr(typing, "compile", functools.cache(compile))  # noqa: B010 - a name that typing does not have
    try:
        yield
    finally:
        delattr(typing, "compile")
