"""The parameters of the family `pointwise`: trainables/catalog/pointwise.py."""

from collections.abc import Mapping

from trainables.catalog.parameter import COMMON, ParameterInfo

#: Parameters of the family `pointwise`.
POINTWISE: Mapping[str, ParameterInfo] = {
    "num_blocks": ParameterInfo(kind=int, default=2, low=1, high=8, summary="1x1 convolutions, one after the other."),
    "filters": COMMON["filters"],
    "activation": COMMON["activation"],
}
