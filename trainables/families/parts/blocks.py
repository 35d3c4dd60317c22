"""Parts that the families share: convolutions, normalisation, gates, pooling; checks of the image's size."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers

from trainables.errors import InfeasibleError
from trainables.specs.pixels import PixelScaling
from trainables.specs.task import Target

POOL_WINDOW = 2
#: The name of every dropout layer whose rate is the parameter `dropout`.
HEAD_DROPOUT = "head_dropout"
_OUTPUT_ACTIVATIONS = {"classification": "softmax", "multilabel": "sigmoid", "regression": "linear", "mask": "softmax"}


def scaled_input(
    input_shape: tuple[int, int, int], scaling: PixelScaling | None = None
) -> list[keras.KerasTensor | layers.Layer]:
    """Returns the first two layers of every family: the input of 0-255 and its scaling, by default to 0-1."""
    scaling = scaling or PixelScaling()
    scale = layers.Rescaling(scaling.scale, offset=scaling.offset, dtype="float32", name="scale")
    return [keras.Input(shape=input_shape, name="image"), scale]


def convolution(  # noqa: PLR0913 - the arguments of one Keras layer, under Keras's own names
    filters: int,
    kernel_size: int,
    *,
    strides: int = 1,
    padding: str = "same",
    use_bias: bool = True,
    activation: str = "relu",
    l2: float = 0.0,
) -> layers.Layer:
    """Returns a convolution without activation, initialised for the activation that follows it."""
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=use_bias,
        kernel_initializer=_initializer_for(activation),
        kernel_regularizer=l2_penalty(l2),
    )


def separable_convolution(  # noqa: PLR0913 - the arguments of one Keras layer, under Keras's own names
    filters: int,
    kernel_size: int,
    *,
    strides: int = 1,
    padding: str = "same",
    use_bias: bool = True,
    activation: str = "relu",
    l2: float = 0.0,
) -> layers.Layer:
    """Returns a depthwise separable convolution without activation: one kernel a channel, then a 1x1 mixture.

    Source: Chollet 2016, "Xception", arXiv:1610.02357.
    """
    initializer = _initializer_for(activation)
    return layers.SeparableConv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=use_bias,
        depthwise_initializer=initializer,
        pointwise_initializer=initializer,
        depthwise_regularizer=l2_penalty(l2),
        pointwise_regularizer=l2_penalty(l2),
    )


def l2_penalty(weight: float) -> keras.regularizers.Regularizer | None:
    """Returns Keras's L2 penalty of that weight, or None for 0."""
    return keras.regularizers.L2(weight) if weight else None


def batch_normalisation() -> layers.Layer:
    """Returns batch normalisation whose averages follow within tens of steps, as He et al. 2015 train with.

    Keras's own momentum of 0.99 needs hundreds of steps: early epochs on small data would be validated with stale
    averages, and early stopping would end good variants.
    """
    return layers.BatchNormalization(momentum=0.9)


def norm_activation(*, batch_norm: bool, activation: str) -> list[layers.Layer]:
    """Returns batch normalisation (if asked for) and the activation, in the order they are applied."""
    normalisation = [batch_normalisation()] if batch_norm else []
    return [*normalisation, layers.Activation(activation)]


def squeeze_excite(features: keras.KerasTensor, *, ratio: int, activation: str) -> keras.KerasTensor:
    """Returns the features with each channel scaled by a gate that sees all channels' averages.

    Source: Hu et al. 2017, "Squeeze-and-Excitation Networks", arXiv:1709.01507.
    """
    channels = features.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True)(features)
    gate = layers.Dense(max(1, channels // ratio), activation=activation)(gate)
    gate = layers.Dense(channels, activation="sigmoid")(gate)
    return layers.Multiply()([features, gate])


def head_dropout(rate: float) -> list[layers.Layer]:
    """Returns dropout before an output, or nothing where the rate is 0."""
    return [layers.Dropout(rate, name=HEAD_DROPOUT)] if rate else []


def dropped_by_image(features: keras.KerasTensor, *, rate: float) -> keras.KerasTensor:
    """Returns the features; training zeroes them for this share of the images and scales up the others.

    The layer is Keras's own dropout with one draw an image, so that a saved model loads without this package.
    Source: Huang et al. 2016, "Deep Networks with Stochastic Depth", arXiv:1603.09382.
    """
    return layers.Dropout(rate, noise_shape=(None, 1, 1, 1))(features)


def pooled(features: keras.KerasTensor, *, kind: str) -> keras.KerasTensor:
    """Returns the features after 2x2 pooling, `max` or `average`; odd rows and columns at the end are left out."""
    return pooling_layer(kind, padding="valid")(features)


def pooling_layer(kind: str, *, padding: str) -> layers.Layer:
    """Returns 2x2 pooling, `max` or `average`."""
    pooling = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    return pooling(POOL_WINDOW, padding=padding)


def output_layer(
    target: Target, *, name: str | None = None, penalty: keras.regularizers.Regularizer | None = None
) -> layers.Layer:
    """Returns the last layer of a target's head, in float32 under every precision; of a mask it acts on each pixel.

    Args:
        name: The layer's name; None: `probabilities` or `values`, by the target's kind.
    """
    return layers.Dense(
        target.size,
        activation=_OUTPUT_ACTIVATIONS[target.kind],
        dtype="float32",
        kernel_regularizer=penalty,
        name=name or ("values" if target.kind == "regression" else "probabilities"),
    )


def filters_of(position: int, *, first: int, growth: float) -> int:
    """Returns the filters of block `position`, counted from 0: first x growth^position, at least 1.

    >>> [filters_of(block, first=16, growth=2.0) for block in range(4)]
    [16, 32, 64, 128]
    """
    return max(1, round(first * growth**position))


def halvings_of(size: tuple[int, ...]) -> int:
    """Returns how many times an image whose size begins with (height, width) can be halved.

    >>> [halvings_of((side, 32)) for side in (1, 3, 8, 28)]
    [0, 1, 3, 4]
    """
    return min(size[:2]).bit_length() - 1


def one_a_block(values: Any, *, name: str, num_blocks: int) -> tuple[Any, ...]:
    """Returns a parameter's value for each block, from one value for all or a list.

    >>> one_a_block(3, name="kernel_size", num_blocks=2), one_a_block((5, 3), name="kernel_size", num_blocks=2)
    ((3, 3), (5, 3))

    Raises:
        InfeasibleError: If a list's length is not the number of blocks.
    """
    if not isinstance(values, list | tuple):
        return (values,) * num_blocks
    if len(values) != num_blocks:
        raise InfeasibleError(
            f"{name} lists {len(values)} values for {num_blocks} blocks, got {list(values)!r}; use one value a block, "
            "or one number for all blocks"
        )
    return tuple(values)


def size_after(  # noqa: PLR0913 - one convolution's own arguments
    size: tuple[int, int], *, window: int, stride: int, padding: str, what: str, input_size: tuple[int, int]
) -> tuple[int, int]:
    """Returns (height, width) after a window slides over an image of that size.

    >>> size_after((8, 8), window=3, stride=1, padding="valid", what="block 1", input_size=(8, 8))
    (6, 6)

    Raises:
        InfeasibleError: If the window is larger than the image.
    """
    if padding == "same":
        return (-(-size[0] // stride), -(-size[1] // stride))
    if min(size) < window:
        raise InfeasibleError(
            f"{what} needs at least {window}x{window} pixels, but only {size[0]}x{size[1]} are left of images of "
            f"{input_size[0]}x{input_size[1]}; use fewer blocks, smaller kernels or strides, or padding 'same'"
        )
    return ((size[0] - window) // stride + 1, (size[1] - window) // stride + 1)


def _initializer_for(activation: str) -> str:
    """Returns the initialisation that keeps a signal's size through the activation that follows.

    Source: He et al. 2015, arXiv:1502.01852, for the rectifier family; Glorot and Bengio 2010 for tanh; Klambauer et
    al. 2017, arXiv:1706.02515, for selu.
    """
    return {"tanh": "glorot_uniform", "selu": "lecun_normal"}.get(activation, "he_normal")


@contextmanager
def without_penalties(model: keras.Model) -> Iterator[None]:
    """Leaves the penalties on weights, such as L2, out of functions traced in this context.

    Validation uses it, because losses with different penalties cannot be compared between variants.
    """
    penalties = [(weight, weight.regularizer) for weight in model.trainable_weights]
    try:
        for weight, _ in penalties:
            weight.regularizer = None
        yield
    finally:
        for weight, penalty in penalties:
            weight.regularizer = penalty
