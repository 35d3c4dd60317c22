"""Lists the parameters of the families `custom` and `keras_tuner`; all others are the user's own."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.parameter import ParameterInfo
from trainables.catalog.training import MODEL, OPTIMIZERS, TRAINING
from trainables.specs.pixels import AUTO, NORMALIZATIONS, OWN

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

#: Training parameters that a hypermodel may ask for as well: it gets what the training has.
SHARED = ("batch_size",)

#: Parameters of the family `keras_tuner`.
KERAS_TUNER: Mapping[str, ParameterInfo] = {
    "function": replace(
        CUSTOM["function"],
        summary="module:name beside the study file: a function of (hp), or a keras_tuner.HyperModel, class or object.",
    ),
    "normalization": replace(
        TRAINING["normalization"],
        default=AUTO,
        options=(AUTO, OWN, *NORMALIZATIONS),
        summary="What is done with pixels before the model: model: nothing; auto: nothing if it has a layer Rescaling "
        "or Normalization, else scale; others as for all families.",
    ),
    "source": CUSTOM["source"],
}
