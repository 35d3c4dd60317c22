"""Lists the parameters of the family `custom`; all others are the user's own."""

from collections.abc import Mapping

from trainables.catalog.parameter import ParameterInfo

#: Parameters of the family `custom`.
CUSTOM: Mapping[str, ParameterInfo] = {
    "function": ParameterInfo(
        kind=str,
        default="",
        summary="module:function beside the study file; it gets (params, input_shape, targets) and returns the model.",
    ),
    "source": ParameterInfo(
        kind=str, default="", summary="Hash of the function's code; filled in, so that other code is another variant."
    ),
}
