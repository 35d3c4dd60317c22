"""A hypermodel as Keras Tuner has it, for a study of the family `keras_tuner`: copy this file and keras_tuner.yaml.

A study file names the function: `space: {family: keras_tuner, params: {function: "keras_tuner_model:build"}}`. All that
it asks `hp` for is searched over; nothing of it is repeated in the study file.
"""

from typing import Any

import keras
from keras import layers


def build(hp: Any) -> keras.Model:
    """Returns a compiled model for images of 8x8 pixels and ten classes."""
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for block in range(hp.Int("num_blocks", 1, 2)):
        filters = hp.Choice(f"filters_{block}", [8, 16])
        model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
        if hp.Boolean(f"pool_{block}"):
            model.add(layers.MaxPooling2D(2))
    head = hp.Choice("head", ["flatten", "average"])
    model.add(layers.Flatten() if head == "flatten" else layers.GlobalAveragePooling2D())
    with hp.conditional_scope("head", ["flatten"]):
        rate = hp.Float("dropout", 0.0, 0.4, step=0.2)
    if head == "flatten":
        model.add(layers.Dropout(rate))
    model.add(layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("learning_rate", 3e-3, 2e-2, sampling="log")
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="categorical_crossentropy", metrics=["accuracy"])
    return model
