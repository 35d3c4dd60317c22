"""The family `residual`: stages of residual blocks, by Keras's functional API.

Source: He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2: the first stage
keeps the image's size, each further stage halves it; shortcuts that change shape are 1x1 projections (option B).
Bottleneck blocks halve in their 3x3 convolution, so that no pixel is skipped; parameters are the same. He et al. 2016,
"Identity Mappings in Deep Residual Networks", arXiv:1603.05027, for pre-activation. Hu et al. 2017, arXiv:1709.01507,
for squeeze-and-excitation. Huang et al. 2016, arXiv:1603.09382, for stochastic depth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from trainables.catalog.residual import PRESETS
from trainables.errors import InfeasibleError
from trainables.families.parts.blocks import (
    batch_normalisation,
    convolution,
    dropped_by_image,
    filters_of,
    halvings_of,
    head_dropout,
    norm_activation,
    output_layer,
    squeeze_excite,
)
from trainables.families.parts.context import BuildContext
from trainables.families.parts.shrinking import first_layers
from trainables.specs.network_size import network_shape
from trainables.specs.task import Task

#: A bottleneck block's output has this many times the filters of its 3x3 convolution.
EXPANSION = 4


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters (see `trainables.catalog.residual.RESIDUAL`).

    A preset's values replace the parameters of the same names.

    Raises:
        InfeasibleError: If the image is too small for the number of stages.
    """
    params = {**params, **PRESETS[params["preset"]]}
    _check_size(params["num_stages"], input_shape=network_shape(task.input_shape, image_size=context.image_size))
    image, features = first_layers(task.input_shape, context=context)
    features = convolution(params["filters"], 3, use_bias=not params["batch_norm"], activation=params["activation"])(
        features
    )
    if not params["pre_activation"]:
        features = _normalised(features, params)
    drop_rates = iter(_drop_rates(params))
    for stage in range(params["num_stages"]):
        filters = filters_of(stage, first=params["filters"], growth=params["filters_growth"])
        for block in range(params["blocks_per_stage"]):
            strides = 2 if stage > 0 and block == 0 else 1
            features = _residual_block(features, params, filters=filters, strides=strides, drop_rate=next(drop_rates))
    if params["pre_activation"]:
        features = _normalised(features, params)
    features = layers.GlobalAveragePooling2D()(features)
    for dropout in head_dropout(params["dropout"]):
        features = dropout(features)
    return keras.Model(image, output_layer(task.targets[0])(features), name="residual")


def _residual_block(
    features: keras.KerasTensor, params: Mapping[str, Any], *, filters: int, strides: int, drop_rate: float
) -> keras.KerasTensor:
    use_bias, activation = not params["batch_norm"], params["activation"]
    # Where the shape changes, the projection gets the normalised features as well: He et al. 2016, figure 1(b).
    entry = _normalised(features, params) if params["pre_activation"] else features
    inner = _convolutions(entry, params, filters=filters, strides=strides)
    shortcut = features
    if strides != 1 or features.shape[-1] != inner.shape[-1]:
        shortcut = convolution(inner.shape[-1], 1, strides=strides, use_bias=use_bias, activation=activation)(entry)
    if params["batch_norm"] and not params["pre_activation"]:
        inner = batch_normalisation()(inner)
        shortcut = batch_normalisation()(shortcut) if shortcut is not features else shortcut
    if params["squeeze_excite"]:
        inner = squeeze_excite(inner, ratio=params["squeeze_excite"], activation=activation)
    if drop_rate:
        inner = dropped_by_image(inner, rate=drop_rate)
    total = layers.Add()([inner, shortcut])
    return total if params["pre_activation"] else layers.Activation(activation)(total)


def _convolutions(
    features: keras.KerasTensor, params: Mapping[str, Any], *, filters: int, strides: int
) -> keras.KerasTensor:
    """Returns the features after a block's convolutions, normalised and activated between them but not at the end."""
    # (kernel size, filters, strides) of each convolution.
    plan = (
        [(3, filters, strides), (3, filters, 1)]
        if params["block"] == "basic"
        else [(1, filters, 1), (3, filters, strides), (1, EXPANSION * filters, 1)]
    )
    for position, (kernel_size, width, stride) in enumerate(plan):
        if position > 0:
            features = _normalised(features, params)
        features = convolution(
            width, kernel_size, strides=stride, use_bias=not params["batch_norm"], activation=params["activation"]
        )(features)
    return features


def _normalised(features: keras.KerasTensor, params: Mapping[str, Any]) -> keras.KerasTensor:
    for layer in norm_activation(batch_norm=params["batch_norm"], activation=params["activation"]):
        features = layer(features)
    return features


def _drop_rates(params: Mapping[str, Any]) -> Sequence[float]:
    """Returns each block's share of dropped images, growing linearly to the last block's.

    >>> _drop_rates({"num_stages": 2, "blocks_per_stage": 2, "stochastic_depth": 0.5})
    [0.125, 0.25, 0.375, 0.5]
    """
    total = params["num_stages"] * params["blocks_per_stage"]
    return [params["stochastic_depth"] * block / total for block in range(1, total + 1)]


def _check_size(num_stages: int, *, input_shape: tuple[int, int, int]) -> None:
    halvings = halvings_of(input_shape)
    if num_stages - 1 > halvings:
        raise InfeasibleError(
            f"{num_stages} stages halve the image {num_stages - 1} times, but images of "
            f"{input_shape[0]}x{input_shape[1]} can be halved at most {halvings} times; "
            f"use at most {halvings + 1} stages"
        )
