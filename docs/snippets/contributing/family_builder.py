"""The family `pointwise`: 1x1 convolutions and a global average: trainables/families/pointwise.py."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from trainables.errors import InfeasibleError
from trainables.families.parts.blocks import output_layer, scaled_input
from trainables.families.parts.context import BuildContext
from trainables.specs.task import Task


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters.

    Raises:
        InfeasibleError: If the images are too small to tell anything apart.
    """
    if min(task.input_shape[:2]) < 2:
        raise InfeasibleError(f"pointwise: images of {task.input_shape} are too small; use 2x2 pixels or more")
    stack = scaled_input(task.input_shape, context.pixel_scaling)
    for _ in range(params["num_blocks"]):
        stack.append(layers.Conv2D(params["filters"], 1, activation=params["activation"]))
    stack += [layers.GlobalAveragePooling2D(), output_layer(task.targets[0])]
    return keras.Sequential(stack, name="pointwise")
