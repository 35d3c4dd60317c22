"""How far `memory_mb` is from what a training step really takes: `python benchmarks/memory_estimate.py`.

Each variant trains in a process of its own. Measured is the peak of the resident memory during its steps, less what the
process held once the model was built and traced; estimated is the cost that the tables tell, less the weights and
optimizer state that were there before.
"""

import json
import subprocess
import sys
from typing import Any

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "3 blocks of 16-64, batch 128": ("sequential", {"num_blocks": 3, "filters": 16, "batch_size": 128}),
    "3 blocks of 16-64, batch 512": ("sequential", {"num_blocks": 3, "filters": 16, "batch_size": 512}),
    "3 blocks of 64-256, batch 128": ("sequential", {"num_blocks": 3, "filters": 64, "batch_size": 128}),
    "the same without batch norm": (
        "sequential",
        {"num_blocks": 3, "filters": 64, "batch_size": 128, "batch_norm": False},
    ),
    "ResNet-20, batch 128": ("residual", {"preset": "resnet20", "batch_size": 128}),
    "branches, batch 128": ("functional", {"num_modules": 3, "filters": 32, "batch_size": 128}),
}


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("variant on 32x32x3", "estimated MB", "measured MB", "measured / estimated")
    for name, (family, params) in VARIANTS.items():
        code = f"import runpy; runpy.run_path({__file__!r})['measure']({family!r}, {params!r})"
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        estimated, measured = json.loads(output.splitlines()[-1])
        table.add_row(name, f"{estimated:.0f}", f"{measured:.0f}", f"{measured / estimated:.2f}")
    Console(width=110).print(table)


def measure(family: str, params: dict[str, Any]) -> None:
    """Prints the estimate and the measurement, both in MB."""
    import threading
    import time
    from pathlib import Path

    import numpy as np
    import tensorflow as tf

    from search_spaces import Variant
    from trainables.data.batches.tensors import SplitTensors
    from trainables.specs.task import Task
    from trainables.specs.worker import DeviceSpec, TrainingSpec
    from trainables.training.cost import model_cost
    from trainables.training.devices import configure_devices
    from trainables.training.training import Training, TrainingRequest

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6

    configure_devices(DeviceSpec(cpus=1))
    generator = np.random.default_rng(0)
    count = 3 * params["batch_size"]
    images = tf.constant(generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8))
    labels = {"label": tf.constant(generator.integers(0, 10, count).astype(np.int32))}
    rows = np.arange(count, dtype=np.int32)
    train = SplitTensors(images=images, labels=labels, indices=rows)
    held = SplitTensors(images=images, labels=labels, indices=rows[:8])
    task = Task.classification(input_shape=(32, 32, 3), num_classes=10)
    spec = TrainingSpec(max_epochs=2, metric="val_accuracy", mode="max")
    training = Training(
        TrainingRequest(
            variant=Variant(family=family, params=params, seed=1), train=train, validation=held, task=task, spec=spec
        )
    )
    training.trace()
    before, peak, is_done = resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_done.is_set():
            peak = max(peak, resident())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    training.run_epoch()
    is_done.set()
    watcher.join()
    cost = model_cost(training.model, task=task, batch_size=params["batch_size"])
    there = sum(np.prod(v.shape) for v in [*training.model.variables, *training.model.optimizer.variables]) * 4 / 1e6
    print(json.dumps([cost["memory_mb"] - there, peak - before]))


if __name__ == "__main__":
    main()
