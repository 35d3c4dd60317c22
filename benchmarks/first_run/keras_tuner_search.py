"""Keras Tuner's Hyperband over its ready HyperResNet or a tutorial's CNN: `python -m first_run.keras_tuner_search JOB`.

HyperResNet with `max_epochs=40` is what Keras Tuner's pages show for its tunable applications. The CNN, its ranges,
`max_epochs=30`, two iterations and the patience of one epoch are those of the tutorial of TensorFlow's blog for
CIFAR-10. Blocks that would pool an image away are left out of its range, without which it does not build.
"""

import contextlib
from typing import Any

from first_run.job import Incumbents, TimeIsUp, Train, load_train, read_job


def main() -> None:
    import keras
    import keras_tuner

    job = read_job()
    train = load_train(job)
    incumbents = Incumbents(job)
    shape, classes = train.x.shape[1:], train.num_classes
    places: dict[str, Any] = {"directory": job.folder, "project_name": "search", "overwrite": True, "seed": job.seed}
    if job.model == "resnet":
        model = keras_tuner.applications.HyperResNet(input_shape=shape, classes=classes)
        tuner = keras_tuner.Hyperband(model, objective="val_accuracy", max_epochs=40, **places)
        labels = (keras.utils.to_categorical(train.y, classes), keras.utils.to_categorical(train.y_val, classes))
        settings: dict[str, Any] = {"epochs": 40}
        callbacks = []
    else:
        tuner = keras_tuner.Hyperband(
            tutorial_cnn(train), objective="val_accuracy", max_epochs=30, hyperband_iterations=2, **places
        )
        labels = (train.y, train.y_val)
        settings = {"epochs": 30}
        callbacks = [keras.callbacks.EarlyStopping(patience=1)]
    callbacks.append(incumbents.callback("val_accuracy"))
    with contextlib.suppress(TimeIsUp):
        tuner.search(
            train.x, labels[0], validation_data=(train.x_val, labels[1]), callbacks=callbacks, verbose=0, **settings
        )
    incumbents.judge()


def tutorial_cnn(train: Train) -> Any:
    """Returns the function that builds the tutorial's CNN."""
    import keras
    from keras import layers

    shape = train.x.shape[1:]
    most = min(5, int(min(shape[:2])).bit_length() - 1)

    def build(hp: Any) -> Any:
        inputs = keras.Input(shape)
        x = layers.Rescaling(1 / 255)(inputs)
        for block in range(hp.Int("conv_blocks", min(3, most), most, default=min(3, most))):
            filters = hp.Int(f"filters_{block}", 32, 256, step=32)
            for _ in range(2):
                x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x)))
            pooling = hp.Choice(f"pooling_{block}", ["avg", "max"])
            x = layers.MaxPool2D(2)(x) if pooling == "max" else layers.AvgPool2D(2)(x)
        x = layers.GlobalAvgPool2D()(x)
        x = layers.Dense(hp.Int("hidden_size", 30, 100, step=10, default=50), activation="relu")(x)
        x = layers.Dropout(hp.Float("dropout", 0, 0.5, step=0.1, default=0.5))(x)
        model = keras.Model(inputs, layers.Dense(train.num_classes, activation="softmax")(x))
        rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
        optimizer = keras.optimizers.Adam(rate)
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    return build


if __name__ == "__main__":
    main()
