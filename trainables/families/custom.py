"""The family `custom`: builds the model by the user's function and checks it against the task."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import keras

from trainables.errors import DataError, UserCodeError
from trainables.families.parts.build_files import BuildFiles
from trainables.families.parts.context import BuildContext
from trainables.families.parts.model_checks import check_model
from trainables.families.parts.own_parameters import NotingParameters, check_read
from trainables.specs.task import Task
from trainables.user_code import (
    importable,
    is_below,
    load_function,
    module_file,
    source_of,
    split_reference,
    texts_of,
    user_error,
    user_frames,
)

T = TypeVar("T")


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model that the user's function returns for (params, input_shape, targets).

    Args:
        params: `function` and `source`.
        context: Its `own_parameters` are the function's `params`; its `study_dir` is the folder of the user's module.

    Raises:
        UserCodeError: If the function returns anything but a model of this task.
        DataError: If the function's code has changed since the study began. Errors of the function itself pass
            unchanged; it may raise InfeasibleError to refuse a variant.
    """
    reference, folder = params["function"], Path(context.study_dir or ".").absolute()
    where = f"function {reference!r}"
    if split_reference(reference) is None:
        raise UserCodeError(f"{where}: expected 'module:function', a module in {folder}; for example 'my_nets:build'")
    _check_source(params["source"], reference, folder=folder)
    files = BuildFiles(folder)
    with importable(folder), files.noted():
        module, function = _guarded(lambda: load_function(reference, folder=folder), where=where, folder=folder)
        if not is_below(str(module.__file__), folder=folder):
            raise UserCodeError(
                f"{where}: the name {module.__name__!r} already belongs to {module.__file__}; rename the module in "
                f"{folder}"
            )
        own = NotingParameters(context.own_parameters)
        model: Any = _guarded(lambda: function(own, input_shape_of(task), task.targets), where=where, folder=folder)
        check_model(model, task, where=where, folder=folder)
        if not context.may_ignore:
            check_read(own, where=where, texts=texts_of(reference.partition(":")[0], folder=folder))
    files.belong_to(model)
    return model


def input_shape_of(task: Task) -> tuple[int, int, int] | dict[str, tuple[int, int, int]]:
    """Returns (height, width, channels), by name where the task has several image inputs."""
    return task.input_shape if len(task.inputs) == 1 else dict.fromkeys(task.inputs, task.input_shape)


def _check_source(source: str, reference: str, *, folder: Path) -> None:
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
            f"function {reference!r}: its code in {folder} was changed while the study runs (got {found}, expected "
            f"{source}); restore it, or run the study anew in a new folder"
        )


def _guarded(call: Callable[[], T], *, where: str, folder: Path) -> T:
    """Returns what a call returns; what leaves no line of the user's in the traceback is told in words."""
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
        raise UserCodeError(f"{where}: must take (params, input_shape, targets): {exc}") from exc
