"""Defines a study file's augmentation settings, and scales them by a searched strength; no TensorFlow."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from trainables.specs.numbers import Count, Number

LARGEST_MAGNITUDE = 10.0
#: The upper ends of an AugmentSpec's amounts; a larger strength stops at the upper end.
_LARGEST = {"rotate_degrees": 180.0, "shift": 1.0, "zoom": 0.9, "brightness": 1.0, "contrast": 1.0}


class RandAugmentSpec(BaseModel):
    """Says how many operations drawn at random change each image, and how strongly.

    Source: Cubuk et al. 2019, arXiv:1909.13719.

    Attributes:
        num_ops: Operations an image, drawn with replacement.
        magnitude: Of every operation, 0 (nothing changes) to 10.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_ops: Count = Field(default=2, ge=1, le=8)
    magnitude: Number = Field(default=5.0, ge=0.0, le=LARGEST_MAGNITUDE, allow_inf_nan=False)


class AugmentSpec(BaseModel):
    """Says how training images are varied, anew in every epoch.

    Attributes:
        flip: Which mirror images may be shown.
        crop_padding: Pixels of zeros added on every side before a random crop to the old size.
        rotate_degrees: The largest rotation to either side.
        shift: The largest shift to any side, as a share of that side.
        zoom: The largest change of scale either way, as a share; 0.1 shows images at 1/1.1 to 1/0.9 of their size.
        brightness: The largest change of all pixels either way, as a share of 255.
        contrast: The largest change of the distance from each channel's mean either way, as a share.
        cutout: The side in pixels of a black square around a random pixel. DeVries and Taylor 2017, arXiv:1708.04552.
        mixup: Alpha of the Beta distribution by which two images are blended. Zhang et al. 2017, arXiv:1710.09412.
        cutmix: Alpha of the Beta distribution of the share that another image's patch leaves. Yun et al. 2019,
            arXiv:1905.04899. With mixup as well, each image gets one of the two, with equal chances.
        rand_augment: Operations drawn at random for each image.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    crop_padding: Count = Field(default=0, ge=0)
    rotate_degrees: Number = Field(default=0.0, ge=0.0, le=_LARGEST["rotate_degrees"], allow_inf_nan=False)
    shift: Number = Field(default=0.0, ge=0.0, le=_LARGEST["shift"], allow_inf_nan=False)
    zoom: Number = Field(default=0.0, ge=0.0, le=_LARGEST["zoom"], allow_inf_nan=False)
    brightness: Number = Field(default=0.0, ge=0.0, le=_LARGEST["brightness"], allow_inf_nan=False)
    contrast: Number = Field(default=0.0, ge=0.0, le=_LARGEST["contrast"], allow_inf_nan=False)
    cutout: Count = Field(default=0, ge=0)
    mixup: Number = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    cutmix: Number = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    rand_augment: RandAugmentSpec | None = Field(default=None, examples=["{num_ops: 2, magnitude: 5}"])

    @property
    def is_active(self) -> bool:
        """Whether the study asks for any augmentation."""
        return self != AugmentSpec()

    def scaled(self, strength: float) -> AugmentSpec:
        """Returns this spec with every amount multiplied by a strength, up to the amount's upper end.

        Pixels are rounded to whole ones. A flip has no amount: it stays as it is at any strength above 0.

        >>> AugmentSpec(flip="both", crop_padding=3, rotate_degrees=100).scaled(2.0)
        AugmentSpec(flip='both', crop_padding=6, rotate_degrees=180.0, shift=0.0, zoom=0.0, brightness=0.0, \
contrast=0.0, cutout=0, mixup=0.0, cutmix=0.0, rand_augment=None)
        >>> AugmentSpec(flip="both", cutout=4).scaled(0.0) == AugmentSpec()
        True
        """
        if strength == 0:
            return AugmentSpec()
        if strength == 1:
            return self
        amounts = {name: min(getattr(self, name) * strength, largest) for name, largest in _LARGEST.items()}
        amounts |= {name: getattr(self, name) * strength for name in ("mixup", "cutmix")}
        pixels = {name: round(getattr(self, name) * strength) for name in ("crop_padding", "cutout")}
        drawn = self.rand_augment
        if drawn is not None:
            magnitude = min(drawn.magnitude * strength, LARGEST_MAGNITUDE)
            drawn = RandAugmentSpec(num_ops=drawn.num_ops, magnitude=magnitude)
        return AugmentSpec(flip=self.flip, rand_augment=drawn, **amounts, **pixels)
