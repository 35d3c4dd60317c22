"""A beginner's plain Keras CNN, one model, no search: `python -m first_run.plain_cnn JOB`.

Three 3x3 convolutions of 16, 32 and 64 filters with max pooling, a global max, Adam with its defaults, batches of 16
(64 from 10,000 images on), epochs until the time is up and at most 60; the epoch with the best validation accuracy
counts.
"""

import contextlib

from first_run.job import Incumbents, TimeIsUp, load_train, read_job

EPOCHS, BATCH, LARGE_BATCH, MANY_IMAGES = 60, 16, 64, 10_000


def main() -> None:
    import keras
    from keras import layers

    job = read_job()
    train = load_train(job)
    incumbents = Incumbents(job)
    stack = [keras.Input(train.x.shape[1:]), layers.Rescaling(1 / 255)]
    for filters in (16, 32, 64):
        stack += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    stack[-1] = layers.GlobalMaxPooling2D()
    model = keras.Sequential([*stack, layers.Dense(train.num_classes, activation="softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    batch = LARGE_BATCH if len(train.y) >= MANY_IMAGES else BATCH
    callbacks = [incumbents.callback("val_accuracy")]
    held = (train.x_val, train.y_val)
    with contextlib.suppress(TimeIsUp):
        model.fit(
            train.x, train.y, batch_size=batch, epochs=EPOCHS, validation_data=held, callbacks=callbacks, verbose=0
        )
    incumbents.judge()


if __name__ == "__main__":
    main()
