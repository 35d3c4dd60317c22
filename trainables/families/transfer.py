"""The family `transfer`: a backbone of `keras.applications` with a new head, frozen first, then fine-tuned.

The layers in order: image, shrinking, three channels, the backbone's scaling of pixels, resizing, backbone, pooling,
head. All are Keras's own layers, so that an export loads in plain Keras.

Source: Keras's guide "Transfer learning and fine-tuning", https://keras.io/guides/transfer_learning; Yosinski et al.
2014, "How transferable are features in deep neural networks?", arXiv:1411.1792, for learning only above a depth.
"""

import inspect
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import keras
from keras import layers, ops

from trainables.catalog.backbones import BACKBONES, Backbone, Preprocessing
from trainables.catalog.transfer import IMAGENET, NO_WEIGHTS, WEIGHTS_SHA256
from trainables.errors import InfeasibleError
from trainables.families.parts.blocks import head_dropout, output_layer
from trainables.families.parts.context import BuildContext
from trainables.families.parts.downloads import explained_downloads
from trainables.families.parts.phases import Phase
from trainables.families.parts.shrinking import at_network_size
from trainables.files.weights_file import check_weights_file
from trainables.specs.network_size import network_shape
from trainables.specs.pixels import BACKBONE, PixelScaling
from trainables.specs.task import Task

_HEADS = {
    "flatten": layers.Flatten,
    "global_average": layers.GlobalAveragePooling2D,
    "global_max": layers.GlobalMaxPooling2D,
}
#: Means and deviations of ImageNet in the mode torch of `keras.applications`, for pixels 0-1, RGB.
_TORCH_MEANS, _TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Means that its mode caffe subtracts from pixels 0-255, in the order BGR.
_CAFFE_MEANS = (103.939, 116.779, 123.68)
_SCALINGS: Mapping[Preprocessing, PixelScaling] = {
    Preprocessing.TF: PixelScaling(scale=1.0 / 127.5, offset=-1.0),
    Preprocessing.CAFFE: PixelScaling(scale=1.0, offset=[-mean for mean in _CAFFE_MEANS]),
    Preprocessing.TORCH: PixelScaling(
        scale=[1.0 / (255.0 * deviation) for deviation in _TORCH_DEVIATIONS],
        offset=[-mean / deviation for mean, deviation in zip(_TORCH_MEANS, _TORCH_DEVIATIONS, strict=True)],
    ),
}


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the model of a complete set of parameters (see `trainables.catalog.transfer.TRANSFER`).

    Raises:
        InfeasibleError: If the backbone does not take images of this shape, this width or these weights.
        DataError: If its weights are missing.
    """
    size = _backbone_size(params, input_shape=task.input_shape)
    image = keras.Input(shape=task.input_shape, name="image")
    features = at_network_size(image, image_size=params["image_size"])
    features = layers.Concatenate()([features] * 3) if task.input_shape[2] == 1 else features
    features = preprocessed(features, params, scaling=context.pixel_scaling)
    if params["image_side"]:
        # Not layers.Resizing: findings/keras-resizing-trains-batch-norm.sh
        features = ops.image.resize(features, size)
    features = _backbone(params, size=size, study_dir=context.study_dir)(features)
    features = _HEADS[params["head"]]()(features)
    if params["dense_units"]:
        features = layers.Dense(params["dense_units"], activation="relu")(features)
    for dropout in head_dropout(params["dropout"]):
        features = dropout(features)
    return keras.Model(image, output_layer(task.targets[0])(features), name="transfer")


def phases(params: Mapping[str, Any]) -> tuple[Phase, ...]:
    """Returns the frozen phase and the fine-tuning phase, or the only one of them.

    A backbone of which no layer may learn has only the frozen phase.
    """
    share, keeps_statistics = params["fine_tune_from"], params["freeze_batch_norm"]
    frozen = Phase(prepare=partial(_let_learn, frozen_share=1.0, freeze_batch_norm=True))
    if share == 1.0:
        return (frozen,)
    prepare = partial(_let_learn, frozen_share=share, freeze_batch_norm=keeps_statistics)
    if not params["frozen_epochs"]:
        return (Phase(prepare=prepare),)
    fine_tuning = Phase(
        first_epoch=params["frozen_epochs"] + 1,
        learning_rate_share=params["fine_tune_learning_rate_share"],
        prepare=prepare,
    )
    return (frozen, fine_tuning)


def backbone_of(model: keras.Model) -> keras.Model:
    """Returns the backbone within a model of this family, by the name that Keras gives it."""
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def preprocessed(features: keras.KerasTensor, params: Mapping[str, Any], *, scaling: PixelScaling) -> keras.KerasTensor:
    """Returns pixels 0-255 of three channels as the variant's backbone gets them."""
    preprocessing = BACKBONES[params["backbone"]].preprocessing
    if params["normalization"] == BACKBONE:
        scaling = _SCALINGS.get(preprocessing, scaling)
        if preprocessing is Preprocessing.CAFFE:
            features = ops.flip(features, axis=-1)
    return layers.Rescaling(scaling.scale, offset=scaling.offset, dtype="float32", name="scale")(features)


def make_backbone(
    name: str, *, size: tuple[int, int], alpha: float = 1.0, imagenet: bool = False, preprocesses: bool = True
) -> keras.Model:
    """Returns a backbone without its top, as Keras makes it.

    Args:
        size: (height, width) of the images.
        preprocesses: Whether a backbone with its own layers for scaling pixels keeps them.

    Raises:
        DataError: If its ImageNet weights are neither on this machine nor can be downloaded.
    """
    make = getattr(keras.applications, name)
    arguments: dict[str, Any] = {"alpha": alpha} if BACKBONES[name].has_alpha else {}
    if "include_preprocessing" in inspect.signature(make).parameters:
        arguments["include_preprocessing"] = preprocesses
    with explained_downloads(name), warnings.catch_warnings():
        # Keras warns that it loads the weights of 224 pixels for images of a size without its own weights.
        warnings.simplefilter("ignore", UserWarning)
        return make(include_top=False, weights=IMAGENET if imagenet else None, input_shape=(*size, 3), **arguments)


def _backbone(params: Mapping[str, Any], *, size: tuple[int, int], study_dir: str) -> keras.Model:
    weights = params["weights"]
    backbone = make_backbone(
        params["backbone"],
        size=size,
        alpha=params["alpha"],
        imagenet=weights == IMAGENET,
        preprocesses=params["normalization"] == BACKBONE,
    )
    if weights not in (NO_WEIGHTS, IMAGENET):
        _load_file(backbone, params, study_dir=study_dir)
    if params["batch_norm_momentum"]:
        for layer in backbone.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = params["batch_norm_momentum"]
    return backbone


def _load_file(backbone: keras.Model, params: Mapping[str, Any], *, study_dir: str) -> None:
    """Loads the weights of a file into the backbone; h5 holds arrays and text, so no code of the file runs."""
    path = check_weights_file(params["weights"], folder=study_dir, known=params[WEIGHTS_SHA256])
    try:
        with warnings.catch_warnings():
            # For a file that does not fit, Keras warns layer by layer before it raises.
            warnings.simplefilter("ignore", UserWarning)
            backbone.load_weights(path)
    except Exception as exc:
        # h5py and Keras raise many kinds of errors; the half-loaded backbone is discarded with the error.
        name = params["backbone"] + (f" with alpha {params['alpha']:g}" if params["alpha"] != 1 else "")
        lines = [line for line in str(exc).splitlines() if line.strip()]
        raise InfeasibleError(
            f"weights: {path} does not fit backbone {name} without its top, of {len(backbone.weights)} arrays "
            f"({type(exc).__name__}: {lines[0] if lines else ''}); use a file that "
            '`backbone.save_weights("name.weights.h5")` wrote for this backbone, or one of Keras\'s own *_notop.h5'
        ) from exc


def _let_learn(model: keras.Model, *, frozen_share: float, freeze_batch_norm: bool) -> None:
    """Sets which of the backbone's layers learn: all but a share of them, counted from the input.

    Keras runs batch normalisation that does not learn in inference mode.
    """
    backbone = backbone_of(model)
    backbone.trainable = frozen_share < 1.0
    if not backbone.trainable:
        return
    num_frozen = round(frozen_share * len(backbone.layers))
    for position, layer in enumerate(backbone.layers):
        is_kept = freeze_batch_norm and isinstance(layer, layers.BatchNormalization)
        layer.trainable = position >= num_frozen and not is_kept


def _backbone_size(params: Mapping[str, Any], *, input_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Returns (height, width) of the backbone's input."""
    height, width, channels = network_shape(input_shape, image_size=params["image_size"])
    name, backbone, side = params["backbone"], BACKBONES[params["backbone"]], params["image_side"]
    if channels not in (1, 3):
        raise InfeasibleError(
            f"backbone {name} takes grey or RGB images, got {channels} channels; use data.channels 3, or another family"
        )
    _check_options(params, backbone)
    if side and params["image_size"]:
        raise InfeasibleError(
            f"image_side {side} sets the backbone's images already, got image_size {params['image_size']} as well; use "
            "one of the two"
        )
    if min((side,) if side else (height, width)) < backbone.smallest_side:
        name_of_side = "image_side"
        received = f"image_side is {side}" if side else f"images are {height}x{width} and image_side is 0"
        if params["image_size"] and not side:
            name_of_side, received = "image_size", f"image_size {params['image_size']} makes images of {height}x{width}"
        raise InfeasibleError(
            f"backbone {name} takes images of at least {backbone.smallest_side}x{backbone.smallest_side} pixels, but "
            f"{received}; use {name_of_side}: {backbone.smallest_side} or more"
        )
    return (side, side) if side else (height, width)


def _check_options(params: Mapping[str, Any], backbone: Backbone) -> None:
    name, alpha = params["backbone"], params["alpha"]
    if alpha != 1.0 and not backbone.has_alpha:
        able = ", ".join(known for known, other in BACKBONES.items() if other.has_alpha)
        raise InfeasibleError(f"backbone {name} has one width only, got alpha {alpha:g}; use alpha 1, or one of {able}")
    if params["weights"] == IMAGENET and backbone.has_alpha and alpha not in backbone.imagenet_alphas:
        offered = ", ".join(f"{known:g}" for known in backbone.imagenet_alphas)
        raise InfeasibleError(
            f"ImageNet weights of {name} exist for alpha {offered}, got {alpha:g}; use one of these, or weights 'none'"
        )
    if backbone.preprocessing is Preprocessing.ALWAYS_WITHIN and params["normalization"] != BACKBONE:
        raise InfeasibleError(
            f"backbone {name} scales pixels in layers of its own, got normalization {params['normalization']!r} before "
            "them; use normalization 'backbone'"
        )
