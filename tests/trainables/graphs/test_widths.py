"""Layers without their widths in the graph compute what Keras's own compute, bit for bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from trainables.families.parts.keras_internals import own_call
from trainables.graphs.widths import leave_widths_out

pytestmark = pytest.mark.usefixtures("one_thread")

LAYERS = {
    "flatten": lambda: [layers.Flatten(), layers.Dense(3)],
    "flatten of a vector": lambda: [layers.GlobalAveragePooling2D(), layers.Flatten(), layers.Dense(3)],
    "convolution": lambda: [layers.Conv2D(5, 3, padding="same", bias_initializer="ones")],
    "convolution with an activation": lambda: [layers.Conv2D(2, 3, activation="relu", bias_initializer="ones")],
    "bfloat16": lambda: [layers.Conv2D(5, 3, bias_initializer="ones", dtype="mixed_bfloat16"), layers.Flatten()],
}


def outcome(model, images):
    @tf.function
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = tf.cast(model(images, training=True), tf.float32)
            value = tf.reduce_sum(tf.sin(outputs))
        return [outputs, *tape.gradient(value, [images, *model.trainable_variables])]

    return run(tf.constant(images))


@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_and_gradients_are_kerass_own(kind):
    images = np.random.default_rng(3).normal(size=(7, 6, 5, 3)).astype(np.float32)
    model = keras.Sequential([keras.Input((6, 5, 3)), *LAYERS[kind]()])
    kerass = outcome(model, images)
    leave_widths_out(model)
    assert any(own_call(layer) for layer in model.layers)
    for mine, theirs in zip(outcome(model, images), kerass, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(1, 3),
        layers.Conv2D(4, 3, use_bias=False),
        layers.Conv2D(4, 3, data_format="channels_first"),
        layers.Flatten(data_format="channels_first"),
        layers.SeparableConv2D(4, 3),
        layers.Dense(4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_other_layers_stay_as_they_are(layer):
    model = keras.Sequential([keras.Input((6, 6, 3)), layer])
    leave_widths_out(model)
    assert own_call(layer) is None


def test_a_size_that_is_not_known_is_kerass_own():
    model = keras.Sequential([keras.Input((None, 4, 3)), layers.Flatten()])
    leave_widths_out(model)
    images = np.arange(2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    run = tf.function(model).get_concrete_function(tf.TensorSpec([None, None, 4, 3], tf.float32))
    np.testing.assert_array_equal(run(tf.constant(images)), images.reshape(2, -1))
