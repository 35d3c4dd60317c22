"""A trial of a run as an object whose Keras model is built when it is asked for."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from orchestrator.errors import RunFolderError
from orchestrator.fleet.checkpoints import KeptCheckpoint
from orchestrator.fleet.run import FleetRun
from orchestrator.journal.trial import Trial
from orchestrator.results.from_state import export_path
from trainables.errors import CheckpointError


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetExport:
    """An exported model of a trial.

    Attributes:
        rank: 1 for the best of the run.
        epoch: Whose weights it has; 0 where an earlier version exported it.
        folder: Where it lies.
        test_metrics: On the test split.
        is_there: Whether the folder is on this machine.
    """

    rank: int
    epoch: int
    folder: str
    test_metrics: Mapping[str, float]
    is_there: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FleetModel:
    """A model of a run: what is known of it, and the model itself when it is asked for.

    Nothing is built, and TensorFlow is not imported, before `keras` or `load` is called.

    Attributes:
        name: The trial's, such as t0007.
        state: The trial's, such as completed.
        reason: Why the trial ended or waits; empty where there is nothing to say.
        family: The family of its variant.
        seed: The seed of its variant.
        params: Its hyperparameters, those that are active.
        costs: parameters (how many weights), multiply_adds, memory_mb and latency_ms; empty before the first report.
        metrics: Those of its best epoch by the study's objective; empty before the first report.
        best_epoch: That epoch; None before the first report.
        epochs: How many epochs the trial was trained for.
        train_seconds: Time in training steps.
        checkpoint: What is kept of its best epoch on this machine.
        exports: Its exported models, best rank first.
        replicate_of: The trial whose variant it trains with another seed; empty: it is a trial of its own.
    """

    name: str
    state: str
    reason: str
    family: str
    seed: int
    params: Mapping[str, Any]
    costs: Mapping[str, float]
    metrics: Mapping[str, float]
    best_epoch: int | None
    epochs: int
    train_seconds: float
    checkpoint: KeptCheckpoint
    exports: tuple[FleetExport, ...]
    replicate_of: str
    run: FleetRun = field(repr=False)
    trial: Trial = field(repr=False)

    def curve(self, metric: str) -> dict[int, float]:
        """Returns the values of a metric by epoch; empty for one that the trial never reported."""
        return {item.epoch: item.metrics[metric] for item in self.trial.reports if metric in item.metrics}

    def layers(self) -> list[dict[str, Any]]:
        """Returns one row a layer: name, class, output, parameters, trainable, weights, settings.

        A child process builds the model the first time; `Fleet.layers` has one build those of many.

        Raises:
            InputError: If the model cannot be built, or the study or its images cannot be read any more.
        """
        return self.run.layers([self.trial])[self.name]

    def keras(self) -> Any:
        """Returns a new Keras model with the initial weights of its seed; imports TensorFlow, and seeds it.

        Raises:
            InputError: If the study or its images cannot be read any more.
        """
        request = self.run.request(self.trial)
        # Late: whoever lists models builds none.
        from trainables.inspecting.building import built_model

        with _random_state_kept():
            return built_model(request)

    def load(self) -> Any:
        """Returns a new Keras model with the weights of its best epoch; imports TensorFlow, and seeds it.

        It takes pixels of 0 to 255 and is not compiled.

        Raises:
            RunFolderError: If the checkpoint is not on this machine, or damaged.
            InputError: If the study or its images cannot be read any more.
        """
        if not self.checkpoint.is_kept:
            others = [other.name for other in _with_checkpoints(self.run)]
            has = f"trials with a checkpoint: {', '.join(others[:20])}" if others else "no trial of the run has one"
            raise RunFolderError(
                f"{self.run.folder.root}: {self.name} has no checkpoint to load: {self.checkpoint.reason}; {has}"
            )
        request = self.run.request(self.trial)
        # Late, as above.
        from trainables.inspecting.building import loaded_model

        try:
            with _random_state_kept():
                return loaded_model(request)
        except CheckpointError as exc:
            raise RunFolderError(f"{self.run.folder.root}: {self.name} cannot be loaded: {exc}") from exc

    def values(self) -> dict[str, Any]:
        """Returns all that models are sorted and chosen by, by name; `param.<name>` is always a hyperparameter."""
        known = {
            "trial": self.name,
            "state": self.state,
            "family": self.family,
            "seed": self.seed,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "train_seconds": self.train_seconds,
            "checkpoint": self.checkpoint.state,
            "exports": len(self.exports),
            **self.costs,
            **self.metrics,
        }
        params = {f"param.{name}": value for name, value in self.params.items()}
        return {**self.params, **known, **params}

    def to_json(self) -> dict[str, Any]:
        """Returns all that is known without building the model, JSON-ready."""
        plain = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ("run", "trial")}
        kept = self.checkpoint
        checkpoint = {"state": kept.state, "epoch": kept.epoch, **({"reason": kept.reason} if kept.reason else {})}
        exports = [
            {"rank": item.rank, "epoch": item.epoch, "folder": item.folder, "is_there": item.is_there,
             "test_metrics": dict(item.test_metrics)}
            for item in self.exports
        ]  # fmt: skip
        named = {"trial": plain.pop("name"), **plain, "params": _plain(self.params)}
        return {**named, "costs": dict(self.costs), "metrics": dict(self.metrics), "checkpoint": checkpoint,
                "exports": exports}  # fmt: skip


def model_of(trial: Trial, *, run: FleetRun) -> FleetModel:
    """Returns the object of a trial.

    Args:
        trial: Of the run.
        run: The run.
    """
    best = trial.best_report(**run.state.header.ranking)
    exports = [item for item in run.state.exports if item.trial == trial.name]
    return FleetModel(
        name=trial.name,
        state=trial.state.value,
        reason=trial.reason,
        family=trial.variant.family,
        seed=trial.variant.seed,
        params=dict(trial.variant.params),
        costs=dict(trial.reports[0].cost) if trial.reports else {},
        metrics=dict(best.metrics) if best else {},
        best_epoch=best.epoch if best else None,
        epochs=trial.num_epochs,
        train_seconds=sum(report.train_seconds for report in trial.reports),
        checkpoint=run.checkpoint(trial),
        exports=tuple(_export(item, run=run) for item in sorted(exports, key=lambda item: item.rank)),
        replicate_of=trial.replicate_of,
        run=run,
        trial=trial,
    )


def _export(item: Any, *, run: FleetRun) -> FleetExport:
    folder = export_path(item, folder=run.folder)
    return FleetExport(
        rank=item.rank,
        epoch=item.epoch,
        folder=str(folder),
        test_metrics=dict(item.test_metrics),
        is_there=folder.is_dir(),
    )


def _with_checkpoints(run: FleetRun) -> Iterator[Trial]:
    return (trial for trial in run.state.trials.values() if run.checkpoint(trial).is_kept)


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in params.items()}


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Keeps Python's and NumPy's global generators as the caller has them: a model's build seeds both."""
    # Late: listing models does not need it.
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
