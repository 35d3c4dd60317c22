"""The import of TensorFlow and Keras into a worker, which is the longest part of its start."""

import functools
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: What Keras imports only to offer wrappers for it, with all of SciPy behind it: a fifth of the time.
_NOT_NEEDED = "sklearn"
#: Imports TensorFlow when it is imported itself.
_PRELOADED = "trainables.worker.preloaded"
_LOCK = threading.Lock()


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras without scikit-learn, unless that is there already; users' code may import it."""
    with _LOCK:
        if "keras" in sys.modules:
            return
        with _hidden(_NOT_NEEDED):
            import keras  # noqa: F401
            import tensorflow as tf  # noqa: F401


@functools.cache
def spare_imports() -> None:
    """Lets the garbage collector pass over all that there is by now, which takes it 0.3 s a time, for good.

    To be called once all is imported and no model is there: what holds one of them would be passed over as well.
    """
    gc.collect()
    gc.freeze()


def early_import() -> tuple[float, float] | None:
    """Returns when TensorFlow was imported ahead of all trials, as `time.monotonic` tells: begin and end; else None."""
    preloaded = sys.modules.get(_PRELOADED)
    return (preloaded.BEGAN, preloaded.ENDED) if preloaded is not None else None


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Makes an import of a package fail for a while, as if it was not installed."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
