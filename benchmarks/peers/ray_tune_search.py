"""Plain Ray Tune as its user guide has it: `python -m peers.ray_tune_search JOB`.

A function trainable, tune.report from a Keras callback (Ray's own one saves in a way that Keras 3 refuses).
One CPU and a fresh process a trial (Tune's default), arrays in the object store by `with_parameters`, a checkpoint with
every report. A list of variants is a grid_search; a search to a target is random sampling with the ASHAScheduler.
"""

import tempfile
from collections.abc import Mapping
from typing import Any

from peers.models import build_model, reporter
from peers.shared import Arrays, Job, load_arrays, make_feed, read_job
from peers.variants import SEARCH_SPACE, complete

FACTOR = 3
#: More samples than any limit leaves time for.
MANY = 1000


def main() -> None:
    import ray
    from ray import tune

    job = read_job()
    # A Ray of its own, wherever another one may be at work on this machine.
    ray.init(address="local", num_cpus=job.cores, include_dashboard=False, log_to_driver=False)
    arrays = load_arrays(job)
    trainable = tune.with_resources(tune.with_parameters(train, job=job, arrays=arrays), {"cpu": 1})
    if job.variants:
        space: dict[str, Any] = {"variant": tune.grid_search(list(range(len(job.variants))))}
        settings = tune.TuneConfig(metric="val_accuracy", mode="max")
    else:
        space = suggested(SEARCH_SPACE)
        scheduler = tune.schedulers.ASHAScheduler(max_t=job.epochs, grace_period=1, reduction_factor=FACTOR)
        settings = tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            scheduler=scheduler,
            num_samples=MANY,
            max_concurrent_trials=job.cores,
            search_alg=tune.search.BasicVariantGenerator(random_state=job.seed, max_concurrent=job.cores),
        )
    run = tune.RunConfig(storage_path=job.folder, name="search", verbose=0)
    results = tune.Tuner(trainable, param_space=space, tune_config=settings, run_config=run).fit()
    if results.num_errors:
        raise SystemExit(f"{results.num_errors} trials failed, the first with:\n{results.errors[0]}")


def train(config: Mapping[str, Any], *, job: Job, arrays: Arrays) -> None:
    """Trains one trial; runs in a worker process of its own."""
    feed = make_feed(arrays, job)
    if job.variants:
        number, variant = config["variant"], job.variants[config["variant"]]
    else:
        number, variant = -1, complete(config)
    model = build_model(variant, feed)
    callbacks = [reporting(), reporter(job, variant=number)]
    model.fit(*feed.train, epochs=job.epochs, callbacks=callbacks, verbose=0, **feed.settings)


def reporting() -> Any:
    """Returns a callback that reports every epoch to Tune with a checkpoint of the weights."""
    import keras
    from ray import tune

    class Reporting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            with tempfile.TemporaryDirectory() as folder:
                self.model.save_weights(f"{folder}/model.weights.h5")
                tune.report(dict(logs or {}), checkpoint=tune.Checkpoint.from_directory(folder))

    return Reporting()


def suggested(space: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the space in Ray Tune's words."""
    from ray import tune

    domains: dict[str, Any] = {}
    for name, domain in space.items():
        match domain:
            case {"int": [low, high]}:
                domains[name] = tune.randint(low, high + 1)
            case {"float": [low, high]}:
                domains[name] = tune.loguniform(low, high) if domain.get("log") else tune.uniform(low, high)
            case {"choice": options}:
                domains[name] = tune.choice(options)
            case fixed:
                domains[name] = fixed
    return domains


if __name__ == "__main__":
    # By its name, so that workers import the trainable instead of getting it pickled.
    from peers.ray_tune_search import main as main_by_name

    main_by_name()
