"""Optuna as in its Keras examples: `python -m peers.optuna_search JOB`.

An objective clears the session (unless other threads are at work in it), builds and fits. A list of variants is a
queue of trials (`enqueue_trial`); a search to a target is Optuna's own sampler (TPE) with a pruner. Best epochs are
kept by Keras's ModelCheckpoint; pruning is what optuna-integration's KerasPruningCallback does.
"""

from collections.abc import Mapping
from typing import Any

from peers.models import best_weights, build_model, reporter
from peers.shared import Feed, Job, load_arrays, make_feed, read_job
from peers.variants import SEARCH_SPACE, complete

FACTOR = 3


def main() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    job = read_job()
    feed = make_feed(load_arrays(job), job)
    sampler = optuna.samplers.TPESampler(seed=job.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=make_pruner(job))
    for number in range(len(job.variants)):
        # Not a GridSampler: two threads may draw the same point of a grid.
        study.enqueue_trial({"variant": number})
    num_trials = len(job.variants) or None
    study.optimize(lambda trial: objective(trial, job=job, feed=feed), n_trials=num_trials, n_jobs=job.threads)


def make_pruner(job: Job) -> Any:
    """Returns the pruner that the job names, with Optuna's defaults for all but the number of epochs."""
    import optuna

    if job.variants:
        return optuna.pruners.NopPruner()
    if job.pruner == "median":
        return optuna.pruners.MedianPruner()
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=job.epochs, reduction_factor=FACTOR)


def objective(trial: Any, *, job: Job, feed: Feed) -> float:
    import keras

    if job.threads == 1:
        # As Keras has it for models in a loop. It resets what other threads are building with, too: layers of one name.
        keras.utils.clear_session()
    if job.variants:
        number = trial.suggest_categorical("variant", list(range(len(job.variants))))
        variant = job.variants[number]
    else:
        number, variant = trial.number, suggested(trial, SEARCH_SPACE)
    model = build_model(variant, feed)
    callbacks = [best_weights(job, name=f"trial-{trial.number}"), reporter(job, variant=number)]
    if not job.variants:
        callbacks.append(pruning(trial))
    history = model.fit(*feed.train, epochs=job.epochs, callbacks=callbacks, verbose=0, **feed.settings)
    return float(max(history.history["val_accuracy"]))


def pruning(trial: Any) -> Any:
    """Returns a callback that tells the pruner every epoch and ends the trial when it says so."""
    import keras
    import optuna

    class Pruning(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            trial.report((logs or {})["val_accuracy"], step=epoch)
            if trial.should_prune():
                raise optuna.TrialPruned(f"pruned at epoch {epoch + 1}")

    return Pruning()


def suggested(trial: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a trial, each drawn in Optuna's words."""
    values: dict[str, Any] = {}
    for name, domain in space.items():
        match domain:
            case {"int": [low, high]}:
                values[name] = trial.suggest_int(name, low, high)
            case {"float": [low, high]}:
                values[name] = trial.suggest_float(name, low, high, log=bool(domain.get("log")))
            case {"choice": options}:
                values[name] = trial.suggest_categorical(name, options)
            case fixed:
                values[name] = fixed
    return complete(values)


if __name__ == "__main__":
    main()
