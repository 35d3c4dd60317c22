"""Turns an augmented batch into arguments of Keras's train_step and test_step, and values by target into Keras's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainables.specs.task import Task


def model_inputs(images: Any, *, task: Task) -> Any:
    """Returns stored images as the model takes them: one tensor, or a dictionary of them by input name.

    Args:
        images: (batch, height, width, channels); the images of several inputs are side by side in the channels.
    """
    if len(task.inputs) == 1:
        return images
    channels = task.input_shape[2]
    return {name: images[..., place * channels : (place + 1) * channels] for place, name in enumerate(task.inputs)}


def example_data(task: Task, *, count: int) -> tuple[Any, Any]:
    """Returns black images and zero labels of the right shapes and types."""
    height, width, _ = task.input_shape
    images = np.zeros((count, height, width, task.stored_channels), np.float32)
    shapes = {"classification": (), "mask": (height, width)}
    dtypes = {"classification": np.int32, "multilabel": np.uint8, "regression": np.float32, "mask": np.uint8}
    labels = {
        target.name: np.zeros((count, *shapes.get(target.kind, (target.size,))), dtypes[target.kind])
        for target in task.targets
    }
    return model_inputs(images, task=task), by_target(labels, task=task)


def by_target(values: Mapping[str, Any], *, task: Task) -> Any:
    """Returns values by target as Keras takes them: the lone value of a task with one target."""
    return values[task.targets[0].name] if task.has_one_target else {t.name: values[t.name] for t in task.targets}
