"""Steps of fewer operations against Keras's own: every variable after some steps, bit for bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from trainables.steps.plain_steps import plain_step, quick_accuracy
from trainables.steps.step_numbers import StepNumbers

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = {
    "classes": ("softmax", "sparse_categorical_crossentropy", True, {}),
    "logits": ("linear", "sparse_categorical_crossentropy", True, {}),
    "numbers": ("linear", "mean_squared_error", False, {}),
    "penalties": ("softmax", "sparse_categorical_crossentropy", True, {"kernel_regularizer": "l2"}),
}


def model_of(kind):
    activation, loss, has_classes, settings = MODELS[kind]
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, **settings),
            layers.BatchNormalization(),
            layers.Dropout(0.3, seed=4),
            layers.Flatten(),
            layers.Dense(3, activation=activation),
        ]
    )
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    metrics = [accuracy, keras.metrics.SparseTopKCategoricalAccuracy(k=2)] if has_classes else ["mae"]
    model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=metrics)
    return model, accuracy


def batches(kind, *, weighted):
    generator = np.random.default_rng(3)
    for size in (8, 8, 5):
        images = generator.normal(size=(size, 6, 6, 1)).astype(np.float32)
        labels = generator.integers(3, size=size).astype(np.int32)
        if not MODELS[kind][2]:
            labels = generator.normal(size=(size, 3)).astype(np.float32)
        weights = [tf.constant(generator.uniform(size=size).astype(np.float32))] if weighted else []
        yield (tf.constant(images), tf.constant(labels), *weights)


def after(kind, steps, *, weighted):
    """Returns all variables and results after three steps of each kind."""
    model, accuracy = model_of(kind)
    if steps == "plain":
        quick_accuracy(accuracy)
    model.optimizer.build(model.trainable_variables)
    first = next(batches(kind, weighted=weighted))
    model.test_on_batch(*(np.asarray(part) for part in first))
    model.reset_metrics()
    for name in ("train_step", "test_step"):
        take = tf.function(plain_step(name) if steps == "plain" else getattr(type(model), name), autograph=False)
        for data in batches(kind, weighted=weighted):
            take(model, data)
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables], model.get_metrics_result()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_every_variable_and_result_is_that_of_kerass_steps(kind, weighted):
    mine, results = after(kind, "plain", weighted=weighted)
    theirs, expected = after(kind, "kerass", weighted=weighted)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=other.path)
    assert {name: float(value) for name, value in results.items()} == {
        name: float(value) for name, value in expected.items()
    }
    assert float(results["loss"]) > 0


def test_a_model_without_anything_to_learn_is_measured_all_the_same():
    model, _ = model_of("classes")
    model.trainable = False
    before = [weight.numpy() for weight in model.weights]
    for data in batches("classes", weighted=False):
        plain_step("train_step")(model, data)
    for value, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(value, weight)
    assert float(model.get_metrics_result()["loss"]) > 0


@pytest.mark.parametrize("name", ["train_step", "compute_metrics", "compute_loss"])
def test_what_was_put_on_a_model_is_what_is_taken(name):
    model, _ = model_of("classes")
    taken, own = [], getattr(model, name)

    def take(*args, **kwargs):
        taken.append(name)
        return own(*args, **kwargs)

    vars(model)[name] = take
    StepNumbers(model, step="train_step").step(next(batches("classes", weighted=False)))
    assert taken == [name]


@pytest.mark.parametrize("case", ["weights", "logits", "flags", "eager"])
def test_accuracy_that_cannot_be_quick_is_kerass_own(case):
    generator = np.random.default_rng(3)
    values = generator.normal(size=(9, 4)).astype(np.float32)
    values[:3] = -0.0
    values[0, 2] = 0.0
    labels = np.array([2, 0, 1, 3, 2, 1, 0, 0, 3], np.float32 if case == "flags" else np.int32)
    weights = {"sample_weight": generator.uniform(size=9).astype(np.float32)} if case == "weights" else {}
    kerass = keras.metrics.SparseCategoricalAccuracy()
    kerass.update_state(labels, tf.nn.softmax(values) if case == "weights" else values, **weights)
    quick = quick_accuracy(keras.metrics.SparseCategoricalAccuracy())

    def update(values):
        quick.update_state(tf.constant(labels), tf.nn.softmax(values) if case == "weights" else values, **weights)

    (update if case == "eager" else tf.function(update))(tf.constant(values))
    assert [variable.numpy() for variable in quick.variables] == [variable.numpy() for variable in kerass.variables]
    assert 0 < float(kerass.result()) < 1
