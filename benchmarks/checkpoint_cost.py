"""What a checkpoint costs of an epoch, and where its time goes.

    python benchmarks/checkpoint_cost.py

Each network trains a few epochs (one thread, made-up images; medians, the first epoch left out). `share` is what the
trial waits for its checkpoint, of the whole epoch, as a TrialRun does it: large arrays written while validation runs,
old checkpoints deleted after. The columns after it are its parts, measured one after another on the same state: taking
the arrays, writing and hashing them, writing reports and manifest, deleting an old checkpoint, and what flushing to the
disk adds, which happens once in a few seconds. `in turn` is the share that they would have if nothing ran beside them.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from search_spaces import Variant

CASES = (
    ("8x8, tiny", (8, 8, 1), 1440, 24, {"num_blocks": 2, "filters": 8, "batch_size": 32}),
    ("32x32, 0.1 M", (32, 32, 3), 2000, 6, {"num_blocks": 3, "filters": 24, "batch_size": 128}),
    ("32x32, 10 M", (32, 32, 3), 2000, 4, {"num_blocks": 2, "filters": 64, "head": "flatten", "dense_units": 1280}),
)
PARTS = ("epoch", "arrays", "write", "manifest", "delete", "flush")


def main() -> None:
    """Prints the table."""
    # Late: this file is collected with the tests, which need not load TensorFlow for it.
    from trainables.specs.worker import DeviceSpec
    from trainables.training.devices import configure_devices

    configure_devices(DeviceSpec(cpus=1))
    heads = ("parameters", "state, MB", "epoch, ms", "share, %", "in turn, %")
    table = Table("network", *heads, *(f"{part}, ms" for part in PARTS[1:]))
    for name, shape, count, epochs, params in CASES:
        with tempfile.TemporaryDirectory(prefix="checkpoint-cost-") as folder:
            parameters, megabytes, told = measure(shape, count, epochs, params, folder=Path(folder))
        median = {part: statistics.median(row[part] for row in told) for part in (*PARTS, "waited")}
        in_turn = sum(median[part] for part in ("arrays", "write", "manifest", "delete"))
        shares = (f"{100 * seconds / median['epoch']:.1f}" for seconds in (median["waited"], in_turn))
        parts = [f"{1000 * median[part]:.1f}" for part in PARTS]
        table.add_row(name, f"{parameters:,}", f"{megabytes:.2f}", parts[0], *shares, *parts[1:])
    Console(width=150).print(table)


def measure(
    shape: tuple[int, int, int], count: int, epochs: int, params: dict[str, object], *, folder: Path
) -> tuple[int, float, list[dict[str, float]]]:
    """Returns the number of parameters, the state's size in MB, and seconds by part, one row an epoch."""
    import tensorflow as tf

    from trainables.checkpoints.checkpoint import (
        Checkpoint,
        begin_draft,
        checkpoint_folder,
        discard_checkpoint,
        finish_draft,
    )
    from trainables.checkpoints.writer import CheckpointWriter
    from trainables.data.batches.tensors import SplitTensors, shared_tensor
    from trainables.specs.task import Task
    from trainables.specs.worker import TrainingSpec
    from trainables.training.training import Training, TrainingRequest

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, count).astype(np.int32)
    images = shared_tensor(generator.integers(0, 256, (count, *shape), dtype=np.uint8))
    tensors = {"images": images, "labels": {"label": tf.constant(labels)}}
    cut = count // 10
    training = Training(
        TrainingRequest(
            variant=Variant(family="sequential", params={"optimizer": "adam", **params}, seed=1),
            train=SplitTensors(**tensors, indices=np.arange(cut, count, dtype=np.int32)),
            validation=SplitTensors(**tensors, indices=np.arange(cut, dtype=np.int32)),
            task=Task.classification(input_shape=shape, num_classes=10),
            spec=TrainingSpec(max_epochs=100, metric="val_accuracy", mode="max"),
        )
    )
    writer, row = CheckpointWriter(folder / "beside"), dict.fromkeys((*PARTS, "waited"), 0.0)

    def lap(part: str, work: Callable[[], object]) -> object:
        started = time.perf_counter()
        result = work()
        row[part] += time.perf_counter() - started
        return result

    def checkpoint() -> Checkpoint:
        return Checkpoint(variant_id="0" * 12, state=training.state(), history=training.history)

    def begin() -> None:
        if writer.pays_to_begin:
            writer.begin(training.state(), epoch=training.epoch + 1)

    training.on_trained = lambda: lap("waited", begin)
    told = []
    for epoch in range(1, epochs + 2):
        row.update(dict.fromkeys(row, 0.0))
        lap("epoch", training.run_epoch)
        keep = {epoch, epoch - 1}
        lap("waited", lambda keep=keep: writer.finish(checkpoint(), keep=keep, is_last=False))
        row["epoch"] += row["waited"]
        writer.close()
        state = lap("arrays", training.state)
        place = checkpoint_folder(folder / "in-turn", epoch=epoch)
        draft = lap("write", lambda p=place, s=state: begin_draft(p, s, is_durable=False))
        lap("manifest", lambda p=place, d=draft: finish_draft(p, checkpoint(), draft=d, is_durable=False))
        lap("delete", lambda e=epoch: discard_checkpoint(folder / "in-turn", epoch=e - 1))
        place = checkpoint_folder(folder / "durable", epoch=epoch)
        draft = lap("flush", lambda p=place, s=state: begin_draft(p, s, is_durable=True))
        lap("flush", lambda p=place, d=draft: finish_draft(p, checkpoint(), draft=d, is_durable=True))
        row["flush"] -= row["write"] + row["manifest"]
        shutil.rmtree(folder / "durable")
        told.append(dict(row))
    megabytes = sum(array.nbytes for array in training.state().values()) / 1e6
    return training.model.count_params(), megabytes, told[1:]


if __name__ == "__main__":
    main()
