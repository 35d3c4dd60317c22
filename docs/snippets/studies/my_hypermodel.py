import keras
from keras import layers


def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for block in range(hp.Int("num_blocks", 1, 2)):
        model.add(layers.Conv2D(hp.Int(f"filters_{block}", 8, 32, step=8), 3, padding="same", activation="relu"))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10, activation="softmax"))
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"])
    return model
