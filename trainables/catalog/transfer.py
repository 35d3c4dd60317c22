"""Lists the parameters of the family `transfer`."""

from collections.abc import Mapping
from dataclasses import replace

from trainables.catalog.backbones import BACKBONES
from trainables.catalog.parameter import Entries, ParameterInfo
from trainables.catalog.training import TRAINING
from trainables.specs.pixels import BACKBONE, NORMALIZATIONS

#: Values of `weights` that are no file.
NO_WEIGHTS, IMAGENET = "none", "imagenet"
#: The parameter that the loading of a study fills in, so that other weights make another variant.
WEIGHTS_SHA256 = "weights_sha256"

_HEAD: Mapping[str, ParameterInfo] = {
    "head": ParameterInfo(
        kind=str,
        default="global_average",
        options=("global_average", "global_max", "flatten"),
        summary="How the backbone's last feature maps become one vector.",
    ),
    "dense_units": ParameterInfo(
        kind=int, default=0, low=0, high=65536, summary="Units of a hidden dense layer before the output; 0: none."
    ),
    "dropout": ParameterInfo(
        kind=float, default=0.0, low=0.0, below=1.0, summary="Share of features dropped before the last layer."
    ),
}

_PHASES: Mapping[str, ParameterInfo] = {
    "frozen_epochs": ParameterInfo(
        kind=int, default=0, low=0, high=100_000, summary="Epochs at the start in which the backbone does not learn."
    ),
    "fine_tune_from": ParameterInfo(
        kind=float,
        default=0.0,
        low=0.0,
        high=1.0,
        summary="Share of the backbone's layers, from the input, that never learn; 0: all learn, 1: none ever does.",
    ),
    "fine_tune_learning_rate_share": ParameterInfo(
        kind=float,
        default=0.1,
        low=1e-6,
        high=1.0,
        summary="Factor on the learning rate after the frozen epochs; without frozen epochs it has no say.",
    ),
    "freeze_batch_norm": ParameterInfo(
        kind=bool,
        default=False,
        summary="The backbone's batch normalisation keeps its loaded statistics also while fine-tuning.",
    ),
}

#: Parameters of the family `transfer`.
TRANSFER: Mapping[str, ParameterInfo] = {
    "backbone": ParameterInfo(
        kind=str, default="MobileNetV2", options=tuple(BACKBONES), summary="A network of keras.applications."
    ),
    "alpha": ParameterInfo(
        kind=float, default=1.0, low=0.05, high=4.0, summary="Factor on the width; other than 1 for MobileNets only."
    ),
    "weights": ParameterInfo(
        kind=str,
        default=NO_WEIGHTS,
        summary="What the backbone starts from: none, imagenet, or an .h5 file of its weights beside the study file.",
    ),
    WEIGHTS_SHA256: ParameterInfo(
        kind=str,
        default=(),
        entries=Entries.LIST,
        summary="Hashes of the files that weights can be; loading a study fills it in.",
    ),
    "image_side": ParameterInfo(
        kind=int, default=0, low=0, high=4096, summary="Images are resized to this side inside the model; 0: never."
    ),
    "image_size": replace(TRAINING["image_size"], replaced_by="image_side"),
    "batch_norm_momentum": ParameterInfo(
        kind=float,
        default=0.9,
        low=0.0,
        below=1.0,
        summary="Share that the backbone's running statistics keep a batch; 0: what Keras gave it, often 0.99 or more.",
    ),
    **_HEAD,
    **_PHASES,
    "normalization": replace(
        TRAINING["normalization"],
        default=BACKBONE,
        options=(BACKBONE, *NORMALIZATIONS),
        summary="Pixels as the backbone was trained to see them, or as normalization of the other families.",
    ),
}
