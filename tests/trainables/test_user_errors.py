"""Errors of Keras and TensorFlow in a user's model, in a line: the cause, and what mends the common ones."""

import keras
import numpy as np
import pytest
from keras import layers

from trainables.user_code import in_words

pytestmark = pytest.mark.usefixtures("one_thread")


def fit(loss, labels, size=3):
    images = np.zeros((4, 8, 8, 1), np.float32)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(size, activation="softmax")])
    model.compile("sgd", loss)
    model.fit(images, labels, verbose=0)


def call(model, shape):
    model(keras.Input(shape))


CAUSES = {
    "no channel axis": (
        lambda: keras.Sequential([keras.Input((28, 28)), layers.Conv2D(3, 3)]),
        ["ValueError: Input 0 with name", "expected min_ndim=4, found ndim=3", "begin with keras.Input(input_shape)"],
    ),
    "class numbers, a loss of one-hot labels": (
        lambda: fit("categorical_crossentropy", np.zeros(4, int)),
        ["ValueError: Arguments `target` and `output`", "class numbers (batch,): use a sparse_categorical_... loss"],
    ),
    "one-hot labels, a sparse loss": (
        lambda: fit("sparse_categorical_crossentropy", np.zeros((4, 3), int)),
        [
            "ValueError: Argument `output` must have rank",
            "one-hot labels and a sparse loss: use its categorical_... fo",
        ],
    ),
    "fewer outputs than classes, found in a graph": (
        lambda: fit("sparse_categorical_crossentropy", np.full(4, 7)),
        ["Error: Received a label value of 7 which is outside the valid range", "use Dense(targets[0].size)"],
    ),
    "a cause behind the name of a layer": (
        lambda: call(keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)]), (9, 9, 1)),
        ["ValueError: Input 0 ", "incompatible with the layer"],
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_and_what_mends_it_are_one_line(name):
    fail, words = CAUSES[name]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Keras and TensorFlow raise many kinds
        fail()
    line = in_words(caught.value)
    assert "\n" not in line
    assert not any(word in line for word in ("Exception encountered", "Graph execution error", "Detected at node"))
    assert all(word in line for word in words), line
