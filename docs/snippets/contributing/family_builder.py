"""The family `pointwise`: 1x1 convolutions and a global average: trainables/families/pointwise.py."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from trainables.errors import InfeasibleError
from trainables.families.parts.blocks import output_layer, scaled_input
from trainables.families.parts.context import BuildContext
from trainables.families.parts.shrinking import model_of_stack
from trainables.specs.network_size import network_shape
from trainables.specs.task import Task


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters.

    Raises:
        InfeasibleError: If the images are too small to tell anything apart.
    """
    shape = network_shape(task.input_shape, image_size=context.image_size)
    if min(shape[:2]) < 2:
        raise InfeasibleError(f"pointwise: images of {shape} are too small; use 2x2 pixels or more")
    stack = scaled_input(task.input_shape, context.pixel_scaling)
    for _ in range(params["num_blocks"]):
        stack.append(layers.Conv2D(params["filters"], 1, activation=params["activation"]))
    stack += [layers.GlobalAveragePooling2D(), output_layer(task.targets[0])]
    return model_of_stack(stack, image_size=context.image_size, name="pointwise")
