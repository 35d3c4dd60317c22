"""Keras's batch normalisation, computed by TensorFlow's fused kernel where a model is trained.

Keras composes it of a dozen operations, which costs a small CNN 40 to 60 % of its epoch on a CPU. The kernel returns
the variance with Bessel's correction (as Ioffe and Szegedy 2015, arXiv:1502.03167), Keras keeps the population's; this
module keeps Keras's, so that numbers agree with Keras's own layer up to rounding.

The number of channels is not in the graph, and TensorFlow's own gradient of the kernel is not used: it takes zeros of
that number for each output that nothing is differentiated by. So one graph serves every number of channels.
"""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from trainables.families.parts.keras_internals import all_layers, replace_call
from trainables.graphs.recording import recorded

_IMAGE_RANK = 4
#: The kernel's earlier averages, where it keeps none: a constant, which takes a third of the operations of zeros.
_NOTHING = np.zeros(0, np.float32)


def fuse_batch_norm(model: keras.Model) -> None:
    """Lets the model's plain batch normalisations train through the fused kernel; predictions stay Keras's own.

    The layers stay the same: files of the model and its weights do not change.
    """
    for layer in all_layers(model):
        if _can_be_fused(layer):
            replace_call(layer, functools.partial(_call, layer))


def _can_be_fused(layer: Any) -> bool:
    """Returns whether a layer is Keras's own batch normalisation over the channels of images."""
    # A derived class is not fused: its `call` is its author's.
    if type(layer) is not layers.BatchNormalization or layer.renorm or layer.synchronized or not layer.built:
        return False
    return layer.input_spec.ndim == _IMAGE_RANK and layer.axis in (-1, _IMAGE_RANK - 1)


def _call(layer: layers.BatchNormalization, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """Does what the layer's own `call` does."""
    if not (training and layer.trainable) or mask is not None or inputs.dtype.size > tf.float32.size:
        return layers.BatchNormalization.call(layer, inputs, training=training, mask=mask)
    # As in Keras, float32 under every precision.
    inputs = tf.cast(inputs, tf.float32)
    mean = tf.convert_to_tensor(layer.moving_mean.value)
    variance = tf.convert_to_tensor(layer.moving_variance.value)
    scale = tf.ones_like(mean) if layer.gamma is None else tf.convert_to_tensor(layer.gamma.value)
    offset = tf.zeros_like(mean) if layer.beta is None else tf.convert_to_tensor(layer.beta.value)
    outputs, batch_mean, batch_variance = _normalised(inputs, scale, offset, epsilon=layer.epsilon)
    one, keep, rest = tf.constant(1.0), tf.constant(layer.momentum), tf.constant(1.0 - layer.momentum)
    # Not the size of an output of the kernel: known sizes leave their nodes bound to where they come from, and a kernel
    # that is bound is not fused with the activation behind it.
    num_channels = tf.raw_ops.Size(input=mean)
    count = tf.cast(tf.raw_ops.Size(input=inputs) // num_channels, tf.float32)
    batch_variance = batch_variance * (tf.maximum(count - one, one) / count)
    layer.moving_mean.assign(mean * keep + batch_mean * rest)
    layer.moving_variance.assign(variance * keep + batch_variance * rest)
    return tf.cast(outputs, layer.compute_dtype)


def _normalised(
    inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, *, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the normalised inputs, and mean and variance of each channel over the batch, with Bessel's correction."""
    kept: list[tf.Tensor] = []

    def compute() -> tf.Tensor:
        outputs = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=scale,
            offset=offset,
            mean=_NOTHING,
            variance=_NOTHING,
            epsilon=epsilon,
            is_training=True,
        )
        kept[:] = outputs[1:]
        return outputs[0]

    def gradient(of_outputs: tf.Tensor) -> list[tf.Tensor]:
        *_, of_mean, of_variance, of_kernel = kept
        by_input = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=of_outputs,
            x=inputs,
            scale=scale,
            reserve_space_1=of_mean,
            reserve_space_2=of_variance,
            reserve_space_3=of_kernel,
            epsilon=epsilon,
            is_training=True,
        )
        return list(by_input[:3])

    return recorded(compute, [inputs, scale, offset], gradient), kept[0], kept[1]
