"""The family `sequential` in plain Keras, as a user of another tool writes it; nothing of convfleet is imported."""

from collections.abc import Mapping
from typing import Any

from peers.shared import Feed, Job, tell


def build_model(variant: Mapping[str, Any], feed: Feed) -> Any:
    """Returns the compiled model of a complete set of parameters (see `variants.DEFAULTS`)."""
    import keras
    from keras import layers

    stack = [keras.Input(feed.input_shape), layers.Rescaling(1 / 255)]
    for block in range(variant["num_blocks"]):
        stack += [
            layers.Conv2D(
                variant["filters"] * 2**block,
                variant["kernel_size"],
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
            ),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
            layers.MaxPooling2D(2, padding="same"),
        ]
    stack.append(layers.Flatten())
    if variant["dense_units"]:
        stack.append(layers.Dense(variant["dense_units"], activation="relu"))
    if variant["dropout"]:
        stack.append(layers.Dropout(variant["dropout"]))
    stack.append(layers.Dense(feed.num_classes, activation="softmax"))
    model = keras.Sequential(stack)
    model.compile(
        optimizer=keras.optimizers.Adam(variant["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def best_weights(job: Job, *, name: str) -> Any:
    """Returns Keras's own callback that keeps the weights of the best epoch, as its documentation has it."""
    import keras

    return keras.callbacks.ModelCheckpoint(
        f"{job.folder}/{name}.weights.h5",
        monitor="val_accuracy",
        mode="max",
        save_best_only=True,
        save_weights_only=True,
    )


def reporter(job: Job, *, variant: int) -> Any:
    """Returns a callback that tells every epoch to whoever measures."""
    import keras

    class Reporter(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            accuracy = (logs or {})["val_accuracy"]
            parameters = self.model.count_params()
            tell(job, variant=variant, epoch=epoch + 1, val_accuracy=accuracy, parameters=parameters)

    return Reporter()
