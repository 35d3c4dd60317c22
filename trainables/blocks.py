"""Parts that the families share: convolution, normalisation, activation; pooling; checks of the image's size."""

import keras
from keras import layers

from trainables.errors import InfeasibleError
from trainables.normalization import PixelScaling


def scaled_input(
    input_shape: tuple[int, int, int], scaling: PixelScaling | None = None
) -> list[keras.KerasTensor | layers.Layer]:
    """Returns the two layers that every family starts with: the input of 0-255 and its scaling, by default to 0-1."""
    scaling = scaling or PixelScaling()
    scale = layers.Rescaling(scaling.scale, offset=scaling.offset, name="scale")
    return [keras.Input(shape=input_shape, name="image"), scale]


def convolution(  # noqa: PLR0913 - the arguments of one Keras layer, under Keras's own names
    filters: int,
    kernel_size: int,
    *,
    strides: int = 1,
    padding: str = "same",
    use_bias: bool = True,
    activation: str = "relu",
) -> layers.Layer:
    """Returns a convolution without activation, initialised for the activation that follows it.

    Source: He et al. 2015, arXiv:1502.01852, for the rectifier family; Glorot and Bengio 2010 for tanh; Klambauer et
    al. 2017, arXiv:1706.02515, for selu.
    """
    initializer = {"tanh": "glorot_uniform", "selu": "lecun_normal"}.get(activation, "he_normal")
    return layers.Conv2D(
        filters, kernel_size, strides=strides, padding=padding, use_bias=use_bias, kernel_initializer=initializer
    )


def batch_normalisation() -> layers.Layer:
    """Returns batch normalisation whose averages follow within tens of steps, as He et al. 2015 train with.

    Keras's own momentum of 0.99 needs hundreds: early epochs on small data would be judged by stale averages, and
    early stopping would end good variants.
    """
    return layers.BatchNormalization(momentum=0.9)


def norm_activation(*, batch_norm: bool, activation: str) -> list[layers.Layer]:
    """Returns batch normalisation (if asked for) and the activation, in the order they are applied."""
    normalisation = [batch_normalisation()] if batch_norm else []
    return [*normalisation, layers.Activation(activation)]


def filters_of(position: int, *, first: int, growth: float) -> int:
    """Returns the filters of block `position` (from 0): first x growth^position, at least 1.

    >>> [filters_of(block, first=16, growth=2.0) for block in range(4)]
    [16, 32, 64, 128]
    """
    return max(1, round(first * growth**position))


def size_after(  # noqa: PLR0913 - one convolution's own arguments
    size: tuple[int, int], *, window: int, stride: int, padding: str, what: str, input_size: tuple[int, int]
) -> tuple[int, int]:
    """Returns (height, width) after a window slides over an image of that size.

    Raises: InfeasibleError: if the window does not fit any more.

    >>> size_after((8, 8), window=3, stride=1, padding="valid", what="block 1", input_size=(8, 8))
    (6, 6)
    """
    if padding == "same":
        return (-(-size[0] // stride), -(-size[1] // stride))
    if min(size) < window:
        raise InfeasibleError(
            f"{what} needs at least {window}x{window} pixels, but only {size[0]}x{size[1]} are left of images of "
            f"{input_size[0]}x{input_size[1]}; use fewer blocks, smaller kernels or strides, or padding 'same'"
        )
    return ((size[0] - window) // stride + 1, (size[1] - window) // stride + 1)
