"""The family `custom`: the model that a function of the user's returns, checked against the task."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import keras

from trainables.data.errors import DataError
from trainables.errors import UserCodeError
from trainables.families.custom_check import check_model
from trainables.specs.task import Task
from trainables.user_code import importable, is_below, load_function, split_reference, user_error, user_frames
from trainables.user_source import module_file, source_of

Result = TypeVar("Result")


def build(params: Mapping[str, Any], *, task: Task) -> keras.Model:
    """Returns the model that the user's function returns for (params, input_shape, targets).

    params: `function`, `source`, `study_dir` and `own_parameters`, of which the function gets only the last.

    Raises: UserCodeError: if it returns anything but a model of this task. DataError: if its code is not what the study
        began with. Whatever the function itself raises is passed on: InfeasibleError refuses a variant in words.
    """
    reference, folder = params["function"], Path(params["study_dir"] or ".").absolute()
    where = f"function {reference!r}"
    if split_reference(reference) is None:
        raise UserCodeError(f"{where}: expected 'module:function', a module in {folder}; for example 'my_nets:build'")
    _check_source(params["source"], reference, folder=folder)
    with importable(folder):
        module, function = _guarded(lambda: load_function(reference, folder=folder), where=where, folder=folder)
        if not is_below(str(module.__file__), folder=folder):
            raise UserCodeError(
                f"{where}: the name {module.__name__!r} already belongs to {module.__file__}; rename the module in "
                f"{folder}"
            )
        model = _guarded(
            lambda: function(dict(params["own_parameters"]), input_shape_of(task), task.targets),
            where=where,
            folder=folder,
        )
        check_model(model, task, where=where, folder=folder)
        return model


def input_shape_of(task: Task) -> tuple[int, int, int] | dict[str, tuple[int, int, int]]:
    """Returns (height, width, channels), by name where the task has several image inputs."""
    return task.input_shape if len(task.inputs) == 1 else dict.fromkeys(task.inputs, task.input_shape)


def _check_source(source: str, reference: str, *, folder: Path) -> None:
    """Raises DataError where the code is not what the study began with; without a source, whatever it is."""
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


def _guarded(call: Callable[[], Result], *, where: str, folder: Path) -> Result:
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
