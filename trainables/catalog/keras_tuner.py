"""Lists the parameters of the family `keras_tuner`; all others are what the user's hypermodel asks for."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.custom import CUSTOM
from trainables.catalog.parameter import ParameterInfo
from trainables.catalog.training import TRAINING
from trainables.specs.pixels import AUTO, NORMALIZATIONS, OWN

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
