"""Loads what a study names as `module:name` beside its file, and checks that its code is what the study began with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from trainables.errors import DataError, UserCodeError
from trainables.specs.worker import OwnCode
from trainables.user_code import (
    forget_modules,
    importable,
    is_below,
    load_function,
    module_file,
    source_of,
    split_reference,
    user_error,
    user_frames,
)

T = TypeVar("T")


def load_own(reference: str, own: OwnCode, *, where: str) -> Any:
    """Returns the function, class or object that `module:name` names.

    Args:
        reference: The name.
        own: Where the module lies, and what its code was.
        where: What errors call it, such as `loss 'my_losses:focal'`.

    Raises:
        UserCodeError: The folder has no such module, or the module no such name. Errors of the module's own lines pass
            unchanged.
        DataError: The code has changed since the study began.
    """
    folder = Path(own.folder or ".").absolute()
    if split_reference(reference) is None:
        raise UserCodeError(f"{where}: expected 'module:name', a module in {folder}; for example 'my_code:build'")
    check_source(own.source, reference, folder=folder, where=where)
    module, found = guarded(lambda: load_function(reference, folder=folder), where=where, own=own, takes="")
    if not is_below(str(module.__file__), folder=folder):
        raise UserCodeError(
            f"{where}: the name {module.__name__!r} already belongs to {module.__file__}; rename the module in {folder}"
        )
    return found


def made(found: Any, own: OwnCode, *, where: str) -> Any:
    """Returns an object of a class, or what a function without arguments returns."""
    with importable(Path(own.folder or ".").absolute()):
        return guarded(found, where=where, own=own, takes="no arguments")


def begin_anew(own: OwnCode) -> None:
    """Lets the next use of a user's modules run them anew: what one trial changed in them must not reach the next."""
    if own.folder:
        forget_modules(Path(own.folder).absolute())


def check_source(source: str, reference: str, *, folder: Path, where: str) -> None:
    """Raises DataError if the code has changed since the study began; without a source, any code passes."""
    if not source:
        return
    module = reference.partition(":")[0]
    try:
        is_there = module_file(module, folder=folder) is not None
        found = source_of([module], folder=folder) if is_there else "no such file"
    except (OSError, ValueError, SyntaxError) as exc:
        found = f"unreadable: {exc}"
    if found not in source.split(","):
        raise DataError(
            f"{where}: its code in {folder} was changed while the study runs (got {found}, expected {source}); restore "
            "it, or run the study anew in a new folder"
        )


def guarded(call: Callable[[], T], *, where: str, own: OwnCode, takes: str) -> T:
    """Returns what a call returns; what leaves no line of the user's in the traceback is told in words.

    Args:
        call: Runs the user's code.
        where: What errors call it.
        own: Where the user's files lie.
        takes: The arguments that it is called with.
    """
    folder = Path(own.folder or ".").absolute()
    try:
        return call()
    except SystemExit as exc:
        raise UserCodeError(user_error(exc, folder=folder) or f"{where}: raised SystemExit") from exc
    except ModuleNotFoundError as exc:
        if user_frames(exc, folder=folder):
            raise
        raise UserCodeError(f"{where}: {exc}; expected the module in {folder}") from exc
    except TypeError as exc:
        if user_frames(exc, folder=folder):
            raise
        raise UserCodeError(f"{where}: must take {takes}: {exc}") from exc
