"""How long an epoch takes in the compiled loop and in Keras's fit, as ratios measured in one run.

    python benchmarks/epoch_loop.py

Both train the same variant on the same arrays, validation included, one thread, the two in turn; the table shows
medians over the rounds. The first epoch of each (tracing) is left out.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from search_spaces import Variant

ROUNDS = 5
CASES = (
    ("8x8x1, 1,440 images", (8, 8, 1), 1440, {"num_blocks": 2, "filters": 8, "batch_size": 32}),
    ("28x28x1, 2,000 images", (28, 28, 1), 2000, {"num_blocks": 2, "filters": 16, "batch_size": 128}),
    ("32x32x3, 2,000 images", (32, 32, 3), 2000, {"num_blocks": 3, "filters": 16, "batch_size": 128}),
)


def main() -> None:
    """Prints the table."""
    # Late: this file is collected with the tests, which need not load TensorFlow for it.
    from trainables.specs.worker import DeviceSpec
    from trainables.training.devices import configure_devices

    configure_devices(DeviceSpec(cpus=1))
    table = Table("images", "fit on arrays, s", "fit on tf.data, s", "compiled epoch, s", "compiled / best fit")
    for name, shape, count, params in CASES:
        seconds = measure(shape, count, params)
        arrays, dataset, compiled = (statistics.median(seconds[kind]) for kind in ("arrays", "dataset", "compiled"))
        ratio = statistics.median(
            own / min(others)
            for own, *others in zip(seconds["compiled"], seconds["arrays"], seconds["dataset"], strict=True)
        )
        table.add_row(name, f"{arrays:.3f}", f"{dataset:.3f}", f"{compiled:.3f}", f"{ratio:.2f}")
    Console(width=110).print(table)


def measure(shape: tuple[int, int, int], count: int, params: dict[str, int]) -> dict[str, list[float]]:
    """Returns seconds an epoch by kind, one a round, after one epoch that does not count."""
    import tensorflow as tf

    from trainables.data.batches.tensors import SplitTensors, shared_tensor
    from trainables.specs.task import Task
    from trainables.specs.worker import TrainingSpec
    from trainables.training.training import Training, TrainingRequest

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = generator.integers(0, 10, count).astype(np.int32)
    cut = count // 10
    tensors = {"images": shared_tensor(images), "labels": {"label": tf.constant(labels)}}
    validation = SplitTensors(**tensors, indices=np.arange(cut, dtype=np.int32))
    train = SplitTensors(**tensors, indices=np.arange(cut, count, dtype=np.int32))
    task = Task.classification(input_shape=shape, num_classes=10)
    variant = Variant(family="sequential", params=params, seed=1)
    spec = TrainingSpec(max_epochs=100, metric="val_accuracy", mode="max")

    def training() -> Training:
        return Training(TrainingRequest(variant=variant, train=train, validation=validation, task=task, spec=spec))

    compiled, on_arrays, on_dataset = training(), training().model, training().model
    pixels, size = images.astype(np.float32), params["batch_size"]
    held = (pixels[:cut], labels[:cut])
    batches = tf.data.Dataset.from_tensor_slices((images[cut:], labels[cut:])).cache().shuffle(count)
    batches = batches.batch(size).map(lambda x, y: (tf.cast(x, tf.float32), y)).prefetch(2)
    kinds: dict[str, Callable[[], object]] = {
        "compiled": compiled.run_epoch,
        "arrays": lambda: on_arrays.fit(pixels[cut:], labels[cut:], batch_size=size, validation_data=held, verbose=0),
        "dataset": lambda: on_dataset.fit(batches, validation_data=held, verbose=0),
    }
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS + 1):
        for kind, epoch in kinds.items():
            started = time.perf_counter()
            epoch()
            seconds[kind].append(time.perf_counter() - started)
    return {kind: values[1:] for kind, values in seconds.items()}


if __name__ == "__main__":
    main()
