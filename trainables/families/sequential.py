"""The family `sequential`: a plain stack of convolution blocks and a dense head, as keras.Sequential.

Source: the design of VGG, Simonyan and Zisserman 2014, arXiv:1409.1556, with batch normalisation as an option
(Ioffe and Szegedy 2015, arXiv:1502.03167), spatial dropout (Tompson et al. 2014, arXiv:1411.4280) and depthwise
separable convolutions (Chollet 2016, arXiv:1610.02357).
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from trainables.families.parts.blocks import (
    POOL_WINDOW,
    convolution,
    filters_of,
    head_dropout,
    l2_penalty,
    norm_activation,
    one_a_block,
    output_layer,
    pooling_layer,
    scaled_input,
    separable_convolution,
    size_after,
)
from trainables.families.parts.context import BuildContext
from trainables.families.parts.shrinking import model_of_stack
from trainables.specs.network_size import network_shape
from trainables.specs.task import Task

_HEADS = {
    "flatten": layers.Flatten,
    "global_average": layers.GlobalAveragePooling2D,
    "global_max": layers.GlobalMaxPooling2D,
}


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters (see `trainables.catalog.sequential.SEQUENTIAL`).

    Raises:
        InfeasibleError: If a kernel or a pooling window is larger than its input, or a list's length is not the number
            of blocks.
    """
    check_size(params, input_shape=network_shape(task.input_shape, image_size=context.image_size))
    stack = scaled_input(task.input_shape, context.pixel_scaling)
    kernels = one_a_block(params["kernel_size"], name="kernel_size", num_blocks=params["num_blocks"])
    for filters, kernel in zip(_filters(params), kernels, strict=True):
        stack += _block(params, filters=filters, kernel_size=kernel)
    stack.append(_HEADS[params["head"]]())
    penalty = l2_penalty(params["l2"])
    if params["dense_units"]:
        stack.append(layers.Dense(params["dense_units"], activation=params["activation"], kernel_regularizer=penalty))
    stack += head_dropout(params["dropout"])
    stack.append(output_layer(task.targets[0], penalty=penalty))
    return model_of_stack(stack, image_size=context.image_size, name="sequential")


def check_size(params: Mapping[str, Any], *, input_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Returns (height, width) of the last block's output.

    >>> check_size({"num_blocks": 2, "convs_per_block": 1, "kernel_size": 3, "stride": 1, "padding": "valid",
    ...             "pooling": "max"}, input_shape=(28, 28, 1))
    (5, 5)

    Raises:
        InfeasibleError: If a block does not fit.
    """
    input_size = size = input_shape[:2]
    kernels = one_a_block(params["kernel_size"], name="kernel_size", num_blocks=params["num_blocks"])
    for block, kernel in enumerate(kernels, start=1):
        for position in range(params["convs_per_block"]):
            size = size_after(
                size,
                window=kernel,
                stride=_stride(params, position),
                padding=params["padding"],
                what=f"the {kernel}x{kernel} convolution of block {block}",
                input_size=input_size,
            )
        if params["pooling"] != "none":
            size = size_after(
                size,
                window=POOL_WINDOW,
                stride=POOL_WINDOW,
                padding=params["padding"],
                what=f"the pooling of block {block}",
                input_size=input_size,
            )
    return size


def _filters(params: Mapping[str, Any]) -> tuple[int, ...]:
    """Returns the filters of each block."""
    if isinstance(params["filters"], int):
        blocks = range(params["num_blocks"])
        return tuple(filters_of(block, first=params["filters"], growth=params["filters_growth"]) for block in blocks)
    return one_a_block(params["filters"], name="filters", num_blocks=params["num_blocks"])


def _block(params: Mapping[str, Any], *, filters: int, kernel_size: int) -> list[layers.Layer]:
    make_convolution = separable_convolution if params["separable"] else convolution
    block: list[layers.Layer] = []
    for position in range(params["convs_per_block"]):
        block.append(
            make_convolution(
                filters,
                kernel_size,
                strides=_stride(params, position),
                padding=params["padding"],
                use_bias=not params["batch_norm"],
                activation=params["activation"],
                l2=params["l2"],
            )
        )
        block += norm_activation(batch_norm=params["batch_norm"], activation=params["activation"])
    if params["pooling"] != "none":
        block.append(pooling_layer(params["pooling"], padding=params["padding"]))
    if params["spatial_dropout"]:
        block.append(layers.SpatialDropout2D(params["spatial_dropout"]))
    return block


def _stride(params: Mapping[str, Any], position: int) -> int:
    """Returns the stride of a block's convolution; only the first one, at position 0, moves by more than a pixel."""
    return int(params["stride"]) if position == 0 else 1
