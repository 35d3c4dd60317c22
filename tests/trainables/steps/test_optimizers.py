"""Every optimizer trains, and goes on from a state bit for bit; clipping and gathered gradients are what they say."""

import keras
import numpy as np
import pytest

from trainables.catalog.families import FAMILIES
from trainables.catalog.training import OPTIMIZERS
from trainables.data.batches.tensors import epoch_order, gather_batch
from trainables.errors import InfeasibleError
from trainables.steps.compiling import make_optimizer
from trainables.steps.schedules import Horizon

pytestmark = pytest.mark.usefixtures("one_thread")

#: Rates at which each optimizer learns the digits; the sign-based and the unscaled ones need others than Adam.
RATES = {"adagrad": 0.1, "adadelta": 1.0, "sgd": 0.05, "lion": 1e-3, "adafactor": 0.03}
#: Everything at once that keeps state between batches.
EVERYTHING = {
    "schedule": "one_cycle",
    "clip_norm": 1.0,
    "ema_momentum": 0.9,
    "gradient_accumulation": 3,
    "weight_decay": 1e-3,
    "class_weights": "balanced",
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_loss_falls_with_every_optimizer(training_of, variant_of, optimizer):
    rate = RATES.get(optimizer, 0.01)
    variant = variant_of(num_blocks=1, dropout=0.0, batch_size=16, optimizer=optimizer, learning_rate=rate)
    losses = [report.metrics["loss"] for report in training_of(variant, max_epochs=6).epochs()]
    assert losses[-1] < 0.75 * losses[0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_goes_on_from_its_state_bit_for_bit(training_of, variant_of, optimizer, same_state):
    variant = variant_of(num_blocks=1, optimizer=optimizer, **EVERYTHING)
    undisturbed = training_of(variant, max_epochs=3)
    undisturbed.run_epoch()
    # Four batches an epoch: one of them waits for two of the next epoch.
    state, history = undisturbed.state(), list(undisturbed.history)
    expected = [report.metrics for report in undisturbed.epochs()]

    after = training_of(variant, max_epochs=3)
    after.load_state(state, history=history)
    assert [report.metrics for report in after.epochs()] == expected
    same_state(after.state(), undisturbed.state())


def optimizer_of(*, steps_per_epoch=100, **params):
    params = FAMILIES["sequential"].with_defaults({"optimizer": "sgd", "momentum": 0.0, "learning_rate": 1.0} | params)
    return make_optimizer(params, horizon=Horizon(steps_per_epoch=steps_per_epoch, max_epochs=1))


@pytest.mark.parametrize(("clip_norm", "factor"), [(0.0, 1.0), (1.0, 0.2), (2.5, 0.5), (5.0, 1.0), (7.0, 1.0)])
def test_gradients_are_clipped_by_their_norm_over_all_weights(clip_norm, factor):
    weights = [keras.Variable(np.zeros(1, np.float32)), keras.Variable(np.zeros(1, np.float32))]
    optimizer = optimizer_of(clip_norm=clip_norm)
    optimizer.build(weights)
    optimizer.apply([keras.ops.array([3.0]), keras.ops.array([4.0])])
    assert [float(weight.numpy()[0]) for weight in weights] == pytest.approx([-3 * factor, -4 * factor])


@pytest.mark.parametrize(("clip_value", "expected"), [(0.0, [-3.0, 4.0]), (1.0, [-1.0, 1.0]), (3.5, [-3.0, 3.5])])
def test_gradients_are_clipped_number_by_number(clip_value, expected):
    weight = keras.Variable(np.zeros(2, np.float32))
    optimizer = optimizer_of(clip_value=clip_value)
    optimizer.build([weight])
    optimizer.apply([keras.ops.array([3.0, -4.0])])
    assert weight.numpy() == pytest.approx(expected)


def test_gradients_are_clipped_in_one_way_alone():
    with pytest.raises(
        InfeasibleError, match=r"clip_norm 1 and clip_value 0\.5 clip the same gradients, and Keras takes"
    ):
        optimizer_of(clip_norm=1.0, clip_value=0.5)


@pytest.mark.parametrize("params", [{}, {"nesterov": True}, {"nesterov": False}])
def test_momentum_is_nesterovs_unless_it_is_said_otherwise(params):
    weights = []
    plain = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=params.get("nesterov", True))
    for optimizer in (optimizer_of(momentum=0.9, learning_rate=0.1, **params), plain):
        weight = keras.Variable(np.ones(3, np.float32))
        optimizer.build([weight])
        for gradient in ([1.0, -2.0, 0.5], [0.3, 0.1, -4.0], [2.0, 2.0, 2.0]):
            optimizer.apply([keras.ops.array(gradient)])
        weights.append(weight.numpy())
    np.testing.assert_allclose(*weights, rtol=1e-6)


def test_gathered_batches_are_one_large_batch(training_of, variant_of):
    plain = {"optimizer": "sgd", "batch_norm": False, "dropout": 0.0, "learning_rate": 0.1}
    gathered = training_of(variant_of(batch_size=25, gradient_accumulation=4, **plain))
    large = training_of(variant_of(batch_size=100, **plain))
    for _ in range(2):
        told, expected = gathered.run_epoch().metrics, large.run_epoch().metrics
        assert told["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-5)
    for name, array in large.state().items():
        if name.startswith("model/"):
            np.testing.assert_allclose(gathered.state()[name], array, rtol=1e-4, atol=1e-6, err_msg=name)


def test_batches_left_over_by_an_epoch_are_carried_into_the_next(training_of, variant_of, splits):
    variant = variant_of(
        optimizer="sgd", momentum=0.0, batch_norm=False, dropout=0.0, batch_size=32, gradient_accumulation=3
    )
    compiled, by_hand = training_of(variant), training_of(variant)
    model, gradients = by_hand.model, []
    for epoch in (1, 2):
        order = epoch_order(splits[0].indices, seed=variant.seed, epoch=epoch)
        for start in range(0, len(order), 32):
            images, labels = gather_batch(splits[0], order[start : start + 32])
            gradients.append(gradient(model, (images, labels["label"])))
            if len(gradients) == 3:
                for weight, *parts in zip(model.trainable_variables, *gradients, strict=True):
                    weight.assign(weight - variant.params.get("learning_rate", 1e-3) * sum(parts) / 3)
                gradients.clear()
        compiled.run_epoch()
        for weight, expected in zip(compiled.model.trainable_variables, model.trainable_variables, strict=True):
            np.testing.assert_allclose(weight.numpy(), expected.numpy(), rtol=1e-5, atol=1e-7)


def gradient(model, batch):
    import tensorflow as tf

    images, labels = batch
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, model(images, training=True)))
    return tape.gradient(loss, [variable.value for variable in model.trainable_variables])


def test_an_update_that_no_epoch_would_make_is_refused_in_words(training_of, variant_of):
    training_of(variant_of(batch_size=32, gradient_accumulation=4))
    with pytest.raises(InfeasibleError, match="gathers 5 batches, but an epoch has only 4 of 32 images; use a smaller"):
        training_of(variant_of(batch_size=32, gradient_accumulation=5))
