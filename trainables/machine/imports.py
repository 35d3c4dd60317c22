"""The import of TensorFlow and Keras into a worker, which is the longest part of its start."""

import functools
import gc
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Keras imports it only to offer wrappers for it; with SciPy, which it imports, it takes a fifth of the time.
_NOT_NEEDED = "sklearn"
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
    """Imports TensorFlow and Keras without scikit-learn, unless that is imported already; users' code may import it."""
    with _LOCK:
        if "keras" in sys.modules:
            return
        with quick_imports(), _hidden(_NOT_NEEDED):
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
def _hidden(name: str) -> Iterator[None]:
    """Makes the import of a package fail for a while, as if it were not installed."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
