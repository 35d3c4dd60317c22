"""What the arithmetic alone takes: `python -m peers.floor JOB` writes steady-state seconds an epoch by variant.

One process, one thread, convfleet's own compiled epoch with its validation; the first epoch of each graph (tracing) is
left out. Variants that differ in the learning rate alone are measured once. Also tells each variant's number of
parameters, which every peer's models must have.
"""

import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peers.prepare import data_section
from peers.shared import read_job
from peers.variants import graph_of

STEADY_EPOCHS = 3
#: What the job's `folder` gets.
ANSWER = "floor.json"


def main() -> None:
    # Late: this file is collected with the tests, which need not load TensorFlow for it.
    from trainables.devices import configure_devices
    from trainables.worker_spec import DeviceSpec

    job = read_job()
    configure_devices(DeviceSpec(cpus=1))
    measured: dict[tuple[Any, ...], tuple[float, int]] = {}
    for variant in job.variants:
        if graph_of(variant) not in measured:
            measured[graph_of(variant)] = steady_epoch(variant, source=job.source, limit=job.limit, seed=job.seed)
    answer = [measured[graph_of(variant)] for variant in job.variants]
    text = json.dumps({"seconds": [pair[0] for pair in answer], "parameters": [pair[1] for pair in answer]})
    Path(job.folder, ANSWER).write_text(text, encoding="utf-8")


def steady_epoch(params: Mapping[str, Any], *, source: str, limit: int, seed: int) -> tuple[float, int]:
    """Returns the seconds of an epoch once it is traced, the median of a few, and the number of parameters."""
    from search_spaces import Variant
    from trainables.data.cache import open_dataset, prepare_dataset
    from trainables.data.pipeline import split_tensors
    from trainables.spec import DataSpec
    from trainables.training import Training
    from trainables.worker_spec import TrainingSpec

    spec = DataSpec.model_validate(data_section(source, limit=limit)).resolved(Path.cwd())
    dataset = open_dataset(prepare_dataset(spec, seed))
    training = Training(
        Variant(family="sequential", params=dict(params), seed=1),
        train=split_tensors(dataset.train),
        validation=split_tensors(dataset.validation),
        task=dataset.info.task,
        spec=TrainingSpec(max_epochs=1 + STEADY_EPOCHS, metric="val_accuracy", mode="max"),
    )
    training.run_epoch()
    seconds = []
    for _ in range(STEADY_EPOCHS):
        started = time.perf_counter()
        training.run_epoch()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), int(training.model.count_params())


if __name__ == "__main__":
    main()
