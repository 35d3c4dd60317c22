"""Chooses the search space, and the metric where classes are of unequal sizes."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.draft.choice import Choice
from orchestrator.draft.splits import TRANSFER_SIDE
from trainables.data.guess.looking import Found
from trainables.families.parts.downloads import keras_models
from trainables.specs.dataset import DatasetInfo

#: Keras's files of the backbones of the space transfer-small.
WEIGHTS: Mapping[str, str] = {
    "MobileNetV2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_96_no_top.h5",
    "MobileNet": "mobilenet_5_0_224_tf_no_top.h5",
}
#: From so many training images residual networks pay, where there is a minute for each thousand of them.
_RESNET_IMAGES, _IMAGES_A_MINUTE = 5_000, 1_000
#: Classes of which the largest is so many times the smallest.
_IMBALANCE = 10


def present_backbones() -> list[str]:
    """Returns the backbones of transfer-small whose weights lie in Keras's folder on this machine."""
    return [name for name, file in WEIGHTS.items() if (keras_models() / file).is_file()]


def fits_transfer(found: Found) -> bool:
    """Returns whether images are colour pictures of the size that pretrained backbones are made for."""
    kinds = {target.get("kind", "classification") for target in found.guess.data.get("targets", {}).values()}
    return found.has_colour and min(found.usual_size) >= TRANSFER_SIDE and "mask" not in kinds


def space_choice(found: Found, dataset: DatasetInfo, *, minutes: float, backbones: list[str]) -> Choice:
    """Returns the search space.

    Args:
        found: The images as they lie there.
        dataset: The prepared data.
        minutes: How long the study may take.
        backbones: The pretrained backbones that are at hand.
    """
    number, side = dataset.num_train, max(dataset.task.input_shape[:2])
    params: dict[str, Any] = {"class_weights": "balanced"} if is_unequal(dataset) else {}
    if any(target.kind == "mask" for target in dataset.task.targets):
        return _space("unet-small", {}, "encoder-decoders, which predict a class for each pixel")
    if fits_transfer(found) and backbones:
        params = {"backbone": {"choice": backbones} if len(backbones) > 1 else backbones[0], **params}
        reason = (
            f"colour pictures of {TRANSFER_SIDE} pixels a side and more: networks that learned from ImageNet's photos, "
            "whose weights are on this machine, learn most from them"
        )
        return _space("transfer-small", params, reason)
    hint = ""
    if fits_transfer(found):
        hint = (
            "; with one download of a few megabytes, space: transfer-small begins with what ImageNet's photos taught, "
            "mostly far better for photos"
        )
    if number >= _RESNET_IMAGES and minutes * _IMAGES_A_MINUTE >= number:
        return _space("resnet-small", params, f"residual networks pay from several thousand images on{hint}")
    reason = f"a few blocks of convolutions for {number:,} training images of {side} pixels, quick on a CPU{hint}"
    if number >= _RESNET_IMAGES:
        longer = f"with {number / _IMAGES_A_MINUTE:.0f} minutes and more, or a GPU, resnet-small may end higher"
        reason = f"{reason}; {longer}"
    return _space("cnn-small", params, reason)


def is_unequal(dataset: DatasetInfo) -> bool:
    """Returns whether classes of a lone classification are of so unequal sizes that accuracy says little."""
    targets = dataset.look.get("targets", ())
    if len(dataset.task.targets) != 1 or len(targets) != 1 or targets[0]["kind"] != "classification":
        return False
    return bool(targets[0]["largest"][1] >= _IMBALANCE * targets[0]["smallest"][1])


def metric_choices(dataset: DatasetInfo, *, data: Mapping[str, Any]) -> Iterator[Choice]:
    """Yields targets and objective for classes of unequal sizes; nothing where accuracy says enough.

    Args:
        dataset: The prepared data.
        data: The data section so far.
    """
    if not is_unequal(dataset):
        return
    (facts,) = dataset.look["targets"]
    (large, most), (small, fewest) = facts["largest"], facts["smallest"]
    known = dict(data.get("targets", {}).get("label", {}))
    target = {"column": data.get("label_column", "label"), **known} if "columns" not in known else known
    if data["source"] == "images":
        target.pop("column")
    targets = {"label": {**target, "metrics": ["f1_score", "accuracy"]}}
    reason = f"{most:,} training images of {large!r} and {fewest:,} of {small!r}: accuracy says little of rare classes"
    yield Choice(key="data.targets", value=targets, reason=reason)
    yield Choice(key="objective", value={"metric": "val_f1_score"}, reason="the mean over classes, whatever their size")


def _space(base: str, params: Mapping[str, Any], reason: str) -> Choice:
    if "class_weights" in params:
        reason += "; rare classes weigh more in the loss"
    value = {"base": base, "params": dict(params)} if params else base
    return Choice(key="space", value=value, reason=reason)
