"""Optuna's Keras example: a convolution, TPE, 100 trials of 10 epochs: `python -m first_run.optuna_example JOB`.

The space, the optimizer, the batches of 128 and the epochs are those of `keras_simple.py` of optuna-examples; images of
the validation share are what the example takes its test images for.
"""

import contextlib
from typing import Any

from first_run.job import Incumbents, TimeIsUp, load_train, read_job

TRIALS, EPOCHS, BATCH = 100, 10, 128


def main() -> None:
    import keras
    import optuna
    from keras import layers

    job = read_job()
    train = load_train(job)
    incumbents = Incumbents(job)
    held = (train.x_val / 255, train.y_val)
    images = train.x / 255

    def objective(trial: Any) -> float:
        keras.backend.clear_session()
        convolution = layers.Conv2D(
            filters=trial.suggest_categorical("filters", [32, 64]),
            kernel_size=trial.suggest_categorical("kernel_size", [3, 5]),
            strides=trial.suggest_categorical("strides", [1, 2]),
            activation=trial.suggest_categorical("activation", ["relu", "linear"]),
        )
        answer = layers.Dense(train.num_classes, activation="softmax")
        model = keras.Sequential([keras.Input(images.shape[1:]), convolution, layers.Flatten(), answer])
        rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        optimizer = keras.optimizers.RMSprop(learning_rate=rate)
        model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
        stop = incumbents.callback("none")
        model.fit(images, train.y, batch_size=BATCH, epochs=EPOCHS, shuffle=True, callbacks=[stop], verbose=0)
        score = float(model.evaluate(*held, verbose=0)[1])
        # The scaling goes into the model, so that all models are judged on the same pixels.
        whole = keras.Sequential([keras.Input(images.shape[1:]), layers.Rescaling(1 / 255), model])
        incumbents.offer(whole, score)
        return score

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=job.seed))
    with contextlib.suppress(TimeIsUp):
        study.optimize(objective, n_trials=TRIALS)
    incumbents.judge()


if __name__ == "__main__":
    main()
