"""The family `functional`: a directed graph of modules with parallel branches, skips and shared convolutions.

Image, 3x3 convolution, modules, global average, output. A module is: a 1x1 convolution where its input has other
channels than the module has filters; parallel convolutions; their merge; and a skip over the module, if asked for.

Source: Szegedy et al. 2014, "Going Deeper with Convolutions", arXiv:1409.4842, for branches and 1x1 reductions;
Huang et al. 2016, "Densely Connected Convolutional Networks", arXiv:1608.06993, for skips by concatenation; He et al.
2015, arXiv:1512.03385, for skips by addition.
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
from trainables.families.parts.shrinking import first_layers
from trainables.specs.network_size import network_shape
from trainables.specs.task import Task

#: The branches' kernel sizes where the study gives only their number.
BRANCH_KERNELS = (1, 3, 5, 7)
_MERGES = {"add": layers.Add, "concatenate": layers.Concatenate}

#: Convolutions by branch and filters; modules that share convolutions take those of an earlier module.
_Shared = dict[tuple[int, int], layers.Layer]


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters (see `trainables.catalog.functional.FUNCTIONAL`).

    Raises:
        InfeasibleError: If the image is too small for the number of poolings, filters cannot be divided over the
            branches, or no two modules have equal filters to share convolutions.
    """
    _check(params, input_shape=network_shape(task.input_shape, image_size=context.image_size))
    image, features = first_layers(task.input_shape, context=context)
    features = _convolved(features, params, filters=params["filters"], kernel_size=3)
    shared: _Shared = {}
    widths = _module_filters(params)
    for module, filters in enumerate(widths):
        if module and module % params["pool_every"] == 0 and params["pooling"] != "none":
            features = pooled(features, kind=params["pooling"])
        features = _module(features, params, filters=filters, shared=shared if params["shared"] else {})
    features = layers.GlobalAveragePooling2D()(features)
    for dropout in head_dropout(params["dropout"]):
        features = dropout(features)
    return keras.Model(image, output_layer(task.targets[0])(features), name="functional")


def _module(
    features: keras.KerasTensor, params: Mapping[str, Any], *, filters: int, shared: _Shared
) -> keras.KerasTensor:
    entry = features
    if features.shape[-1] != filters:
        entry = _convolved(features, params, filters=filters, kernel_size=1)
    branches = []
    for branch, (kernel_size, width) in enumerate(_branch_plan(params, filters=filters)):
        key = (branch, filters)
        if key not in shared:
            shared[key] = _convolution(params, filters=width, kernel_size=kernel_size)
        # Only the convolution is shared: each module has its own statistics.
        branches.append(_normalised(shared[key](entry), params))
    merged = branches[0] if len(branches) == 1 else _MERGES[params["merge"]]()(branches)
    match params["skip"]:
        case "add":
            return layers.Add()([merged, entry])
        case "concatenate":
            return layers.Concatenate()([merged, features])
        case _:
            return merged


def _branch_plan(params: Mapping[str, Any], *, filters: int) -> list[tuple[int, int]]:
    """Returns (kernel size, filters) of each branch.

    >>> _branch_plan({"branch_kernels": (), "branches": 3, "merge": "concatenate"}, filters=16)
    [(1, 6), (3, 5), (5, 5)]
    >>> _branch_plan({"branch_kernels": (3, 3), "branches": 1, "merge": "add"}, filters=16)
    [(3, 16), (3, 16)]
    """
    kernels = params["branch_kernels"] or BRANCH_KERNELS[: params["branches"]]
    if params["merge"] == "add":
        return [(kernel, filters) for kernel in kernels]
    share, rest = divmod(filters, len(kernels))
    return [(kernel, share + (branch < rest)) for branch, kernel in enumerate(kernels)]


def _module_filters(params: Mapping[str, Any]) -> list[int]:
    """Returns the filters of each module.

    >>> _module_filters({"num_modules": 5, "pool_every": 2, "filters": 8, "filters_growth": 2.0})
    [8, 8, 16, 16, 32]
    """
    return [
        filters_of(module // params["pool_every"], first=params["filters"], growth=params["filters_growth"])
        for module in range(params["num_modules"])
    ]


def _convolved(
    features: keras.KerasTensor, params: Mapping[str, Any], *, filters: int, kernel_size: int
) -> keras.KerasTensor:
    return _normalised(_convolution(params, filters=filters, kernel_size=kernel_size)(features), params)


def _convolution(params: Mapping[str, Any], *, filters: int, kernel_size: int) -> layers.Layer:
    return convolution(filters, kernel_size, use_bias=not params["batch_norm"], activation=params["activation"])


def _normalised(features: keras.KerasTensor, params: Mapping[str, Any]) -> keras.KerasTensor:
    for layer in norm_activation(batch_norm=params["batch_norm"], activation=params["activation"]):
        features = layer(features)
    return features


def _check(params: Mapping[str, Any], *, input_shape: tuple[int, int, int]) -> None:
    widths, num_branches = _module_filters(params), len(_branch_plan(params, filters=params["filters"]))
    if params["merge"] == "concatenate" and min(widths) < num_branches:
        raise InfeasibleError(
            f"{min(widths)} filters of a module cannot be divided over {num_branches} branches that are concatenated; "
            f"use at least {num_branches} filters in every module, fewer branches, or merge 'add'"
        )
    if params["shared"] and len(set(widths)) == len(widths):
        raise InfeasibleError(
            f"shared convolutions need two modules of equal filters, but the modules have {widths}; use more modules, "
            "filters_growth 1, or a larger pool_every"
        )
    poolings = (params["num_modules"] - 1) // params["pool_every"] if params["pooling"] != "none" else 0
    if poolings > halvings_of(input_shape):
        raise InfeasibleError(
            f"{params['num_modules']} modules pool the image {poolings} times, but images of "
            f"{input_shape[0]}x{input_shape[1]} can be halved at most {halvings_of(input_shape)} times; use fewer "
            "modules, a larger pool_every, or pooling 'none'"
        )
