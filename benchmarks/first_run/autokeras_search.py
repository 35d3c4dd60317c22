"""AutoKeras as its pages have it, `ImageClassifier().fit(images, labels)`: `python -m first_run.autokeras_search JOB`.

Its defaults: 100 trials, a fifth of the images to validate, the validation loss, early stopping; the time ends it.
"""

import contextlib

from first_run.job import Incumbents, TimeIsUp, read_job


def main() -> None:
    import autokeras
    import numpy as np

    job = read_job()
    with np.load(job.arrays) as stored:
        x, y = stored["x_train"], stored["y_train"]
    # It validates on the last of them.
    order = np.random.default_rng(job.seed).permutation(len(y))
    incumbents = Incumbents(job, mode="min")
    classifier = autokeras.ImageClassifier(overwrite=True, directory=job.folder, seed=job.seed)
    with contextlib.suppress(TimeIsUp):
        classifier.fit(x[order], y[order], callbacks=[incumbents.callback("val_loss")], verbose=0)
    incumbents.judge(custom_objects=autokeras.CUSTOM_OBJECTS)


if __name__ == "__main__":
    main()
