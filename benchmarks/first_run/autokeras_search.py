"""AutoKeras as its pages have it, `ImageClassifier().fit(images, labels)`: `python -m first_run.autokeras_search JOB`.

Its defaults: 100 trials, a fifth of the images to validate, the validation loss, early stopping; the time ends it.
Labels are given one-hot where there are more than two classes: of whole numbers AutoKeras 3.0 makes a NumPy integer of
units, which Keras 3.15 refuses.
"""

import contextlib

from first_run.job import Incumbents, TimeIsUp, read_job


def main() -> None:
    import autokeras
    import numpy as np

    job = read_job()
    with np.load(job.arrays) as stored:
        x, y = stored["x_train"], stored["y_train"]
    if y.max() > 1:
        y = np.eye(y.max() + 1, dtype=np.float32)[y]
    # It validates on the last of them.
    order = np.random.default_rng(job.seed).permutation(len(y))
    incumbents = Incumbents(job, mode="min")
    classifier = autokeras.ImageClassifier(overwrite=True, directory=job.folder, seed=job.seed)
    with contextlib.suppress(TimeIsUp):
        classifier.fit(x[order], y[order], callbacks=[incumbents.callback("val_loss")], verbose=0)
    incumbents.judge(custom_objects=autokeras.CUSTOM_OBJECTS)


if __name__ == "__main__":
    main()
