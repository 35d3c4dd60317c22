"""A small hypermodel with all that keeps state between steps, for tests of every family."""

import keras
from keras import layers


def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for block in range(hp.Int("num_blocks", 1, 2)):
        model.add(layers.Conv2D(hp.Choice(f"filters_{block}", [4, 12]), 3, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.Activation("relu"))
    model.add(layers.Flatten())
    model.add(layers.Dropout(hp.Float("dropout", 0.0, 0.3)))
    model.add(layers.Dense(10, activation="softmax", dtype="float32"))
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"])
    return model
