"""Lists the parameters of the family `unet`."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.parameter import COMMON, ParameterInfo

UPSAMPLINGS = ("transposed", "nearest", "bilinear")

#: Parameters of the family `unet`.
UNET: Mapping[str, ParameterInfo] = {
    "depth": ParameterInfo(
        kind=int, default=3, low=1, high=8, summary="How many times the image is halved, and doubled again."
    ),
    "convs_per_level": ParameterInfo(
        kind=int, default=2, low=1, high=8, summary="Convolutions at each size on the way down, and on the way up."
    ),
    "kernel_size": ParameterInfo(kind=int, default=3, low=1, high=15, summary="Side of the convolutions' kernels."),
    "upsampling": ParameterInfo(
        kind=str,
        default="transposed",
        options=UPSAMPLINGS,
        summary="How features are doubled: a transposed convolution, or resizing and a 1x1 convolution.",
    ),
    **COMMON,
    "filters": replace(COMMON["filters"], summary="Filters of the convolutions at the image's own size."),
    "filters_growth": replace(COMMON["filters_growth"], summary="Factor on the filters at each halving."),
    "dropout": replace(COMMON["dropout"], summary="Share of the smallest features dropped before the way up."),
}
