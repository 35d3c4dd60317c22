"""What no SavedModel can hold is found in the trace of a prediction, and in what was written."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainables.errors import ModelExportError
from trainables.exporting.formats import FORMATS
from trainables.exporting.served import served_refusal
from trainables.specs.task import Task
from trainables.training.cost import prediction_of

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)
ELSEWHERE: list[Any] = []


class Within(keras.layers.Layer):
    """Adds a plain variable of TensorFlow's and looks up a table, both its own attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = tf.Variable(1.0)
        pairs = tf.lookup.KeyValueTensorInitializer([0, 1], [1.0, 2.0], tf.int32, tf.float32)
        self.table = tf.lookup.StaticHashTable(pairs, 0.0)

    def call(self, inputs: Any) -> Any:
        return inputs + self.plain + self.table.lookup(tf.constant([1]))


class Without(keras.layers.Layer):
    """Adds a variable, which Keras tracks for it, and looks up a table, neither of which a layer has."""

    def __init__(self) -> None:
        super().__init__()
        pairs = tf.lookup.KeyValueTensorInitializer([0, 1], [1.0, 2.0], tf.int32, tf.float32)
        ELSEWHERE[:] = [tf.Variable(1.0), tf.lookup.StaticHashTable(pairs, 0.0)]

    def call(self, inputs: Any) -> Any:
        return inputs + ELSEWHERE[0] + ELSEWHERE[1].lookup(tf.constant([1]))


class Python(keras.layers.Layer):
    """Calls NumPy, within a function of TensorFlow's."""

    def call(self, inputs: Any) -> Any:
        @tf.function
        def inner(values: Any) -> Any:
            doubled = tf.numpy_function(lambda array: array * 2.0, [values], tf.float32)
            doubled.set_shape(values.shape)
            return doubled

        return inner(inputs)


def model_of(layer: keras.layers.Layer) -> keras.Model:
    image = keras.Input((8, 8, 1))
    features = keras.layers.Flatten()(layer(keras.layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, keras.layers.Dense(10, activation="softmax")(features))


def refusal_of(model: keras.Model) -> str:
    return served_refusal(prediction_of(model, task=TASK).run.graph, model)


def test_a_model_with_all_that_it_uses_is_served(tmp_path: Path) -> None:
    model = model_of(Within())
    assert refusal_of(model) == ""
    form = FORMATS["saved_model"]
    form.write(model, tmp_path / "saved_model", TASK)
    images = np.ones((2, 8, 8, 1), np.float32)
    np.testing.assert_allclose(form.predict(tmp_path / "saved_model", images), model.predict(images, verbose=0))


def test_a_table_that_no_layer_has_is_found_before_it_cannot_be_written(tmp_path: Path) -> None:
    model = model_of(Without())
    assert refusal_of(model).startswith("its prediction uses 1 tables or the like that no layer of it has")
    with pytest.raises(Exception, match="untracked"):
        FORMATS["saved_model"].write(model, tmp_path / "saved_model", TASK)


def test_python_is_found_before_and_in_a_file_that_would_load_nowhere_else(tmp_path: Path) -> None:
    model = model_of(Python())
    assert refusal_of(model).startswith("its prediction calls Python")
    form = FORMATS["saved_model"]
    form.write(model, tmp_path / "saved_model", TASK)
    with pytest.raises(ModelExportError, match=r"its prediction calls Python .* with keras\.ops"):
        form.predict(tmp_path / "saved_model", np.ones((2, 8, 8, 1), np.float32))
