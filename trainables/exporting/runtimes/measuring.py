"""Measures one exported file with its runtime; started as a process of its own, in which TensorFlow cannot be imported.

`python -m trainables.exporting.runtimes.measuring JOB` reads the job from a JSON file and writes beside it, as
`found-N.npy`, what the file predicts for each output, and `found.json`, what it took.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from trainables.exporting.runtimes.conversion import Arrays, RuntimeModel
from trainables.exporting.runtimes.conversions import CONVERSIONS

#: Batch sizes whose latency is measured.
BATCHES = (1, 32)
#: Images that are predicted at once.
_BATCH = 256
_WARM_UP_CALLS, _LEAST_CALLS, _MOST_CALLS, _SECONDS = 2, 5, 100, 1.0
_STATUS = Path("/proc/self/status")
_ABSENT = ("tensorflow", "keras")


class _Absence:
    """Makes imports of TensorFlow and Keras fail, as where they are not installed."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Raises ModuleNotFoundError for a package that must not be used."""
        if name.partition(".")[0] in _ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def forbid_tensorflow() -> None:
    """Makes each later import of TensorFlow and Keras in this process fail."""
    absence: Any = _Absence()
    sys.meta_path.insert(0, absence)


def measure(job: Mapping[str, Any], *, folder: Path) -> dict[str, Any]:
    """Loads a file, predicts all images, and returns what that took.

    Args:
        job: `format`, `path`, `threads`, and the names of `inputs` and `outputs`; the images of input N lie in
            `input-N.npy`.
        folder: Of the images and of what is written.
    """
    images = {
        name: np.load(folder / f"input-{place}.npy", mmap_mode="r", allow_pickle=False)
        for place, name in enumerate(job["inputs"])
    }
    start = time.perf_counter()
    opened = CONVERSIONS[job["format"]].open(Path(job["path"]), job["threads"])
    load_seconds = time.perf_counter() - start
    found = _predict_all(opened, images)
    for place, name in enumerate(job["outputs"]):
        np.save(folder / f"found-{place}.npy", found[name])
    return {
        "version": opened.version,
        "settings": dict(opened.settings),
        "load_seconds": load_seconds,
        "latency_seconds": {str(size): latency(opened, images, size=size) for size in BATCHES},
        "peak_memory_bytes": peak_memory_bytes(),
        "imported": [name for name in _ABSENT if name in sys.modules],
    }


def peak_memory_bytes() -> int | None:
    """Returns the most memory that this process has held; None where the system does not say."""
    # Not `getrusage`: its number begins with that of the process that started this one.
    if not _STATUS.exists():
        return None
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def _predict_all(opened: RuntimeModel, images: Arrays) -> Arrays:
    count = len(next(iter(images.values())))
    parts = [opened.predict(_batch(images, range(at, min(at + _BATCH, count)))) for at in range(0, count, _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batch(images: Arrays, rows: range) -> Arrays:
    return {name: np.asarray(array[list(rows)], np.float32) for name, array in images.items()}


def latency(opened: RuntimeModel, images: Arrays, *, size: int) -> dict[str, float]:
    """Returns the median and the 95th percentile of the seconds that a batch takes.

    Args:
        opened: The model.
        images: By input name.
        size: How many images a batch has.
    """
    count = len(next(iter(images.values())))
    batch = {name: np.asarray(array[np.arange(size) % count], np.float32, order="C") for name, array in images.items()}
    for _ in range(_WARM_UP_CALLS):
        opened.predict(batch)
    seconds: list[float] = []
    while len(seconds) < _LEAST_CALLS or (len(seconds) < _MOST_CALLS and sum(seconds) < _SECONDS):
        start = time.perf_counter()
        opened.predict(batch)
        seconds.append(time.perf_counter() - start)
    return {"p50": float(np.percentile(seconds, 50)), "p95": float(np.percentile(seconds, 95))}


def main(path: Path) -> None:
    """Measures what a job names, and writes found.json.

    Args:
        path: The job, a JSON file.
    """
    forbid_tensorflow()
    found = measure(json.loads(path.read_text(encoding="utf-8")), folder=path.parent)
    (path.parent / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
