"""Leaves the widths of layers out of a model's graph, so that one graph serves networks of other widths.

Keras writes the number of features behind Flatten, and that of filters where a convolution adds a bias, into the graph.
"""

import functools
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from trainables.families.parts.keras_internals import all_layers, replace_call
from trainables.graphs.recording import recorded


def leave_widths_out(model: keras.Model) -> None:
    """Lets the model's plain layers take widths from their inputs and variables when they run.

    The numbers stay the same, and so do files of the model.
    """
    for layer in all_layers(model):
        if getattr(layer, "data_format", "") != "channels_last":
            continue
        if type(layer) is layers.Flatten:
            replace_call(layer, functools.partial(_flattened, layer))
        # A lone filter's bias Keras adds by another operation.
        if type(layer) is layers.Conv2D and layer.use_bias and layer.filters > 1:
            replace_call(layer, functools.partial(_convolved, layer))


def _flattened(layer: layers.Flatten, inputs: Any) -> Any:
    """Does what the layer's own `call` does."""
    num_features = inputs.shape[1:].num_elements()
    if num_features is None:
        return layers.Flatten.call(layer, inputs)
    # The operation itself: tf.shape would put the numbers that it knows into the graph.
    shape = tf.raw_ops.Shape(input=inputs)
    outputs = recorded(
        lambda: tf.reshape(inputs, tf.stack([shape[0], -1])),
        [inputs],
        lambda gradient: [tf.reshape(gradient, shape)],
    )
    outputs.set_shape([inputs.shape[0], num_features])
    return outputs


def _convolved(layer: layers.Conv2D, inputs: Any) -> Any:
    """Does what the layer's own `call` does."""
    outputs = layer.convolution_op(inputs, layer.kernel)
    return layer.activation(tf.nn.bias_add(outputs, tf.convert_to_tensor(layer.bias)))
