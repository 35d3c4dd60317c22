"""Workers of a node share one copy of the images in memory, which is read in the kernel's own figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]

#: Opens the data as a worker does, trains an epoch on it, and waits.
WORKER = """
import json, sys
import tensorflow as tf
from search_spaces import Variant
from trainables.specs.dataset import DatasetInfo
from trainables.training.devices import configure_devices
from trainables.specs.data import DataSpec
from trainables.training.training import Training, TrainingRequest
from trainables.worker.setup import open_splits
from trainables.machine.processes import own_memory_mb
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec

info = DatasetInfo.from_json(json.loads(sys.argv[1]))
training = TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max")
spec = WorkerSpec(dataset=info, data=DataSpec(source="digits"), split_seed=0, training=training,
                  device=DeviceSpec(), checkpoints="")
configure_devices(spec.device)
tf.zeros([])
before = own_memory_mb()
train, validation = open_splits(spec)
grown = own_memory_mb() - before
variant = Variant(family="sequential", params={"num_blocks": 1, "filters": 2, "batch_size": 256}, seed=0)
request = TrainingRequest(variant=variant, train=train, validation=validation, task=info.task, spec=training)
Training(request).run_epoch()
print(grown, flush=True)
sys.stdin.read()
"""


def mapped_kb(pid, path):
    """Returns Rss and Pss of what a process maps of a file: its pages in memory, and those divided by their users."""
    sums = {"Rss": 0, "Pss": 0, "Private_Dirty": 0}
    is_of_file = False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(":")
        if "-" in line.split(" ", 1)[0]:
            is_of_file = line.endswith(str(path))
        elif is_of_file and name in sums:
            sums[name] += int(rest.split()[0])
    return sums


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's smaps")
def test_the_images_pages_are_in_memory_once_for_all_workers_that_train_on_them(tmp_path, made, prepare):
    np.savez(tmp_path / "a.npz", x=made.pictures(1_500, height=96, width=96), y=np.arange(1_500) % 3)
    info = prepare(source="npz", path=str(tmp_path / "a.npz")).info
    [images] = Path(info.folder).glob("train_images.*")
    size_kb = images.stat().st_size / 1024
    command = [sys.executable, "-c", WORKER, json.dumps(info.to_json())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    try:
        # Of their own they have labels and row numbers.
        assert max(float(worker.stdout.readline()) for worker in workers) < size_kb / 1e3 / 10
        for worker in workers:
            mapped = mapped_kb(worker.pid, images)
            assert mapped["Rss"] == pytest.approx(size_kb, rel=0.05)
            assert mapped["Pss"] == pytest.approx(size_kb / 2, rel=0.05)
            assert mapped["Private_Dirty"] == 0
    finally:
        for worker in workers:
            worker.communicate()
