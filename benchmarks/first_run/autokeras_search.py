"""AutoKeras as its pages have it, `ImageClassifier().fit(images, labels)`: `python -m first_run.autokeras_search JOB`.

Its defaults: 100 trials, a fifth of the images to validate, the validation loss, early stopping; the time ends it.
AutoKeras 3.0 hands sizes to Keras as NumPy's integers, which Keras 3.15 refuses: they are made Python's here, as none
of its models could be built otherwise.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from first_run.job import Incumbents, TimeIsUp, read_job


def with_integers(set_io_shapes: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Returns AutoKeras's method with Python's integers in the shapes that it sets."""

    def set_shapes(graph: Any, shapes: Any) -> None:
        set_io_shapes(graph, shapes)
        for place in (*graph.inputs, *(node.in_blocks[0] for node in graph.outputs)):
            place.shape = tuple(int(size) for size in place.shape)

    return set_shapes


def main() -> None:
    import autokeras
    import numpy as np

    job = read_job()
    with np.load(job.arrays) as stored:
        x, y = stored["x_train"], stored["y_train"]
    # It validates on the last of them.
    order = np.random.default_rng(job.seed).permutation(len(y))
    autokeras.graph.Graph.set_io_shapes = with_integers(autokeras.graph.Graph.set_io_shapes)
    incumbents = Incumbents(job, mode="min")
    classifier = autokeras.ImageClassifier(overwrite=True, directory=job.folder, seed=job.seed)
    with contextlib.suppress(TimeIsUp):
        classifier.fit(x[order], y[order], callbacks=[incumbents.callback("val_loss")], verbose=0)
    incumbents.judge(custom_objects=autokeras.CUSTOM_OBJECTS)


if __name__ == "__main__":
    main()
