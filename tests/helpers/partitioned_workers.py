"""Workers of one trial with the real checkpoints and a made-up training, and what their driver knows of them."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trainables.errors import CheckpointError
from trainables.files.folders import existing
from trainables.patience import best_epoch
from trainables.reports import EpochReport
from trainables.specs.worker import TrainingSpec, WorkerSpec
from trainables.worker.saving import TrialCheckpoints

TRIAL, VARIANT, LAST = "t0001", "0123456789abcdef", 9
OBJECTIVE = {"metric": "val_accuracy", "mode": "max"}


class MadeUpTraining:
    """A training whose epochs have random results, which depend on the machine as well."""

    signature = None
    variant = None

    def __init__(self, machine: int) -> None:
        self.history: list[EpochReport] = []
        self.num_micro_batches = 1
        self._machine = machine

    @property
    def epoch(self) -> int:
        return len(self.history)

    def run_epoch(self) -> EpochReport:
        epoch = self.epoch + 1
        value = random.Random(f"{self._machine} {epoch}").random()
        report = EpochReport(
            epoch=epoch,
            metrics={"val_accuracy": value},
            train_seconds=1.0,
            images_per_second=1.0,
            is_last=epoch == LAST,
        )
        self.history.append(report)
        return report

    def state(self) -> dict[str, np.ndarray]:
        return {"model/0000": np.full(4, self.epoch, np.float32), "model/0001": np.full(2, self._machine, np.float32)}

    def load_state(self, state: Any, *, history: Sequence[EpochReport], changed: Any = ()) -> None:
        if set(state["model/0000"].flat) != {len(history)}:
            raise CheckpointError("the arrays are of another epoch")
        self.history = list(history)


def worker_spec(checkpoints: Path, *, remote: str | None = None, kept_every: int = 0) -> WorkerSpec:
    unused: Any = object()
    return WorkerSpec(
        dataset=unused,
        data=unused,
        split_seed=0,
        training=TrainingSpec(max_epochs=LAST, kept_every=kept_every, metric="val_accuracy", mode="max"),
        device=unused,
        checkpoints=str(checkpoints),
        session=1,
        remote=remote,
    )


class Worker:
    """One start of a worker for the trial: `step` is `TrialRun.step` without TensorFlow."""

    def __init__(self, spec: WorkerSpec, *, start: int, first_epoch: int) -> None:
        self.start, self._next_epoch = start, first_epoch
        self.training: MadeUpTraining | None = None
        self.notes: list[Any] = []
        self._checkpoints = TrialCheckpoints(
            TRIAL, variant_id=VARIANT, spec=spec, on_note=self.notes.append, start=start
        )

    def step(self) -> EpochReport:
        """Returns the next report, as a worker does."""
        self._checkpoints.leave_if_superseded()
        if self.training is None:
            self._checkpoints.fetch(num_reported=self._next_epoch - 1)
            training = MadeUpTraining(self.start)
            self._checkpoints.restore(training, num_micro_batches=1)  # type: ignore[arg-type]
            self.training = training
        if self._next_epoch <= self.training.epoch:
            report = self.training.history[self._next_epoch - 1]
        else:
            report = self.training.run_epoch()
            self._checkpoints.save(self.training)  # type: ignore[arg-type]
            assert report.epoch == self._next_epoch, "epochs are lost that the driver has"
        self._next_epoch += 1
        return report

    def wait_for_uploads(self) -> None:
        """Waits until the checkpoints are uploaded."""
        self._checkpoints.wait_for_uploads()


@dataclass
class Driver:
    """What the journal has of the trial."""

    kept_every: int = 0
    reports: list[EpochReport] = field(default_factory=list)
    #: The start whose reports count.
    current: int = 1

    def take(self, report: EpochReport, *, start: int) -> None:
        if start == self.current:
            assert report.epoch == len(self.reports) + 1
            self.reports.append(report)

    def lose(self) -> int:
        """Takes the trial from its worker, and returns the next one's start."""
        self.current += 1
        return self.current

    @property
    def is_done(self) -> bool:
        return len(self.reports) == LAST

    @property
    def best(self) -> int:
        return best_epoch(self.reports, metric="val_accuracy", mode="max")

    def needed(self) -> set[int]:
        """Returns the epochs whose checkpoints the journal counts on: best, newest, those that others go on from."""
        if not self.reports:
            return set()
        newest = self.reports[-1].epoch
        shared = range(self.kept_every, newest + 1, self.kept_every) if self.kept_every else ()
        return {self.best, newest, *shared}


def missing(trial_folder: Path, driver: Driver) -> set[int]:
    """Returns the epochs that the journal counts on, and without a checkpoint of what it has of them."""
    return {epoch for epoch in driver.needed() if _reported(trial_folder, epoch) != driver.reports[epoch - 1].metrics}


def _reported(trial_folder: Path, epoch: int) -> Any:
    try:
        history = json.loads((existing(trial_folder / f"epoch-{epoch:04d}") / "history.json").read_bytes())
    except FileNotFoundError:
        return None
    return history["reports"][-1]["metrics"]
