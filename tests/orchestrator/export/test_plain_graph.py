"""Models rebuilt of Keras's own layers: they do what the user's classes do, and what has no such form is found."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from trainables.exporting.plain_graph import foreign_parts, plain_model
from trainables.specs.task import Task

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)


class Doubled(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs * 2.0


class Nested(keras.Model):
    """Layers inside layers, some of which act in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = keras.Sequential([Doubled(), keras.layers.Conv2D(3, 3, padding="same"), Doubled()])
        self.drop = keras.layers.Dropout(0.5)
        self.noise = keras.layers.GaussianNoise(1.0)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        features = self.inner(inputs) + keras.ops.mean(inputs, axis=(1, 2, 3), keepdims=True)
        if training:
            features = self.noise(features, training=training)
        return self.drop(features, training=training)


def graph(inner: Any, *, activation: Any = "softmax") -> keras.Model:
    image = keras.Input((8, 8, 1))
    features = keras.layers.Flatten()(inner(image))
    return keras.Model(image, keras.layers.Dense(10, activation=activation)(features))


def test_classes_in_classes_become_what_they_do() -> None:
    model = graph(Nested())
    plain = plain_model(model, TASK)
    assert foreign_parts(model) == [f"{__name__}.Doubled", f"{__name__}.Nested"]
    assert foreign_parts(plain) == []
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(plain(images), model(images))
    assert [id(weight) for weight in plain.weights] == [id(weight) for weight in model.weights]
    # Still dropping where it is trained on, as the original does.
    assert not np.array_equal(plain(images, training=True), plain(images))
    # Nothing of the rebuilding stays behind.
    assert foreign_parts(graph(Doubled())) == [f"{__name__}.Doubled"]


def test_a_model_of_keras_layers_is_itself() -> None:
    model = graph(keras.layers.ReLU())
    assert plain_model(model, TASK) is model


def test_a_model_that_takes_real_tensors_only_stays_as_it_is() -> None:
    class Numeric(keras.Model):
        def call(self, inputs: Any) -> Any:
            return keras.ops.convert_to_tensor(np.asarray(inputs))

    model = Numeric()
    model(np.zeros((1, 8, 8, 1), np.float32))
    assert plain_model(model, TASK) is model
    assert foreign_parts(model) == [f"{__name__}.{Numeric.__qualname__}"]


def own_softmax(values: Any) -> Any:
    return keras.ops.softmax(values)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: graph(keras.layers.Lambda(lambda values: values * 2)), ["a lambda"]),
        (lambda: graph(keras.layers.ReLU(), activation=own_softmax), ["the function own_softmax"]),
    ],
)
def test_functions_that_plain_keras_does_not_know_are_found(
    model: Callable[[], keras.Model], expected: list[str]
) -> None:
    assert foreign_parts(plain_model(model(), TASK)) == expected
