"""Callbacks of a user's, made anew for a training, and what of Keras's callbacks a compiled epoch cannot call."""

from collections.abc import Sequence
from typing import Any

from keras.callbacks import Callback

from trainables.errors import UserCodeError
from trainables.own_code.loading import load_own, made
from trainables.specs.worker import OwnCode

#: Methods that Keras's `fit` calls for each batch.
_OF_BATCHES = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def make_callbacks(references: Sequence[str], own: OwnCode) -> list[tuple[str, Callback]]:
    """Returns new callbacks with what errors call them.

    Args:
        references: `module:name` each, of a class of keras.callbacks.Callback or of a function that returns one;
            neither takes arguments.
        own: Where the modules lie.

    Raises:
        UserCodeError: One is no callback, or has a method for batches.
    """
    return [_made(reference, own, where=f"callback {reference!r}") for reference in references]


def _made(reference: str, own: OwnCode, *, where: str) -> tuple[str, Callback]:
    found = load_own(reference, own, where=where)
    callback = made(found, own, where=where)
    if not isinstance(callback, Callback):
        raise UserCodeError(
            f"{where}: expected a class of keras.callbacks.Callback, or a function without arguments that returns one, "
            f"got {callback!r} of it; derive the class from keras.callbacks.Callback"
        )
    if methods := [name for name in _OF_BATCHES if _is_own(callback, name)]:
        raise UserCodeError(
            f"{where}: has {', '.join(methods)}, but an epoch runs compiled as a whole, without a call between its "
            "batches; use on_epoch_begin and on_epoch_end"
        )
    return where, callback


def _is_own(callback: Callback, name: str) -> bool:
    method: Any = getattr(callback, name)
    # One of an object's own is a plain function.
    return getattr(method, "__func__", method) is not getattr(Callback, name)
