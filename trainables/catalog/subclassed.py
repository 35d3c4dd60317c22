"""Lists the parameters of the family `subclassed`."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.parameter import Entries, ParameterInfo
from trainables.catalog.sequential import SEQUENTIAL

#: Parameters of the family `subclassed`.
SUBCLASSED: Mapping[str, ParameterInfo] = {
    "num_blocks": ParameterInfo(
        kind=int,
        default=2,
        low=0,
        high=64,
        summary="Blocks of convolution, normalisation and activation; 0: as many as the image's size allows.",
    ),
    "filters": replace(SEQUENTIAL["filters"], entries=Entries.ONE, summary="Filters of the first block."),
    "filters_growth": SEQUENTIAL["filters_growth"],
    "kernel_size": replace(SEQUENTIAL["kernel_size"], entries=Entries.ONE),
    "activation": SEQUENTIAL["activation"],
    "batch_norm": SEQUENTIAL["batch_norm"],
    "dropout": SEQUENTIAL["dropout"],
    "l2": SEQUENTIAL["l2"],
    "auxiliary_weight": ParameterInfo(
        kind=float,
        default=0.3,
        low=0.0,
        high=1.0,
        summary="Share of the loss of a classifier half-way up, which acts in training only; 0: none.",
    ),
}
