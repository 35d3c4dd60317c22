"""Lists the parameters of the family `multitask`."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.parameter import COMMON, POOLINGS, ParameterInfo

TRUNKS = ("plain", "residual")

#: Parameters of the family `multitask`.
MULTITASK: Mapping[str, ParameterInfo] = {
    "trunk": ParameterInfo(
        kind=str,
        default="plain",
        options=TRUNKS,
        summary="Blocks of one convolution, or of two with a shortcut over them.",
    ),
    "num_blocks": ParameterInfo(kind=int, default=2, low=1, high=64, summary="Blocks of the trunk."),
    **COMMON,
    "dropout": replace(COMMON["dropout"], summary="Share of the trunk's features dropped before the heads."),
    "pooling": ParameterInfo(
        kind=str, default="max", options=POOLINGS, summary="2x2 pooling after every block but the last."
    ),
    "head": ParameterInfo(
        kind=str,
        default="global_average",
        options=("flatten", "global_average"),
        summary="How the last feature maps become one vector; flatten keeps where things are.",
    ),
    "shared_trunk": ParameterInfo(
        kind=bool,
        default=True,
        summary="Several image inputs use the same convolutions; else each input has a trunk of its own.",
    ),
    "head_units": ParameterInfo(
        kind=int, default=0, low=0, high=65536, summary="Units of a hidden dense layer in each head; 0: none."
    ),
}
