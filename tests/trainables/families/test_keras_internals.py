"""What is private in Keras does what this package uses it for; at an upgrade these say what is gone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from trainables.families.parts import keras_internals

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def model():
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="inner_dense")], name="inner")
    image = keras.Input((3,))
    return keras.Model(image, layers.Dense(1, name="head")(inner(image)), name="outer")


def compiled(model, **settings):
    model.compile(optimizer=keras.optimizers.Adam(0.5, **settings), loss="mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


def test_layers_of_nested_models_are_found_once_and_the_model_itself_first(model):
    found = keras_internals.all_layers(model)
    assert found[0] is model
    assert {"inner", "inner_dense", "head"} <= {layer.name for layer in found}
    assert len({id(layer) for layer in found}) == len(found)
    assert [id(layer) for layer in keras_internals.inner_layers(model)] == [id(layer) for layer in found[1:]]
    assert keras_internals.inner_layers(model.get_layer("head")) == []


def test_call_is_replaced_for_one_layer_and_restored_without_a_trace(model):
    head = model.get_layer("head")
    images, state = np.ones((1, 3), np.float32), set(map(id, model.variables))
    before = model(images).numpy()
    assert keras_internals.own_call(head) is None
    keras_internals.replace_call(head, lambda inputs: tf.zeros((1, 1)) + 7.0)
    assert model(images).numpy().item() == 7.0
    assert set(map(id, model.variables)) == state
    keras_internals.restore_call(head, None)
    assert keras_internals.own_call(head) is None
    np.testing.assert_array_equal(model(images).numpy(), before)


@pytest.mark.parametrize("has_outputs", [False, True])
def test_variables_of_metrics_are_there_before_the_first_step_and_no_weight_changes(model, has_outputs):
    compiled(model)
    weights = [weight.numpy() for weight in model.weights]
    data = np.zeros((2, 3), np.float32), np.zeros((2, 1), np.float32)
    keras_internals.create_compiled_variables(model, data, outputs=data[1] if has_outputs else None)
    known = {id(variable) for variable in model.metrics_variables}
    assert len(known) >= 4  # a total and a count each of the loss and of the metric
    for before, weight in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(before, weight.numpy())
    model.train_on_batch(*data)
    assert {id(variable) for variable in model.metrics_variables} == known


def test_learning_rate_is_a_variable_and_a_schedule_is_itself():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    assert keras_internals.learning_rate_or_schedule(keras.optimizers.SGD(schedule)) is schedule
    variable = keras_internals.learning_rate_or_schedule(keras.optimizers.SGD(0.5))
    variable.assign(0.25)
    assert float(variable) == 0.25


def test_each_trained_variable_has_its_average(model):
    compiled(model, use_ema=True, ema_momentum=0.5)
    optimizer = model.optimizer
    assert list(map(id, keras_internals.trained_variables(optimizer))) == list(map(id, model.trainable_variables))
    pairs = list(keras_internals.averages_of(optimizer))
    assert [id(weight) for weight, _ in pairs] == list(map(id, model.trainable_variables))
    gradients = [tf.ones(weight.shape) for weight, _ in pairs]
    optimizer.apply(gradients)
    first = [weight.numpy() for weight, _ in pairs]
    optimizer.apply(gradients)
    for (weight, average), begun in zip(pairs, first, strict=True):
        np.testing.assert_allclose(average.numpy(), 0.5 * begun + 0.5 * weight.numpy(), rtol=1e-6)


def test_optimizer_that_scales_the_loss_is_unwrapped_and_another_is_itself():
    plain = keras.optimizers.SGD()
    assert keras_internals.plain_optimizer(keras.optimizers.LossScaleOptimizer(plain)) is plain
    assert keras_internals.plain_optimizer(plain) is plain


def test_optimizer_asks_for_no_sums_over_replicas(model, monkeypatch):
    compiled(model)
    asked = []
    monkeypatch.setattr(
        type(model.optimizer), "_all_reduce_sum_gradients", lambda self, pairs: asked.append(1) or pairs
    )
    gradients = [tf.ones(weight.shape) for weight in model.trainable_variables]
    step = tf.function(lambda: model.optimizer.apply(gradients, model.trainable_variables), autograph=False)
    step.get_concrete_function()
    assert asked, "Keras sums in another place now"
    asked.clear()
    keras_internals.add_up_no_gradients(model.optimizer)
    tf.function(lambda: model.optimizer.apply(gradients, model.trainable_variables)).get_concrete_function()
    assert asked == []


def test_layers_know_their_symbolic_calls_and_where_their_inputs_come_from():
    image = keras.Input((3,), name="image")
    dense = layers.Dense(3, name="shared")
    total = layers.Add(name="total")([dense(image), dense(dense(image))])
    model = keras.Model(image, total)
    calls = keras_internals.symbolic_calls(model.get_layer("shared"))
    assert [[tuple(tensor.shape) for tensor in outputs] for _, outputs in calls] == [[(None, 3)]] * 3
    sources = [[keras_internals.layer_and_output_of(tensor) for tensor in inputs] for inputs, _ in calls]
    assert sources == [[("image", 0)], [("image", 0)], [("shared", 0)]]
    ((inputs, _),) = keras_internals.symbolic_calls(model.get_layer("total"))
    assert [keras_internals.layer_and_output_of(tensor) for tensor in inputs] == [("shared", 0)] * 2


def test_the_mean_of_the_loss_and_the_metrics_are_counted_without_asking_for_results(model):
    compiled(model)
    images, labels = np.ones((2, 3), np.float32), np.zeros((2, 1), np.float32)
    model.evaluate(images, labels, verbose=0)
    model.reset_metrics()
    outputs = model(images)
    keras_internals.update_compiled_metrics(model, labels, outputs, None)
    assert float(model.get_metrics_result()["mae"]) == pytest.approx(float(np.mean(np.abs(outputs))))
    assert float(keras_internals.loss_mean(model).count) == 0
    keras_internals.loss_mean(model).count.assign(2)
    assert [float(metric.count) for metric in model.metrics if metric.name == "loss"] == [2.0]


def test_a_metrics_update_is_replaced_for_one_metric_and_is_no_state():
    metric, other = keras.metrics.Mean(), keras.metrics.Mean()
    keras_internals.replace_update(metric, lambda *batch: metric.total.assign(7))
    metric.update_state([1.0])
    other.update_state([1.0])
    assert [float(one.total) for one in (metric, other)] == [7.0, 1.0]
    assert len(metric.variables) == 2
