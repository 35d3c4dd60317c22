"""Shrinks images inside a model to the size that its network works on, so that a file of it takes the data's own.

`keras.ops.image.resize` shrinks, not `layers.Resizing`: findings/keras-resizing-trains-batch-norm.sh.
"""

import keras
from keras import layers, ops

from trainables.families.parts.blocks import scaled_input
from trainables.families.parts.context import BuildContext
from trainables.specs.network_size import network_shape


def at_network_size(images: keras.KerasTensor, *, image_size: int) -> keras.KerasTensor:
    """Returns images at the network's size, each pixel a mean of those that it covers (antialiased bilinear).

    Args:
        images: float32 (batch, height, width, channels), returned as they are where the size is theirs.
        image_size: As in `network_shape`.
    """
    input_shape = tuple(images.shape[1:])
    shape = network_shape(input_shape, image_size=image_size)
    return images if shape == input_shape else ops.image.resize(images, shape[:2], antialias=True)


def first_layers(
    input_shape: tuple[int, int, int], *, context: BuildContext
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns a model's input, and its images as the network sees them: at its size, scaled."""
    image, scale = scaled_input(input_shape, context.pixel_scaling)
    return image, scale(at_network_size(image, image_size=context.image_size))


def at_data_size(probabilities: keras.KerasTensor, *, size: tuple[int, int]) -> keras.KerasTensor:
    """Returns probabilities by pixel at another (height, width), bilinear between pixels: they still sum to 1."""
    if tuple(probabilities.shape[1:3]) == size:
        return probabilities
    # The layer changes nothing: a variant's memory is counted by layers.
    return layers.Activation("linear", dtype="float32")(ops.image.resize(probabilities, size))


def model_of_stack(stack: list[layers.Layer], *, image_size: int, name: str) -> keras.Model:
    """Returns a model of layers in a row, the first of which are those of `scaled_input`."""
    image, *others = stack
    features = at_network_size(image, image_size=image_size)
    if features is image:
        # All layers at once: Sequential.add builds the whole model again for each layer.
        return keras.Sequential(stack, name=name)
    # Keras's Sequential takes layers only, and shrinking is none.
    for layer in others:
        features = layer(features)
    return keras.Model(image, features, name=name)
