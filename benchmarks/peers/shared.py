"""What every peer's process needs: its job, the data, and a way to tell each epoch; light, to cost the peer nothing."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one process is to do.

    Args:
        variants: What to train, one after the other or side by side; empty: search `SEARCH_SPACE` instead.
        epochs: Epochs of a variant that nothing stops.
        batch_size: Images a training step.
        data: The npz file with images and labels of both splits.
        decode: Whether the peer makes these arrays itself from the source (a cold start).
        source: A Parquet file of images, or `digits`.
        limit: How many images of the source are read.
        feed: What `model.fit` is given: arrays, or a tf.data.Dataset.
        folder: Where everything of the peer may go; its own.
        reports: The file that gets a line after every epoch.
        cores: CPUs of this machine.
        seed: Of the splits, and of a search.
        threads: Optuna: n_jobs.
        pruner: Optuna, in a search: median or hyperband.
    """

    variants: tuple[dict[str, Any], ...]
    epochs: int
    batch_size: int
    data: str
    decode: bool = False
    source: str = "digits"
    limit: int
    feed: Literal["arrays", "dataset"] = "arrays"
    folder: str
    reports: str
    cores: int
    seed: int = 0
    threads: int = 1
    pruner: str = ""

    def write(self, path: Path) -> Path:
        """Writes the job for `read_job` and returns where."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path


def read_job() -> Job:
    """Returns the job that the command line names."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return Job(**{**job, "variants": tuple(job["variants"])})


def load_arrays(job: Job) -> dict[str, np.ndarray]:
    """Returns uint8 images (0-255) and int labels: x_train, y_train, x_val, y_val."""
    with np.load(job.data) as stored:
        if not job.decode:
            return {name: stored[name] for name in ("x_train", "y_train", "x_val", "y_val")}
        images, labels = decoded(job.source, limit=job.limit)
        return {
            f"{kind}_{split}": values[stored[f"{split}_rows"]]
            for split in ("train", "val")
            for kind, values in (("x", images), ("y", labels))
        }


def decoded(source: str, *, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first images and labels of a source, as anyone would read them."""
    if source == "digits":
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        return (images.reshape(-1, 8, 8, 1) * 255 / 16).round().astype(np.uint8)[:limit], labels[:limit]
    import io

    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(source, columns=["image", "label"]).slice(0, limit)
    pixels = [np.asarray(Image.open(io.BytesIO(value.as_py()))) for value in table["image"]]
    return np.stack(pixels), table["label"].to_numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What `model.fit` and its cousins take, and what a model has to be built for."""

    train: tuple[Any, ...]
    settings: Mapping[str, Any]
    input_shape: tuple[int, ...]
    num_classes: int


def make_feed(arrays: Arrays, job: Job) -> Feed:
    """Returns the arguments of `fit`: arrays, as float32 once and for all, or datasets that shuffle and prefetch."""
    shape, classes = arrays["x_train"].shape[1:], int(arrays["y_train"].max()) + 1
    if job.feed == "arrays":
        x_train, x_val = (arrays[name].astype(np.float32) for name in ("x_train", "x_val"))
        settings = {"batch_size": job.batch_size, "validation_data": (x_val, arrays["y_val"])}
        return Feed(train=(x_train, arrays["y_train"]), settings=settings, input_shape=shape, num_classes=classes)
    import tensorflow as tf

    train = tf.data.Dataset.from_tensor_slices((arrays["x_train"], arrays["y_train"]))
    train = train.shuffle(len(arrays["x_train"])).batch(job.batch_size).prefetch(tf.data.AUTOTUNE)
    held = tf.data.Dataset.from_tensor_slices((arrays["x_val"], arrays["y_val"]))
    held = held.batch(max(job.batch_size, 256)).cache().prefetch(tf.data.AUTOTUNE)
    return Feed(train=(train,), settings={"validation_data": held}, input_shape=shape, num_classes=classes)


def tell(job: Job, *, variant: int, epoch: int, val_accuracy: float, parameters: int) -> None:
    """Adds an epoch to the peer's reports, in one write, so that lines of several processes do not mix."""
    line = {
        "variant": variant,
        "epoch": epoch,
        "val_accuracy": float(val_accuracy),
        "parameters": parameters,
        "at": time.time(),
    }
    with Path(job.reports).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
