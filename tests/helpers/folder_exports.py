"""A model of small pictures in class folders, trained for an epoch in this process and exported in all formats."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search_spaces import Variant
from trainables.data.cache.prepare import prepare_dataset
from trainables.reports import EpochReport
from trainables.specs.data import DataSpec
from trainables.specs.export import ExportRequest, FormatName
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec

#: Names of which neither the alphabet's order nor a class number says anything, one of them markup.
#: One of each runtime.
FORMATS: tuple[FormatName, ...] = ("keras", "saved_model", "litert", "onnx", "openvino")
NAMES = ("zebra", "<b>ape", "newt | *eel*")
NUM_TRAIN, NUM_TEST = 60, 21
_SEED = 3


def write_folders(root: Path, *, names: tuple[str, ...] = NAMES, count: int, seed: int) -> Path:
    """Writes images of 8x8 of which the brightest columns say the class, in class folders."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        place = number % len(names)
        pixels = rng.integers(0, 120, (8, 8)).astype(np.uint8)
        pixels[:, place * 3 : place * 3 + 2] += rng.integers(40, 120, (8, 2)).astype(np.uint8)
        folder = root / names[place]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return root


@pytest.fixture(scope="session")
def folder_export(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The export in all formats, the data section of its study and the result of the export."""
    from trainables.exporting.export import export_model
    from trainables.worker.trial_run import TrialRun

    root = tmp_path_factory.mktemp("folders")
    write_folders(root / "data" / "train", count=NUM_TRAIN, seed=0)
    write_folders(root / "data" / "test", count=NUM_TEST, seed=1)
    data = DataSpec(source="images", path=str(root / "data"), cache_dir=str(root / "cache"))
    worker = WorkerSpec(
        dataset=prepare_dataset(data, _SEED),
        data=data,
        split_seed=_SEED,
        training=TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max"),
        device=DeviceSpec(cpus=1),
        checkpoints=str(root / "checkpoints"),
    )
    params = {"filters": 4, "num_blocks": 1, "batch_size": 8, "learning_rate": 0.02}
    variant = Variant(family="sequential", params=params, seed=1)
    report = TrialRun(trial="t0000", variant=variant, first_epoch=1, spec=worker).step()
    assert isinstance(report, EpochReport), report
    request = ExportRequest(
        study="three <i>animals</i>",
        rank=1,
        trial="t0000",
        variant=variant,
        epoch=1,
        metrics=report.metrics,
        formats=FORMATS,
        folder=str(root / "runs" / "animals" / "exports" / "1-t0000"),
        worker=worker,
    )
    return {"data": data, "seed": _SEED, "result": export_model(request), "root": root, "request": request}
