"""Lists the parameters of the family `custom`; all others are the user's own."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.parameter import ParameterInfo
from trainables.catalog.training import MODEL, OPTIMIZERS, TRAINING

#: Parameters of the family `custom`.
CUSTOM: Mapping[str, ParameterInfo] = {
    "function": ParameterInfo(
        kind=str,
        default="",
        summary="module:function beside the study file; it gets (params, input_shape, targets) and returns the model.",
    ),
    "optimizer": replace(
        TRAINING["optimizer"],
        options=(*OPTIMIZERS, MODEL),
        summary="Keras optimizer; model: the one that the function compiled its model with.",
    ),
    "source": ParameterInfo(
        kind=str, default="", summary="Hash of the function's code; filled in, so that other code is another variant."
    ),
}
