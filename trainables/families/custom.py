"""The family `custom`: builds the model by the user's function and checks it against the task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from trainables.errors import UserCodeError
from trainables.families.parts.build_files import BuildFiles
from trainables.families.parts.context import BuildContext
from trainables.families.parts.model_checks import check_model
from trainables.families.parts.own_parameters import NotingParameters, check_read
from trainables.own_code.loading import guarded, load_own
from trainables.specs.task import Task
from trainables.specs.worker import OwnCode
from trainables.user_code import importable, split_reference, texts_of


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
    code = OwnCode(folder=str(folder), source=params["source"])
    files = BuildFiles(folder)
    with importable(folder), files.noted():
        function = load_own(reference, code, where=where)
        own = NotingParameters(context.own_parameters)
        model: Any = guarded(
            lambda: function(own, input_shape_of(task), task.targets),
            where=where,
            own=code,
            takes="(params, input_shape, targets)",
        )
        check_model(model, task, where=where, folder=folder)
        if not context.may_ignore:
            check_read(own, where=where, texts=texts_of(reference.partition(":")[0], folder=folder))
    files.belong_to(model)
    return model


def input_shape_of(task: Task) -> tuple[int, int, int] | dict[str, tuple[int, int, int]]:
    """Returns (height, width, channels), by name where the task has several image inputs."""
    return task.input_shape if len(task.inputs) == 1 else dict.fromkeys(task.inputs, task.input_shape)
