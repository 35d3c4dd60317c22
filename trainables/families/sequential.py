"""The family `sequential`: a plain stack of convolution blocks and a dense head, as keras.Sequential.

Source: the design of VGG, Simonyan and Zisserman 2014, arXiv:1409.1556, with batch normalisation as an option
(Ioffe and Szegedy 2015, arXiv:1502.03167).
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from trainables.blocks import convolution, filters_of, norm_activation, scaled_input, size_after

POOL_WINDOW = 2


def build(params: Mapping[str, Any], *, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Returns the model of a complete set of parameters (see `families.parameters.SEQUENTIAL`).

    Raises: InfeasibleError: if a kernel or a pooling window no longer fits the image.
    """
    check_size(params, input_shape=input_shape)
    model = keras.Sequential(scaled_input(input_shape, params.get("pixel_scaling")), name="sequential")
    for block in range(params["num_blocks"]):
        model.add(
            convolution(
                filters_of(block, first=params["filters"], growth=params["filters_growth"]),
                params["kernel_size"],
                strides=params["stride"],
                padding=params["padding"],
                use_bias=not params["batch_norm"],
                activation=params["activation"],
            )
        )
        for layer in norm_activation(batch_norm=params["batch_norm"], activation=params["activation"]):
            model.add(layer)
        if params["pooling"] != "none":
            pooling = layers.MaxPooling2D if params["pooling"] == "max" else layers.AveragePooling2D
            model.add(pooling(POOL_WINDOW, padding=params["padding"]))
    model.add(layers.Flatten())
    if params["dense_units"]:
        model.add(layers.Dense(params["dense_units"], activation=params["activation"]))
    if params["dropout"]:
        model.add(layers.Dropout(params["dropout"]))
    model.add(layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities"))
    return model


def check_size(params: Mapping[str, Any], *, input_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Returns (height, width) of the last block's output.

    Raises: InfeasibleError: if a block does not fit.

    >>> check_size({"num_blocks": 2, "kernel_size": 3, "stride": 1, "padding": "valid", "pooling": "max"},
    ...            input_shape=(28, 28, 1))
    (5, 5)
    """
    input_size = size = input_shape[:2]
    for block in range(1, params["num_blocks"] + 1):
        size = size_after(
            size,
            window=params["kernel_size"],
            stride=params["stride"],
            padding=params["padding"],
            what=f"the {params['kernel_size']}x{params['kernel_size']} convolution of block {block}",
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
