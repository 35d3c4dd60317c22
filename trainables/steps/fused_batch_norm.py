"""Keras's batch normalisation, computed by TensorFlow's fused kernel where a model is trained.

Keras composes it of a dozen operations, which costs a small CNN 40 to 60 % of its epoch on a CPU. The kernel returns
the variance with Bessel's correction (as Ioffe and Szegedy 2015, arXiv:1502.03167), Keras keeps the population's; this
module keeps Keras's, so that numbers agree with Keras's own layer up to rounding.
"""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from trainables.families.parts.keras_internals import all_layers, replace_call

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
    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        # As in Keras, float32 under every precision.
        x=tf.cast(inputs, tf.float32),
        scale=tf.ones(channels) if layer.gamma is None else layer.gamma.value,
        offset=tf.zeros(channels) if layer.beta is None else layer.beta.value,
        mean=_NOTHING,
        variance=_NOTHING,
        epsilon=layer.epsilon,
        is_training=True,
    )
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance = variance * (tf.maximum(count - 1.0, 1.0) / count)
    keep = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * keep + mean * (1.0 - keep))
    layer.moving_variance.assign(layer.moving_variance * keep + variance * (1.0 - keep))
    return tf.cast(outputs, layer.compute_dtype)
