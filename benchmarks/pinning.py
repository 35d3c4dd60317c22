"""Whether cores of their own make workers faster: `python benchmarks/pinning.py --rounds 20`.

As many workers as there are cores train the same variant at the same time, one thread each. In each round every worker
trains some epochs pinned to a core of its own and some wherever the system puts it, the order changing from round to
round; the table has the ratios of the rounds. On a machine busy with other work, what it says holds for that.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--epochs", type=int, default=3, help="In each half of a round.")
    parser.add_argument("--side", type=int, default=32, help="Pixels of an image's side.")
    parser.add_argument("--images", type=int, default=1024)
    options = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(options.workers)
    folder = Path(tempfile.mkdtemp(prefix="convfleet-pinning-"))
    with context.Pool(options.workers, initializer=_hold, initargs=(barrier,)) as pool:
        jobs = [(vars(options), str(folder)) for _ in range(options.workers)]
        told = pool.map(_work, jobs, chunksize=1)
    # A round is over when its slowest worker is.
    rounds = [
        {how: max(seconds[how] for seconds in of_round) for how in ("pinned", "free")}
        for of_round in zip(*told, strict=True)
    ]
    ratios = sorted(seconds["pinned"] / seconds["free"] for seconds in rounds)
    quarter = len(ratios) // 4
    print(f"{options.workers} workers, {len(rounds)} rounds of {options.epochs} epochs of {options.images} images:")
    for how in ("pinned", "free"):
        print(
            f"  {how:6}  median {statistics.median(seconds[how] for seconds in rounds) / options.epochs:.3f} s an epoch"
        )
    print(
        f"  pinned / free: median {statistics.median(ratios):.3f}, quartiles {ratios[quarter]:.3f} to "
        f"{ratios[-1 - quarter]:.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}; load {os.getloadavg()[0]:.1f}"
    )


_barrier: Any = None


def _hold(barrier: Any) -> None:
    global _barrier  # noqa: PLW0603 - a barrier cannot be sent with a job
    _barrier = barrier


def _work(job: tuple[dict[str, int], str]) -> list[dict[str, float]]:
    options, folder = job

    import numpy as np

    from search_spaces import Variant
    from trainables.data.batches.tensors import split_tensors
    from trainables.data.cache.dataset import Split
    from trainables.machine.cores import CoreLocks, numa_nodes, set_affinity
    from trainables.specs.task import Task
    from trainables.specs.worker import DeviceSpec, TrainingSpec
    from trainables.training.devices import configure_devices
    from trainables.training.training import Training, TrainingRequest

    free = os.sched_getaffinity(0)
    own = CoreLocks(Path(folder)).take(1, nodes=numa_nodes())
    configure_devices(DeviceSpec(cpus=1))
    side, count = options["side"], options["images"]
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    labels = {"label": generator.integers(0, 10, count, dtype=np.int32)}
    split = split_tensors(Split(images=images, labels=labels, indices=np.arange(count, dtype=np.int32)))
    params = {"num_blocks": 3, "filters": 16, "batch_norm": True, "batch_size": 128}
    training = Training(
        TrainingRequest(
            variant=Variant(family="sequential", params=params, seed=0),
            train=split,
            validation=split,
            task=Task.classification(input_shape=(side, side, 3), num_classes=10),
            spec=TrainingSpec(max_epochs=10_000, metric="val_accuracy", mode="max"),
        )
    )
    training.run_epoch()

    def seconds(cores: Any) -> float:
        set_affinity(cores)
        _barrier.wait()
        started = time.perf_counter()
        for _ in range(options["epochs"]):
            training.run_epoch()
        return time.perf_counter() - started

    rounds = []
    for number in range(options["rounds"]):
        order = [("pinned", own), ("free", free)]
        rounds.append({how: seconds(cores) for how, cores in (order if number % 2 else order[::-1])})
    return rounds


if __name__ == "__main__":
    main()
