"""Lists the parameters of the family `sequential`."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.parameter import COMMON, POOLINGS, Entries, ParameterInfo

#: Parameters of the family `sequential`.
SEQUENTIAL: Mapping[str, ParameterInfo] = {
    "num_blocks": ParameterInfo(
        kind=int, default=2, low=1, high=64, summary="Blocks of convolution, normalisation, activation and pooling."
    ),
    "convs_per_block": ParameterInfo(
        kind=int, default=1, low=1, high=8, summary="Convolutions in each block, each with its activation."
    ),
    **COMMON,
    "filters": replace(
        COMMON["filters"],
        entries=Entries.ONE_OR_ONE_A_BLOCK,
        summary="Filters of the first block; of each block if a list, and then filters_growth has no say.",
    ),
    "kernel_size": ParameterInfo(
        kind=int,
        default=3,
        low=1,
        high=15,
        entries=Entries.ONE_OR_ONE_A_BLOCK,
        summary="Side of the convolution kernels.",
    ),
    "separable": ParameterInfo(
        kind=bool, default=False, summary="Depthwise separable convolutions in place of full ones."
    ),
    "stride": ParameterInfo(
        kind=int, default=1, low=1, high=8, summary="Stride of the first convolution of each block."
    ),
    "padding": ParameterInfo(
        kind=str, default="same", options=("same", "valid"), summary="Padding of convolutions and pooling."
    ),
    "pooling": ParameterInfo(
        kind=str, default="max", options=POOLINGS, summary="2x2 pooling at the end of each block."
    ),
    "spatial_dropout": ParameterInfo(
        kind=float, default=0.0, low=0.0, below=1.0, summary="Share of whole feature maps dropped after each block."
    ),
    "head": ParameterInfo(
        kind=str,
        default="flatten",
        options=("flatten", "global_average", "global_max"),
        summary="How the last feature maps become one vector.",
    ),
    "dense_units": ParameterInfo(
        kind=int, default=0, low=0, high=65536, summary="Units of a hidden dense layer before the output; 0: none."
    ),
    "l2": ParameterInfo(
        kind=float, default=0.0, low=0.0, summary="L2 penalty on all kernels, part of the loss; 0: none."
    ),
}
