"""The family `unet`: convolutions at smaller and smaller sizes, then back up, with a skip at every size.

Image, convolutions, (half the size, convolutions) x depth, (twice the size, side by side with the features of that size
on the way down, convolutions) x depth, a class's probability at each pixel. Images whose sides cannot be halved that
often get black borders inside the model, which the output leaves out again.

Source: Ronneberger et al. 2015, "U-Net", arXiv:1505.04597, with padded convolutions, so that masks have the images'
size; batch normalisation after Ioffe and Szegedy 2015, arXiv:1502.03167; resizing before a convolution after Odena et
al. 2016, "Deconvolution and Checkerboard Artifacts".
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from trainables.errors import InfeasibleError
from trainables.families.parts.blocks import (
    convolution,
    filters_of,
    halvings_of,
    head_dropout,
    norm_activation,
    output_layer,
    pooled,
)
from trainables.families.parts.context import BuildContext
from trainables.families.parts.shrinking import at_data_size, first_layers
from trainables.specs.network_size import network_shape
from trainables.specs.task import Target, Task

#: (before, after) for rows, then for columns.
Borders = tuple[tuple[int, int], tuple[int, int]]


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters (see `trainables.catalog.unet.UNET`).

    Raises:
        InfeasibleError: If the image cannot be halved so often, or the target is no mask.
    """
    depth, target = params["depth"], task.targets[0]
    size = network_shape(task.input_shape, image_size=context.image_size)[:2]
    _check(depth, target=target, size=size)
    widths = [filters_of(level, first=params["filters"], growth=params["filters_growth"]) for level in range(depth + 1)]
    borders = borders_of(size, depth=depth)
    image, features = first_layers(task.input_shape, context=context)
    if borders != ((0, 0), (0, 0)):
        features = layers.ZeroPadding2D(borders)(features)
    skips = []
    for width in widths[:-1]:
        features = _level(features, params, filters=width)
        skips.append(features)
        features = pooled(features, kind="max")
    features = _level(features, params, filters=widths[-1])
    for dropout in head_dropout(params["dropout"]):
        features = dropout(features)
    for width, skip in zip(reversed(widths[:-1]), reversed(skips), strict=True):
        features = layers.Concatenate()([skip, _doubled(features, params, filters=width)])
        features = _level(features, params, filters=width)
    if borders != ((0, 0), (0, 0)):
        features = layers.Cropping2D(borders)(features)
    # Masks have the data's size, whatever the network works on.
    probabilities = at_data_size(output_layer(target)(features), size=task.input_shape[:2])
    return keras.Model(image, probabilities, name="unet")


def borders_of(size: tuple[int, int], *, depth: int) -> Borders:
    """Returns the borders that make both sides of an image of this (height, width) divisible by 2^depth.

    >>> borders_of((32, 30), depth=3)
    ((0, 0), (1, 1))
    """
    missing = [-side % 2**depth for side in size]
    (top, left), (bottom, right) = [part // 2 for part in missing], [part - part // 2 for part in missing]
    return (top, bottom), (left, right)


def _level(features: keras.KerasTensor, params: Mapping[str, Any], *, filters: int) -> keras.KerasTensor:
    for _ in range(params["convs_per_level"]):
        features = _convolved(features, params, filters=filters, kernel_size=params["kernel_size"])
    return features


def _doubled(features: keras.KerasTensor, params: Mapping[str, Any], *, filters: int) -> keras.KerasTensor:
    if params["upsampling"] == "transposed":
        return layers.Conv2DTranspose(filters, 2, strides=2, kernel_initializer="glorot_uniform")(features)
    resized = layers.UpSampling2D(2, interpolation=params["upsampling"])(features)
    return _convolved(resized, params, filters=filters, kernel_size=1)


def _convolved(
    features: keras.KerasTensor, params: Mapping[str, Any], *, filters: int, kernel_size: int
) -> keras.KerasTensor:
    batch_norm, activation = params["batch_norm"], params["activation"]
    features = convolution(filters, kernel_size, use_bias=not batch_norm, activation=activation)(features)
    for layer in norm_activation(batch_norm=batch_norm, activation=activation):
        features = layer(features)
    return features


def _check(depth: int, *, target: Target, size: tuple[int, int]) -> None:
    if target.kind != "mask":
        raise InfeasibleError(
            f"unet predicts a class for each pixel, but target {target.name!r} is of kind {target.kind}; use kind: "
            "mask, or another family"
        )
    halvings = halvings_of(size)
    if depth > halvings:
        raise InfeasibleError(
            f"depth {depth} halves the image {depth} times, but images of {size[0]}x{size[1]} can be halved at most "
            f"{halvings} times; use depth {halvings} or less, or larger images"
        )
