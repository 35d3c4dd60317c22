"""Checks a model of a user's against its task, before anything is trained."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainables.errors import UserCodeError
from trainables.families.parts.inputs import example_data
from trainables.specs.task import Target, Task
from trainables.user_code import in_words, user_frames

#: The allowed distance of an image's sum of probabilities from 1; half precision needs some.
_TOLERANCE = 0.01
_NUM_PROBES = 2
_SIZES = {
    "classification": "one probability a class",
    "multilabel": "one probability a flag",
    "mask": "one probability a class for each pixel",
    "regression": "one number a value",
}


def check_model(model: object, task: Task, *, where: str, folder: Path) -> None:
    """Raises UserCodeError if the value is no model of this task; errors from the user's own lines pass unchanged.

    Args:
        where: The function's name in errors.
        folder: The folder of the user's files.
    """
    if not isinstance(model, keras.Model):
        raise UserCodeError(
            f"{where}: expected it to return a keras.Model, got {_described(model)}; end it with "
            "return keras.Model(inputs, outputs)"
        )
    _check_outputs(_symbolic_outputs(model, task, where=where, folder=folder), task, where=where)
    _check_values(_outputs_by_target(model(_noise(task), training=False), task), task, where=where)


def _symbolic_outputs(model: keras.Model, task: Task, *, where: str, folder: Path) -> Any:
    shape = (None, *task.input_shape)
    images = {name: keras.Input(task.input_shape, name=name) for name in task.inputs}
    has_one = len(images) == 1
    try:
        with warnings.catch_warnings():
            # Of layers that steps alone call: `training.completing` builds them.
            warnings.filterwarnings("ignore", message=".*it looks like it has unbuilt state", category=UserWarning)
            return model(next(iter(images.values())) if has_one else images)
    except Exception as exc:
        if user_frames(exc, folder=folder):
            raise
        expected = f"images {shape}" if has_one else f"a dictionary of {', '.join(images)}, each {shape}"
        raise UserCodeError(f"{where}: its model must take {expected}, but it does not: {in_words(exc)}") from exc


def _check_outputs(outputs: Any, task: Task, *, where: str) -> None:
    if task.has_one_target:
        _check_output(outputs, task, task.targets[0], what=f"{where}: its model's output")
        return
    names = [target.name for target in task.targets]
    if not isinstance(outputs, Mapping) or set(outputs) != set(names):
        received = f"a dictionary of {', '.join(outputs)}" if isinstance(outputs, Mapping) else _described(outputs)
        raise UserCodeError(
            f"{where}: its model must put out a dictionary of {', '.join(names)}, got {received}; return "
            f"keras.Model(inputs, {{'{names[0]}': ..., '{names[1]}': ...}})"
        )
    for target in task.targets:
        _check_output(outputs[target.name], task, target, what=f"{where}: its model's output {target.name!r}")


def _check_output(output: Any, task: Task, target: Target, *, what: str) -> None:
    expected = (None, *task.output_shape(target))
    received = tuple(output.shape) if hasattr(output, "shape") else None
    if received != expected:
        raise UserCodeError(
            f"{what} must be {expected}, {_SIZES[target.kind]}, got {received or _described(output)}; end it with "
            "Dense(target.size)"
        )


def _check_values(outputs: Mapping[str, Any], task: Task, *, where: str) -> None:
    """Raises UserCodeError if outputs for random images are not finite, or not probabilities."""
    for target in task.targets:
        values = np.asarray(keras.ops.convert_to_numpy(outputs[target.name]), np.float32)
        what = f"{where}: its model's output" + ("" if task.has_one_target else f" {target.name!r}")
        if not np.isfinite(values).all():
            raise UserCodeError(f"{what} is not finite for images of random pixels; scale pixels from 0-255 down first")
        is_probable = values.min() >= -_TOLERANCE and values.max() <= 1 + _TOLERANCE
        if target.kind in ("classification", "mask") and not (
            is_probable and np.allclose(values.sum(axis=-1), 1.0, atol=_TOLERANCE)
        ):
            raise UserCodeError(f"{what} must be probabilities that add up to 1; end it with activation='softmax'")
        if target.kind == "multilabel" and not is_probable:
            raise UserCodeError(f"{what} must be probabilities from 0 to 1; end it with activation='sigmoid'")


def _outputs_by_target(outputs: Any, task: Task) -> Mapping[str, Any]:
    return {task.targets[0].name: outputs} if task.has_one_target else outputs


def _noise(task: Task) -> Any:
    generator = np.random.default_rng(0)
    black, _ = example_data(task, count=_NUM_PROBES)
    return keras.tree.map_structure(lambda image: generator.integers(0, 256, image.shape).astype(np.float32), black)


def _described(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
