"""Lists the backbones of `keras.applications` with the images that each accepts; no framework.

Source: https://keras.io/api/applications, and the modules themselves; a test compares this table with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Preprocessing(Enum):
    """The scaling of pixels 0-255 that a backbone was trained with, by Keras's names.

    Attributes:
        WITHIN: Its own layers scale; Keras can leave them out.
        ALWAYS_WITHIN: Its own layers scale, and Keras cannot leave them out.
    """

    TF = "tf"
    CAFFE = "caffe"
    TORCH = "torch"
    WITHIN = "within"
    ALWAYS_WITHIN = "always within"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """One of Keras's backbones.

    Args:
        module: The module of `keras.applications` with its `preprocess_input`.
        preprocessing: How the backbone scales pixels.
        smallest_side: Images with a smaller side are refused.
        imagenet_alphas: The widths that ImageNet weights exist for; empty for a backbone of one width.
        imagenet_sides: The sides of images that ImageNet weights of their own exist for.
    """

    module: str
    preprocessing: Preprocessing
    smallest_side: int = 32
    imagenet_alphas: tuple[float, ...] = ()
    imagenet_sides: tuple[int, ...] = ()

    @property
    def has_alpha(self) -> bool:
        """Whether its width can be multiplied."""
        return bool(self.imagenet_alphas)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainedBackbone:
    """A backbone with ImageNet weights: Keras has files by backbone, width, and sometimes image side.

    Args:
        name: In BACKBONES.
        alpha: The factor on its width.
        side: The side of its square images, in pixels.
    """

    name: str
    alpha: float
    side: int


def _same(names: str, backbone: Backbone) -> dict[str, Backbone]:
    return dict.fromkeys(names.split(), backbone)


_MOBILENET = Backbone(
    module="mobilenet",
    preprocessing=Preprocessing.TF,
    imagenet_alphas=(0.25, 0.5, 0.75, 1.0),
    imagenet_sides=(128, 160, 192, 224),
)
_MOBILENET_V2 = Backbone(
    module="mobilenet_v2",
    preprocessing=Preprocessing.TF,
    imagenet_alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    imagenet_sides=(96, 128, 160, 192, 224),
)
_MOBILENET_V3 = Backbone(module="mobilenet_v3", preprocessing=Preprocessing.WITHIN, imagenet_alphas=(0.75, 1.0))

#: By the name of the function in `keras.applications`.
BACKBONES: Mapping[str, Backbone] = {
    "MobileNet": _MOBILENET,
    "MobileNetV2": _MOBILENET_V2,
    **_same("MobileNetV3Small MobileNetV3Large", _MOBILENET_V3),
    **_same(
        "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 EfficientNetB5 EfficientNetB6 "
        "EfficientNetB7",
        Backbone(module="efficientnet", preprocessing=Preprocessing.ALWAYS_WITHIN),
    ),
    **_same(
        "EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2S EfficientNetV2M "
        "EfficientNetV2L",
        Backbone(module="efficientnet_v2", preprocessing=Preprocessing.WITHIN),
    ),
    **_same("ResNet50 ResNet101 ResNet152", Backbone(module="resnet", preprocessing=Preprocessing.CAFFE)),
    **_same("ResNet50V2 ResNet101V2 ResNet152V2", Backbone(module="resnet_v2", preprocessing=Preprocessing.TF)),
    **_same("DenseNet121 DenseNet169 DenseNet201", Backbone(module="densenet", preprocessing=Preprocessing.TORCH)),
    **_same(
        "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge",
        Backbone(module="convnext", preprocessing=Preprocessing.WITHIN),
    ),
    "VGG16": Backbone(module="vgg16", preprocessing=Preprocessing.CAFFE),
    "VGG19": Backbone(module="vgg19", preprocessing=Preprocessing.CAFFE),
    "InceptionV3": Backbone(module="inception_v3", preprocessing=Preprocessing.TF, smallest_side=75),
    "InceptionResNetV2": Backbone(module="inception_resnet_v2", preprocessing=Preprocessing.TF, smallest_side=75),
    "Xception": Backbone(module="xception", preprocessing=Preprocessing.TF, smallest_side=71),
    **_same("NASNetMobile NASNetLarge", Backbone(module="nasnet", preprocessing=Preprocessing.TF)),
}
