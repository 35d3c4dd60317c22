"""The family `residual`: stages of basic residual blocks, by Keras's functional API.

Source: He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2: the first stage
keeps the image's size, each further stage halves it; shortcuts that change shape are 1x1 projections (option B).
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from trainables.blocks import batch_normalisation, convolution, filters_of, norm_activation, scaled_input
from trainables.errors import InfeasibleError


def build(params: Mapping[str, Any], *, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Returns the model of a complete set of parameters (see `families.parameters.RESIDUAL`).

    Raises: InfeasibleError: if the image is too small for the number of stages.
    """
    _check_size(params["num_stages"], input_shape=input_shape)
    image, scale = scaled_input(input_shape, params.get("pixel_scaling"))
    features = scale(image)
    features = _normalised(
        convolution(params["filters"], 3, use_bias=not params["batch_norm"], activation=params["activation"])(features),
        params,
    )
    for stage in range(params["num_stages"]):
        filters = filters_of(stage, first=params["filters"], growth=params["filters_growth"])
        for block in range(params["blocks_per_stage"]):
            strides = 2 if stage > 0 and block == 0 else 1
            features = _residual_block(features, params, filters=filters, strides=strides)
    features = layers.GlobalAveragePooling2D()(features)
    if params["dropout"]:
        features = layers.Dropout(params["dropout"])(features)
    probabilities = layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(features)
    return keras.Model(image, probabilities, name="residual")


def _residual_block(
    features: keras.KerasTensor, params: Mapping[str, Any], *, filters: int, strides: int
) -> keras.KerasTensor:
    use_bias, activation = not params["batch_norm"], params["activation"]
    inner = convolution(filters, 3, strides=strides, use_bias=use_bias, activation=activation)(features)
    inner = _normalised(inner, params)
    inner = convolution(filters, 3, use_bias=use_bias, activation=activation)(inner)
    shortcut = features
    if strides != 1 or features.shape[-1] != filters:
        shortcut = convolution(filters, 1, strides=strides, use_bias=use_bias, activation=activation)(features)
    if params["batch_norm"]:
        inner = batch_normalisation()(inner)
        shortcut = batch_normalisation()(shortcut) if shortcut is not features else shortcut
    return layers.Activation(activation)(layers.Add()([inner, shortcut]))


def _normalised(features: keras.KerasTensor, params: Mapping[str, Any]) -> keras.KerasTensor:
    for layer in norm_activation(batch_norm=params["batch_norm"], activation=params["activation"]):
        features = layer(features)
    return features


def _check_size(num_stages: int, *, input_shape: tuple[int, int, int]) -> None:
    smallest = min(input_shape[:2])
    if smallest < 2 ** (num_stages - 1):
        raise InfeasibleError(
            f"{num_stages} stages halve the image {num_stages - 1} times, but images of "
            f"{input_shape[0]}x{input_shape[1]} can be halved at most {smallest.bit_length() - 1} times; "
            f"use at most {smallest.bit_length()} stages"
        )
