"""Lists the parameters of the family `functional`."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.parameter import COMMON, POOLINGS, Entries, ParameterInfo

#: Parameters of the family `functional`.
FUNCTIONAL: Mapping[str, ParameterInfo] = {
    "num_modules": ParameterInfo(
        kind=int, default=2, low=1, high=64, summary="Modules of parallel branches, one after the other."
    ),
    "branches": ParameterInfo(
        kind=int,
        default=2,
        low=1,
        high=4,
        replaced_by="branch_kernels",
        summary="Parallel branches of a module, with kernels of side 1, 3, 5 and 7 in this order.",
    ),
    "branch_kernels": ParameterInfo(
        kind=int,
        default=(),
        low=1,
        high=15,
        entries=Entries.LIST,
        summary="Side of each branch's kernels, one entry a branch; empty: as branches says.",
    ),
    "merge": ParameterInfo(
        kind=str,
        default="concatenate",
        options=("add", "concatenate"),
        summary="How branches become one: a sum, or side by side, each with its share of the filters.",
    ),
    "skip": ParameterInfo(
        kind=str,
        default="none",
        options=("none", "add", "concatenate"),
        summary="How a module's input passes over it to its output.",
    ),
    "shared": ParameterInfo(
        kind=bool, default=False, summary="Modules of equal filters use the same convolutions again."
    ),
    **COMMON,
    "filters": replace(COMMON["filters"], summary="Filters of the first convolution and the first module."),
    "filters_growth": replace(
        COMMON["filters_growth"], summary="Factor on the filters after every pool_every modules."
    ),
    "pooling": ParameterInfo(
        kind=str, default="max", options=POOLINGS, summary="2x2 pooling after every pool_every modules but the last."
    ),
    "pool_every": ParameterInfo(
        kind=int, default=1, low=1, high=64, summary="Modules of equal filters and size in a row."
    ),
}
