"""What the arithmetic alone takes: `python -m peers.floor JOB` writes steady seconds an epoch by variant.

One process, one thread, convfleet's own compiled epoch with its validation; the first epoch of each graph (tracing) is
left out. Variants that differ in the learning rate alone are measured once. Also tells each variant's number of
parameters, which every peer's models must have.

With `threads` above 1 in the job the other cores are kept busy meanwhile: cores that share caches, or
are two threads of one, are slower together than one of them alone.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from peers.prepare import data_section
from peers.shared import Job, read_job
from peers.variants import graph_of

STEADY_EPOCHS = 3
#: What the job's `folder` gets.
ANSWER = "floor.json"
#: The second argument of a process that only keeps a core busy.
LOAD = "load"


def main() -> None:
    # Late: this file is collected with the tests, which need not load TensorFlow for it.
    from trainables.specs.worker import DeviceSpec
    from trainables.training.devices import configure_devices

    job = read_job()
    configure_devices(DeviceSpec(cpus=1))
    if sys.argv[2:] == [LOAD]:
        keep_busy(job)
    command = [sys.executable, "-m", "peers.floor", sys.argv[1], LOAD]
    others = [subprocess.Popen(command) for _ in range(job.threads - 1)]
    try:
        answer = measure_all(job)
    finally:
        for process in others:
            process.kill()
            process.wait()
    Path(job.folder, ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def measure_all(job: Job) -> dict[str, list[Any]]:
    """Returns the seconds of a steady epoch and the number of parameters of every variant."""
    measured: dict[tuple[Any, ...], tuple[float, int]] = {}
    for variant in job.variants:
        if graph_of(variant) not in measured:
            measured[graph_of(variant)] = steady_epoch(job, variant)
    answers = [measured[graph_of(variant)] for variant in job.variants]
    return {"seconds": [seconds for seconds, _ in answers], "parameters": [parameters for _, parameters in answers]}


def keep_busy(job: Job) -> NoReturn:
    """Trains for as long as it lives."""
    # The largest: what occupies the caches most.
    training = make_training(job, job.variants[-1], max_epochs=1_000_000)
    while True:
        training.run_epoch()


def steady_epoch(job: Job, params: Mapping[str, Any]) -> tuple[float, int]:
    """Returns the seconds of an epoch once it is traced, the median of a few, and the number of parameters."""
    training = make_training(job, params, max_epochs=1 + STEADY_EPOCHS)
    training.run_epoch()
    seconds = []
    for _ in range(STEADY_EPOCHS):
        started = time.perf_counter()
        training.run_epoch()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), int(training.model.count_params())


def make_training(job: Job, params: Mapping[str, Any], *, max_epochs: int) -> Any:
    """Returns convfleet's own training of a variant on the job's data."""
    from search_spaces import Variant
    from trainables.data.batches.tensors import split_tensors
    from trainables.data.cache.prepare import open_dataset, prepare_dataset
    from trainables.specs.data import DataSpec
    from trainables.specs.worker import TrainingSpec
    from trainables.training.training import Training, TrainingRequest

    spec = DataSpec.model_validate(data_section(job.source, limit=job.limit)).resolved(Path.cwd())
    dataset = open_dataset(prepare_dataset(spec, job.seed))
    return Training(
        TrainingRequest(
            variant=Variant(family="sequential", params=dict(params), seed=1),
            train=split_tensors(dataset.train),
            validation=split_tensors(dataset.validation),
            task=dataset.info.task,
            spec=TrainingSpec(max_epochs=max_epochs, metric="val_accuracy", mode="max"),
        )
    )


if __name__ == "__main__":
    main()
