"""The fused batch normalisation against Keras's own layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from trainables.graphs.fused_batch_norm import fuse_batch_norm

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = ((6, 5, 4, 3), (1, 2, 1, 3), (1, 1, 1, 3), (128, 8, 8, 3))
SETTINGS = (
    {},
    {"momentum": 0.9, "epsilon": 1e-3},
    {"center": False},
    {"scale": False},
    {"center": False, "scale": False, "momentum": 0.5},
)


def model_of(layer, *, shape):
    return keras.Sequential([keras.Input(shape), layer])


def outcome(model, images):
    """Returns everything that a training step takes from the layer, and what it keeps."""
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=True)
        # Not the sum of squares, whose gradient normalisation makes vanish.
        value = tf.reduce_sum(outputs * tf.cos(tf.reshape(tf.range(tf.size(outputs), dtype=tf.float32), outputs.shape)))
    gradients = tape.gradient(value, [images, *model.trainable_variables])
    return [outputs, *gradients, *model.variables]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_gradients_and_averages_are_those_of_kerass_layer(shape, settings):
    images = np.random.default_rng(3).normal(2.0, 3.0, shape).astype(np.float32)
    own, kerass = (model_of(layers.BatchNormalization(**settings), shape=shape[1:]) for _ in range(2))
    for model in (own, kerass):
        for variable in model.trainable_variables:
            variable.assign(variable + 0.3)
    fuse_batch_norm(own)
    assert "call" in own.layers[0].__dict__
    for _ in range(3):
        for mine, theirs in zip(outcome(own, images), outcome(kerass, images), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-4)


def test_predictions_are_kerass_own_bit_for_bit():
    images = np.random.default_rng(3).normal(size=(7, 4, 4, 3)).astype(np.float32)
    model = model_of(layers.BatchNormalization(), shape=(4, 4, 3))
    fuse_batch_norm(model)
    model(images, training=True)
    own = model(images, training=False)
    del model.layers[0].__dict__["call"]
    np.testing.assert_array_equal(own, model(images, training=False))


def test_frozen_layers_keep_their_averages():
    model = model_of(layers.BatchNormalization(trainable=False), shape=(4, 4, 3))
    fuse_batch_norm(model)
    before = [variable.numpy() for variable in model.variables]
    model(np.ones((2, 4, 4, 3), np.float32) * 9, training=True)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_layers_of_another_kind_stay_as_they_are():
    class Own(layers.BatchNormalization):
        pass

    for layer, shape in (
        (Own(), (4, 4, 3)),
        (layers.BatchNormalization(axis=1), (4, 4, 3)),
        (layers.BatchNormalization(), (3,)),
        (layers.BatchNormalization(renorm=True), (4, 4, 3)),
        (layers.LayerNormalization(), (4, 4, 3)),
    ):
        model = model_of(layer, shape=shape)
        fuse_batch_norm(model)
        assert "call" not in layer.__dict__


def test_a_file_of_a_fused_model_is_a_plain_keras_model(tmp_path):
    images = np.random.default_rng(3).normal(size=(7, 4, 4, 3)).astype(np.float32)
    model = model_of(layers.BatchNormalization(), shape=(4, 4, 3))
    fuse_batch_norm(model)
    model(images, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is layers.BatchNormalization
    np.testing.assert_array_equal(loaded(images), model(images))


def test_bfloat16_layers_normalise_in_float32_as_keras_does():
    images = np.random.default_rng(3).normal(size=(9, 4, 4, 3)).astype(np.float32)
    own, kerass = (model_of(layers.BatchNormalization(dtype="mixed_bfloat16"), shape=(4, 4, 3)) for _ in range(2))
    fuse_batch_norm(own)
    mine, theirs = own(images, training=True), kerass(images, training=True)
    assert mine.dtype == theirs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(mine, tf.float32), tf.cast(theirs, tf.float32), atol=0.02)
    for left, right in zip(own.variables, kerass.variables, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
