"""Memory as workers are added, and a second study's wait for the same data: `python benchmarks/shared_data.py`.

Prepares a data set twice, in processes of its own as studies do. Then 1, 2 and 4 processes open it as workers do, each
trains an epoch on all of it, and the kernel is asked what they hold: a page's share in Pss is its size divided by the
processes that map it, so what is there once counts once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUM_WORKERS = (1, 2, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=32, help="Pixels of an image's side.")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        _work(options.worker)
        return

    from rich.console import Console
    from rich.table import Table

    info, seconds = _prepared_twice(options)
    [images] = Path(info.folder).glob("train_images.*")
    console = Console(width=110)
    console.print(
        f"{options.images:,} JPEGs prepared in {seconds[0]:.2f} s, for the second study in {seconds[1]:.2f} s"
    )
    title = f"images: {images.stat().st_size / 1e6:.0f} MB on disk; all in MB, sums over workers"
    table = Table("workers", "images, Rss", "images, Pss", "all memory, Pss", "a worker's own", title=title)
    for count in NUM_WORKERS:
        held = _held_by(count, images=images, info=json.dumps(info.to_json()))
        own = (held["Pss"] - held["images Pss"]) / count
        table.add_row(
            str(count), *(f"{held[name]:,.0f}" for name in ("images Rss", "images Pss", "Pss")), f"{own:,.0f}"
        )
    console.print(table)


def _prepared_twice(options):
    import io

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    from trainables.data.cache.in_process import prepare_in_process
    from trainables.specs.data import DataSpec

    folder = Path(tempfile.mkdtemp(prefix="convfleet-shared-"))
    generator = np.random.default_rng(0)
    # Coarse noise, which JPEG compresses about as it does photos.
    coarse = generator.integers(0, 256, (options.images, 8, 8, 3), dtype=np.uint8)
    files = []
    for pixels in coarse:
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((options.side, options.side)).save(buffer, format="JPEG")
        files.append(buffer.getvalue())
    table = pa.table({"image": files, "label": generator.integers(0, 10, options.images)})
    pq.write_table(table, folder / "train.parquet")
    spec = DataSpec(source="parquet", train=str(folder / "train.parquet"), cache_dir=str(folder / "cache"))
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        info = prepare_in_process(spec, 0, verify=True)
        seconds.append(time.perf_counter() - started)
    return info, seconds


def _held_by(count: int, *, images: Path, info: str) -> dict[str, float]:
    """Returns what so many workers hold together after an epoch, in MB."""
    command = [sys.executable, __file__, "--worker", info]
    workers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(count)
    ]
    for worker in workers:
        if worker.stdout.readline() != "trained\n":
            raise SystemExit("a worker did not train")
    held = {"images Rss": 0.0, "images Pss": 0.0, "Pss": 0.0}
    for worker in workers:
        is_of_images = False
        for line in Path(f"/proc/{worker.pid}/smaps").read_text(encoding="utf-8").splitlines():
            name, _, rest = line.partition(":")
            if "-" in line.split(" ", 1)[0]:
                is_of_images = line.endswith(str(images))
            elif name in ("Rss", "Pss"):
                megabytes = int(rest.split()[0]) * 1024 / 1e6
                held["Pss"] += megabytes if name == "Pss" else 0.0
                held[f"images {name}"] += megabytes if is_of_images else 0.0
    for worker in workers:
        worker.communicate()
    return held


def _work(told: str) -> None:
    from search_spaces import Variant
    from trainables.specs.data import DataSpec
    from trainables.specs.dataset import DatasetInfo
    from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
    from trainables.training.devices import configure_devices
    from trainables.training.training import Training, TrainingRequest
    from trainables.worker.setup import open_splits

    info = DatasetInfo.from_json(json.loads(told))
    training = TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max")
    data = DataSpec(source="digits")
    spec = WorkerSpec(dataset=info, data=data, split_seed=0, training=training, device=DeviceSpec(), checkpoints="")
    configure_devices(spec.device)
    train, validation = open_splits(spec)
    variant = Variant(family="sequential", params={"num_blocks": 1, "filters": 4, "batch_size": 128}, seed=0)
    Training(
        TrainingRequest(variant=variant, train=train, validation=validation, task=info.task, spec=training)
    ).run_epoch()
    print("trained", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
