"""Kills trials of every family at random moments, lets them go on, and compares every bit with undisturbed ones.

    python tests/faults/exact_continuation.py --kills 10 [--seed 7] [--family residual] [--epochs 5]

A trial is a process with a TrialRun in it, on 140 images of scikit-learn's digits; every report it makes is written
down as a driver would. Half of the kills come after a random time, half before a random action on the trial's files, so
that many fall into the writing and deleting of checkpoints. Then a new process goes on to the end. Compared are all
metrics of all reports, and all arrays of all checkpoints that are left.

One process imports TensorFlow and never uses it; each trial is a fork of it, so that the import is paid once.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces import Variant

#: What keeps state from step to step and from epoch to epoch, spread over the families.
VARIANTS: dict[str, dict[str, Any]] = {
    "sequential": {"num_blocks": 2, "filters": 4, "spatial_dropout": 0.2, "dropout": 0.3, "batch_norm": True}
    | {"optimizer": "adam", "ema_momentum": 0.9, "gradient_accumulation": 3, "schedule": "one_cycle"},
    "residual": {"num_stages": 2, "filters": 4, "stochastic_depth": 0.3, "squeeze_excite": 4, "dropout": 0.2}
    | {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "clip_norm": 1.0, "schedule": "cosine"},
    "functional": {
        "num_modules": 3,
        "pool_every": 2,
        "branch_kernels": (1, 3),
        "filters": 8,
        "shared": True,
        "dropout": 0.2,
    }
    | {"optimizer": "nadam", "label_smoothing": 0.1, "warmup_epochs": 1, "schedule": "exponential"},
    "multitask": {"trunk": "residual", "num_blocks": 2, "filters": 4, "head_units": 8, "dropout": 0.2}
    | {"optimizer": "lamb", "class_weights": "balanced", "gradient_accumulation": 2},
    "subclassed": {"num_blocks": 2, "filters": 8, "l2": 1e-4, "auxiliary_weight": 0.4, "dropout": 0.2}
    | {"optimizer": "adafactor", "ema_momentum": 0.8, "patience": 3},
    "transfer": {"backbone": "MobileNet", "alpha": 0.1, "image_side": 32, "fine_tune_from": 0.9, "dropout": 0.2}
    | {"frozen_epochs": 2, "fine_tune_learning_rate_share": 0.5, "optimizer": "adamw", "ema_momentum": 0.9},
    "custom": {"function": "stateful:build", "width": 4, "optimizer": "rmsprop", "schedule": "step"},
}
#: A user's model with state in all places where no layer of Keras tracks it.
STATEFUL = """
import keras, tensorflow as tf
from keras import layers
class Noise(layers.Layer):
    def __init__(self):
        super().__init__()
        self.own = keras.random.SeedGenerator(1)
        self.listed = {"deep": [keras.random.SeedGenerator(2)]}
        self.generator = tf.random.Generator.from_seed(5)
        self.count = tf.Variable(0.0, trainable=False)
    def call(self, maps, training=False):
        shape = tf.shape(maps)
        drawn = keras.random.normal(shape, seed=self.listed["deep"][0])
        if not training:
            return maps + 0.01 * drawn   # draws in predictions, too
        self.count.assign_add(1.0)
        return maps + 0.01 * (drawn + keras.random.normal(shape, seed=self.own) + keras.random.normal(shape)
                              + self.generator.normal(shape)) * tf.math.log(self.count + 1.0)
def build(params, input_shape, targets):
    image = keras.Input(input_shape)
    maps = layers.Conv2D(params["width"], 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    maps = layers.SpatialDropout2D(0.2)(layers.BatchNormalization()(Noise()(maps)))
    features = layers.Dropout(0.2)(layers.Flatten()(maps))
    return keras.Model(image, layers.Dense(targets[0].size, activation="softmax")(features))
"""
#: Events of Python's audit hooks that change what is on disk.
FILE_ACTIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}
TRIAL = "t0000"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the trials of one family came to."""

    family: str
    num_kills: int
    num_epochs: int
    num_in_files: int
    differences: list[str]


def main() -> int:
    """Prints a table, and returns 0 if every bit is the same."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--family", choices=VARIANTS, action="append", default=[])
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    print(f"seed {options.seed}: repeat with --seed {options.seed}", flush=True)
    _import_tensorflow()
    results = []
    with tempfile.TemporaryDirectory(prefix="convfleet-kills-") as scratch:
        (Path(scratch) / "stateful.py").write_text(STATEFUL, encoding="utf-8")
        for family in options.family or VARIANTS:
            chance = random.Random(f"{options.seed}-{family}")
            results.append(_family(family, options, folder=Path(scratch), chance=chance))
            told = results[-1]
            print(f"{family}: {told.num_kills} kills, {len(told.differences)} differences", flush=True)
    print(f"\n{'family':<12}{'kills':>6}{'in files':>10}{'epochs':>8}  identical")
    for result in results:
        told = "yes" if not result.differences else "NO: " + "; ".join(result.differences[:3])
        print(f"{result.family:<12}{result.num_kills:>6}{result.num_in_files:>10}{result.num_epochs:>8}  {told}")
    return int(any(result.differences for result in results))


def _family(family: str, options: argparse.Namespace, *, folder: Path, chance: random.Random) -> Result:
    work = Work(family=family, folder=folder, max_epochs=options.epochs)
    started, num_actions = time.monotonic(), work.run("undisturbed", count=True)
    seconds = time.monotonic() - started
    expected = work.outcome("undisturbed")
    differences, num_in_files, num_kills = [], 0, 0
    while num_kills < options.kills:
        name = f"kill-{num_kills}"
        if num_kills % 2 == 0:
            is_killed = work.run(name, die_at_action=chance.randrange(num_actions)) < 0
            num_in_files += is_killed
        else:
            is_killed = work.run(name, die_after_seconds=chance.uniform(0, seconds)) < 0
        if is_killed:
            work.run(name)
            differences += [f"{name}: {what}" for what in _differences(work.outcome(name), expected)]
            num_kills += 1
        shutil.rmtree(folder / name)
    shutil.rmtree(folder / "undisturbed")
    return Result(
        family=family,
        num_kills=num_kills,
        num_epochs=len(expected[0]),
        num_in_files=num_in_files,
        differences=differences,
    )


@dataclass(frozen=True, kw_only=True)
class Work:
    """One variant's trials, each in a folder and in processes of its own."""

    family: str
    folder: Path
    max_epochs: int

    def run(
        self,
        name: str,
        *,
        count: bool = False,
        die_at_action: int | None = None,
        die_after_seconds: float | None = None,
    ) -> int:
        """Trains to the end, or until killed: then returns -1, else how many actions on files were counted."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        child = os.fork()
        if child == 0:
            _in_child(lambda: self._train(folder, count=count, die_at_action=die_at_action))
        if die_after_seconds is not None:
            end = time.monotonic() + die_after_seconds
            while time.monotonic() < end:
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    return _told(status, folder)
                time.sleep(0.001)
            os.kill(child, signal.SIGKILL)
        return _told(os.waitpid(child, 0)[1], folder)

    def outcome(self, name: str) -> tuple[list[Any], dict[str, Any]]:
        """Returns all reports, and the arrays and reports of all checkpoints that are left."""
        from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint, saved_epochs

        trial = self.folder / name / TRIAL
        left: dict[str, Any] = {}
        for epoch in saved_epochs(trial):
            checkpoint = load_checkpoint(checkpoint_folder(trial, epoch=epoch), variant_id=self._variant.variant_id)
            left |= {f"epoch-{epoch:04d}/{array}": values for array, values in checkpoint.state.items()}
            left[f"epoch-{epoch:04d}/history"] = [_comparable(report.to_json()) for report in checkpoint.history]
        return [_comparable(report) for report in _reports(self.folder / name)], left

    @property
    def _variant(self) -> Variant:
        params = {"batch_size": 16, "learning_rate": 0.01, **VARIANTS[self.family]}
        return Variant(family=self.family, params=params, seed=11)

    def _train(self, folder: Path, *, count: bool, die_at_action: int | None) -> None:
        from trainables.checkpoints import writer as checkpoint_writer
        from trainables.data.cache.prepare import prepare_dataset
        from trainables.reports import EpochReport, NoteKind
        from trainables.specs.data import AugmentSpec, DataSpec
        from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
        from trainables.worker.trial_run import TrialRun

        data = DataSpec(source="digits", limit=140, cache_dir=str(self.folder / "cache"))
        training = TrainingSpec(
            max_epochs=self.max_epochs,
            metric="val_accuracy",
            mode="max",
            augment=AugmentSpec(flip="horizontal", crop_padding=1, rotate_degrees=10, mixup=0.2),
            study_dir=str(self.folder),
        )
        spec = WorkerSpec(
            dataset=prepare_dataset(data, 3),
            data=data,
            split_seed=3,
            training=training,
            device=DeviceSpec(cpus=1),
            checkpoints=str(folder),
        )
        # As for large networks: these are so small that their arrays would be written after validation.
        checkpoint_writer.BESIDE_BYTES = 0
        actions = _watch_files(folder / TRIAL, die_at=die_at_action)
        run = TrialRun(trial=TRIAL, variant=self._variant, first_epoch=len(_reports(folder)) + 1, spec=spec)
        with (folder / "reports").open("a", encoding="utf-8") as told:
            while not (reports := _reports(folder)) or not reports[-1]["is_last"]:
                outcome = run.step()
                if not isinstance(outcome, EpochReport):
                    raise RuntimeError(f"{outcome}")
                # A word about a user's model is none about a checkpoint.
                if notes := [note for note in run.take_notes() if note.kind is not NoteKind.OWN_MODEL]:
                    raise RuntimeError(f"a kill must not damage a checkpoint: {notes}")
                told.write(json.dumps(outcome.to_json()) + "\n")
                told.flush()
        if count:
            (folder / "actions").write_text(str(len(actions)))


def _watch_files(trial: Path, *, die_at: int | None) -> list[str]:
    """Notes every action on a trial's files, and ends this process before one of them."""
    actions: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        # Only what lies below the trial; names relative to an open folder are those of a deletion.
        if event not in FILE_ACTIONS or not arguments:
            return
        path = str(arguments[0])
        if path.startswith(str(trial)) or (event in {"os.remove", "os.rmdir"} and not path.startswith("/")):
            actions.append(event)
            if die_at is not None and len(actions) > die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(note)
    return actions


def _told(status: int, folder: Path) -> int:
    if os.WIFSIGNALED(status):
        return -1
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"the trial in {folder.name} failed; its traceback is above")
    counted = folder / "actions"
    return int(counted.read_text()) if counted.exists() else 0


def _in_child(work: Callable[[], None]) -> None:
    """Does the work and ends this process."""
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - told by the parent
        print(traceback.format_exc(), file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _reports(folder: Path) -> list[dict[str, Any]]:
    path = folder / "reports"
    # The last line may be torn: such a report never reached the driver.
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def _comparable(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("epoch", "metrics", "is_last", "reason")}


def _differences(got: tuple[list[Any], dict[str, Any]], expected: tuple[list[Any], dict[str, Any]]) -> list[str]:
    found = [] if got[0] == expected[0] else ["the reports differ"]
    if got[1].keys() != expected[1].keys():
        found.append(f"left are {sorted(got[1].keys() ^ expected[1].keys())[:3]}")
    for name in got[1].keys() & expected[1].keys():
        left, right = got[1][name], expected[1][name]
        is_array = isinstance(left, np.ndarray)
        if not (_is_same(left, right) if is_array else left == right):
            found.append(f"{name} differs")
    return sorted(found)


def _is_same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def _import_tensorflow() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import trainables.training.training
    import trainables.worker.trial_run  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
