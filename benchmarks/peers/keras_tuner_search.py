"""Keras Tuner as its guide has it: a HyperModel, a tuner, `tuner.search`: `python -m peers.keras_tuner_search JOB`.

A list of variants is a GridSearch over the choice of a variant's number; a search to a target is its Hyperband. The
tuner keeps the best epoch of every trial by itself. `overwrite` and `verbose=0` save it time.
"""

import importlib.util
from collections.abc import Mapping
from typing import Any

from peers.models import build_model, reporter
from peers.shared import Feed, Job, load_arrays, make_feed, read_job
from peers.variants import SEARCH_SPACE, complete

FACTOR = 3
#: More rounds of Hyperband than any limit leaves time for.
MANY = 1000


def main() -> None:
    import keras_tuner

    if not has_tensorboard():
        # It imports TensorBoard for every trial, used or not, though nothing installs it. Going without saves it time.
        keras_tuner.Tuner._configure_tensorboard_dir = lambda *args, **kwargs: None
    job = read_job()
    feed = make_feed(load_arrays(job), job)
    model = hyper_model(job, feed)
    places: dict[str, Any] = {"directory": job.folder, "project_name": "search", "overwrite": True}
    if job.variants:
        tuner = keras_tuner.GridSearch(model, objective="val_accuracy", max_trials=len(job.variants), **places)
    else:
        tuner = keras_tuner.Hyperband(
            model,
            objective="val_accuracy",
            max_epochs=job.epochs,
            factor=FACTOR,
            hyperband_iterations=MANY,
            seed=job.seed,
            **places,
        )
    tuner.search(*feed.train, epochs=job.epochs, verbose=0, **feed.settings)


def has_tensorboard() -> bool:
    """Returns whether Keras Tuner can run as it is."""
    return importlib.util.find_spec("tensorboard") is not None


def hyper_model(job: Job, feed: Feed) -> Any:
    """Returns the tuner's view of the variants."""
    import keras_tuner

    class Variants(keras_tuner.HyperModel):
        num_fitted = 0

        def build(self, hp: Any) -> Any:
            if not job.variants:
                return build_model(suggested(hp, SEARCH_SPACE), feed)
            return build_model(job.variants[hp.Choice("variant", list(range(len(job.variants))))], feed)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            number = hp.get("variant") if job.variants else self.num_fitted
            self.num_fitted += 1
            kwargs["callbacks"] = [*kwargs["callbacks"], reporter(job, variant=number)]
            return model.fit(*args, **kwargs)

    return Variants()


def suggested(hp: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a trial, each declared in Keras Tuner's words."""
    values: dict[str, Any] = {}
    for name, domain in space.items():
        match domain:
            case {"int": [low, high]}:
                values[name] = hp.Int(name, low, high)
            case {"float": [low, high]}:
                sampling = "log" if domain.get("log") else "linear"
                values[name] = hp.Float(name, low, high, sampling=sampling)
            case {"choice": options}:
                values[name] = hp.Choice(name, options)
            case fixed:
                values[name] = fixed
    return complete(values)


if __name__ == "__main__":
    main()
