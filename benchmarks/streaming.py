"""What streaming costs and what it saves: images a second and memory, streamed and from memory maps.

    python benchmarks/streaming.py [--parquet FILE]

Every number comes from a fresh process with one CPU's threads that trains a small CNN for two epochs, validation
included; images a second are those of the second epoch, memory is the process's peak. The data is made, PNG and
JPEG in Parquet, or the first 2,000 and 8,000 images of a file.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = 2
COUNTS = (2000, 8000)
SIDES = {"png": 32, "jpeg": 64}
AUGMENTS: dict[str, dict[str, Any]] = {
    "none": {},
    "crop, flip, colour": {"flip": "horizontal", "crop_padding": 4, "brightness": 0.2, "contrast": 0.2},
    "mixup": {"mixup": 0.2},
}


def main() -> None:
    """Prints the table, or is one of its measurements."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parquet")
    parser.add_argument("--child")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured(**json.loads(arguments.child))))
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Table("images", "augmentation", "in memory, 1/s", "streamed, 1/s", "ratio", "peak MB", "streamed MB")
        for name, path, count, augment in cases(Path(folder), arguments.parquet):
            fields = {"path": str(path), "cache": folder, "count": count, "augment": AUGMENTS[augment]}
            in_memory, streamed = (child({**fields, "memory_gb": budget}) for budget in (64, 0))
            ratio = streamed["speed"] / in_memory["speed"]
            speeds = (f"{in_memory['speed']:,.0f}", f"{streamed['speed']:,.0f}", f"{ratio:.2f}")
            memory = (f"{in_memory['peak_mb']:,.0f}", f"{streamed['peak_mb']:,.0f}")
            table.add_row(f"{count:,} {name}", augment, *speeds, *memory)
        Console(width=120).print(table)


def cases(folder: Path, parquet: str | None) -> list[tuple[str, Path, int, str]]:
    """Returns (name, file, number of images, augmentation) of each row."""
    if parquet:
        files = {Path(parquet).name: Path(parquet).absolute()}
    else:
        files = {f"{SIDES[kind]}x{SIDES[kind]} {kind}": made(folder, kind=kind) for kind in SIDES}
    return [
        (name, path, count, augment)
        for name, path in files.items()
        for count, augment in ((COUNTS[0], "none"), (COUNTS[1], "none"), *((COUNTS[0], a) for a in [*AUGMENTS][1:]))
    ]


def made(folder: Path, *, kind: str) -> Path:
    """Returns a Parquet file of smooth random images with some noise, about as compressible as photos."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    generator, side = np.random.default_rng(0), SIDES[kind]
    images = []
    for _ in range(COUNTS[1]):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((side, side))
        noisy = np.clip(np.asarray(coarse) + generator.integers(-4, 5, (side, side, 3)), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, kind)
        images.append(buffer.getvalue())
    path = folder / f"{kind}.parquet"
    pq.write_table(pa.table({"image": images, "label": generator.integers(0, 10, COUNTS[1])}), path)
    return path


def child(fields: dict[str, Any]) -> dict[str, float]:
    """Returns what a process of its own measured; the first one only fills the cache."""
    for epochs in (0, EPOCHS):
        command = [sys.executable, __file__, "--child", json.dumps({**fields, "epochs": epochs})]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, stderr=subprocess.DEVNULL)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def measured(
    *, path: str, cache: str, count: int, augment: dict[str, Any], memory_gb: float, epochs: int
) -> dict[str, float]:
    """Trains, and returns images a second and the peak of this process's memory."""
    from trainables.data.cache.dataset import open_dataset
    from trainables.data.cache.prepare import prepare_dataset
    from trainables.specs.data import AugmentSpec, DataSpec

    spec = DataSpec(source="parquet", train=path, limit=count, memory_gb=memory_gb, cache_dir=cache)
    info = prepare_dataset(spec, 0)
    if not epochs:
        return {}
    from search_spaces import Variant
    from trainables.data.batches.tensors import split_tensors
    from trainables.specs.worker import DeviceSpec, TrainingSpec
    from trainables.training.devices import configure_devices
    from trainables.training.training import Training, TrainingRequest

    configure_devices(DeviceSpec(cpus=1))
    data = open_dataset(info)
    training = Training(
        TrainingRequest(
            variant=Variant(family="sequential", params={"num_blocks": 3, "filters": 8, "batch_size": 128}, seed=1),
            train=split_tensors(data.train),
            validation=split_tensors(data.validation),
            task=info.task,
            statistics=info.statistics,
            spec=TrainingSpec(
                max_epochs=epochs, metric="val_accuracy", mode="max", augment=AugmentSpec.model_validate(augment)
            ),
        )
    )
    reports = [training.run_epoch() for _ in range(epochs)]
    return {
        "speed": reports[-1].images_per_second,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
