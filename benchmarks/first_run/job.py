"""What every contestant's process needs: its job, the arrays, and a note of each model that became its best so far."""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: The share of training images that a contestant validates on where its documentation names none.
VALIDATION = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one process is to do.

    Attributes:
        arrays: The npz file: x_train, y_train, x_test, y_test.
        images: The folder of the same images, by split and class.
        folder: Where everything of the contestant may go; its own.
        minutes: After how many of them, counted from the process's start, its best model counts.
        seed: Of everything that is drawn.
        model: Which of a contestant's several models; empty where it has one.
        started_at: When the process was started, seconds since 1970.
    """

    arrays: str
    images: str
    folder: str
    minutes: float
    seed: int
    model: str = ""
    started_at: float = 0.0

    @property
    def ends_at(self) -> float:
        """When the time is up, seconds since 1970."""
        return self.started_at + 60 * self.minutes

    def write(self) -> Path:
        """Writes the job for `read_job` and returns where."""
        path = Path(self.folder, "job.json")
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path


def read_job() -> Job:
    """Returns the job that the command line names, and seeds what draws."""
    import keras

    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    keras.utils.set_random_seed(job.seed)
    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """The images to train on, shuffled once, and those held back to validate."""

    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray

    @property
    def num_classes(self) -> int:
        """Classes."""
        return int(self.y.max()) + 1


def load_train(job: Job) -> Train:
    """Returns float32 images, 0-255, of the training split; the last fifth validates."""
    with np.load(job.arrays) as stored:
        x, y = stored["x_train"].astype(np.float32), stored["y_train"]
    order = np.random.default_rng(job.seed).permutation(len(y))
    x, y = x[order], y[order]
    held = round(VALIDATION * len(y))
    return Train(x=x[:-held], y=y[:-held], x_val=x[-held:], y_val=y[-held:])


class TimeIsUp(BaseException):
    """The minutes are over; no `except Exception` of a tuner holds it back."""


class Incumbents:
    """Keeps every model that was the best so far by the contestant's own measure, and judges them afterwards."""

    def __init__(self, job: Job, *, mode: str = "max") -> None:
        self._job, self._sign = job, 1.0 if mode == "max" else -1.0
        self._best = -np.inf
        self._kept: list[tuple[float, Path]] = []

    def offer(self, model: Any, value: float) -> None:
        """Keeps a model if its value is the best so far.

        Raises:
            TimeIsUp: The minutes are over; the model came too late.
        """
        if time.time() > self._job.ends_at:
            raise TimeIsUp
        if self._sign * value > self._best:
            self._best = self._sign * value
            path = Path(self._job.folder, f"best-{len(self._kept)}.keras")
            model.save(path, include_optimizer=False)
            self._kept.append((time.time() - self._job.started_at, path))

    def callback(self, metric: str) -> Any:
        """Returns a Keras callback that offers the model after every epoch and ends the process's work in time."""
        import keras

        incumbents = self

        class Offering(keras.callbacks.Callback):
            def __deepcopy__(self, memo: dict[int, Any]) -> "Offering":
                # Keras Tuner copies callbacks for every trial.
                return Offering()

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if time.time() > incumbents._job.ends_at:
                    raise TimeIsUp

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                if logs and metric in logs:
                    incumbents.offer(self.model, float(logs[metric]))

        return Offering()

    def judge(self, *, custom_objects: Any = None, one_hot: bool = True) -> None:
        """Writes `incumbents.jsonl`: the seconds at which each was there, and its accuracy on the test split."""
        import keras

        with np.load(self._job.arrays) as stored:
            x, y = stored["x_test"].astype(np.float32), stored["y_test"]
        with Path(self._job.folder, "incumbents.jsonl").open("w", encoding="utf-8") as file:
            for seconds, path in self._kept:
                model = keras.models.load_model(path, custom_objects=custom_objects, compile=False)
                answers = np.concatenate([model.predict(x[at : at + 500], verbose=0) for at in range(0, len(x), 500)])
                # AutoKeras answers two classes with one number.
                found = answers.argmax(axis=1) if answers.shape[1] > 1 else (answers[:, 0] > 0.5).astype(int)
                line = {"seconds": seconds, "accuracy": float((found == y).mean()), "count": len(y)}
                file.write(json.dumps(line) + "\n")
                path.unlink()
