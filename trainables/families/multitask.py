"""The family `multitask`: one trunk, a head for each target, and any number of image inputs (functional API).

The trunk makes one vector of each input; every head gets all inputs' vectors side by side. Inputs may share the trunk's
convolutions; each input has its own normalisations, because the statistics of two inputs may differ.

Source: Caruana 1997, "Multitask Learning", Machine Learning 28, for a trunk shared by tasks; Bromley et al. 1993,
"Signature Verification using a Siamese Time Delay Neural Network", for one shared by inputs; He et al. 2015, for
residual blocks, arXiv:1512.03385.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from trainables.errors import InfeasibleError
from trainables.families.parts.blocks import (
    batch_normalisation,
    convolution,
    filters_of,
    halvings_of,
    head_dropout,
    output_layer,
    pooled,
)
from trainables.families.parts.context import BuildContext
from trainables.families.parts.shrinking import at_network_size, first_layers
from trainables.specs.network_size import network_shape
from trainables.specs.task import Target, Task

_JOINTS = {"flatten": layers.Flatten, "global_average": layers.GlobalAveragePooling2D}


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters (see `trainables.catalog.multitask.MULTITASK`).

    Raises:
        InfeasibleError: If the image is too small for the number of poolings.
    """
    _check_size(params, input_shape=network_shape(task.input_shape, image_size=context.image_size))
    images, scaled = _inputs(task, context)
    trunk = _Trunk(params)
    parts = []
    for features in scaled:
        parts.append((trunk if params["shared_trunk"] else _Trunk(params))(features))
    features = parts[0] if len(parts) == 1 else layers.Concatenate()(parts)
    for dropout in head_dropout(params["dropout"]):
        features = dropout(features)
    heads = {target.name: _head(features, target, params, is_lone=task.has_one_target) for target in task.targets}
    outputs = heads[task.targets[0].name] if task.has_one_target else heads
    return keras.Model(images, outputs, name="multitask")


class _Trunk:
    """Blocks of convolutions; each call uses the same convolutions with new normalisations.

    Args:
        params: The variant's parameters.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self._convolutions: dict[str, layers.Layer] = {}

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the features of one input's images, (batch, features)."""
        params = self._params
        for block in range(params["num_blocks"]):
            if block and params["pooling"] != "none":
                features = pooled(features, kind=params["pooling"])
            filters = filters_of(block, first=params["filters"], growth=params["filters_growth"])
            make = self._residual_block if params["trunk"] == "residual" else self._plain_block
            features = make(features, block=block, filters=filters)
        return _JOINTS[params["head"]]()(features)

    def _plain_block(self, features: keras.KerasTensor, *, block: int, filters: int) -> keras.KerasTensor:
        features = self._convolved(features, f"{block}", filters=filters)
        return layers.Activation(self._params["activation"])(features)

    def _residual_block(self, features: keras.KerasTensor, *, block: int, filters: int) -> keras.KerasTensor:
        activation = self._params["activation"]
        inner = layers.Activation(activation)(self._convolved(features, f"{block}.first", filters=filters))
        inner = self._convolved(inner, f"{block}.second", filters=filters)
        shortcut = features
        if features.shape[-1] != filters:
            shortcut = self._convolved(features, f"{block}.shortcut", filters=filters, kernel_size=1)
        return layers.Activation(activation)(layers.Add()([inner, shortcut]))

    def _convolved(
        self, features: keras.KerasTensor, place: str, *, filters: int, kernel_size: int = 3
    ) -> keras.KerasTensor:
        """Returns the features after the convolution at this place, normalised but not activated."""
        batch_norm, activation = self._params["batch_norm"], self._params["activation"]
        if place not in self._convolutions:
            self._convolutions[place] = convolution(
                filters, kernel_size, use_bias=not batch_norm, activation=activation
            )
        features = self._convolutions[place](features)
        return batch_normalisation()(features) if batch_norm else features


def _inputs(task: Task, context: BuildContext) -> tuple[Any, list[keras.KerasTensor]]:
    """Returns the model's inputs, and the scaled images of each at the network's size."""
    if len(task.inputs) == 1:
        image, features = first_layers(task.input_shape, context=context)
        return image, [features]
    channels, scaling = task.input_shape[2], context.pixel_scaling
    images = {name: keras.Input(shape=task.input_shape, name=name) for name in task.inputs}
    scaled = []
    for place, (name, image) in enumerate(images.items()):
        # Statistics are by stored channel: each input has its own part of them.
        scale, offset = (_part(values, place, channels=channels) for values in (scaling.scale, scaling.offset))
        # No input can have this name: names of inputs have no dots.
        rescale = layers.Rescaling(scale, offset=offset, dtype="float32", name=f"{name}.scale")
        scaled.append(rescale(at_network_size(image, image_size=context.image_size)))
    return images, scaled


def _part(values: float | list[float], place: int, *, channels: int) -> float | list[float]:
    return values[place * channels : (place + 1) * channels] if isinstance(values, list) else values


def _head(
    features: keras.KerasTensor, target: Target, params: Mapping[str, Any], *, is_lone: bool
) -> keras.KerasTensor:
    if params["head_units"]:
        features = layers.Dense(params["head_units"], activation=params["activation"])(features)
    # Keras names an output by its key; its layer only needs a unique name.
    return output_layer(target, name=None if is_lone else f"{target.name}.output")(features)


def _check_size(params: Mapping[str, Any], *, input_shape: tuple[int, int, int]) -> None:
    poolings = params["num_blocks"] - 1 if params["pooling"] != "none" else 0
    halvings = halvings_of(input_shape)
    if poolings > halvings:
        raise InfeasibleError(
            f"{params['num_blocks']} blocks pool the image {poolings} times, but images of "
            f"{input_shape[0]}x{input_shape[1]} can be halved at most {halvings} times; "
            f"use at most {halvings + 1} blocks, or pooling 'none'"
        )
