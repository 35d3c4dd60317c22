"""Prepares the data once, for all alike: `python -m peers.prepare JOB`.

Fills convfleet's cache and writes the peers' npz. The rows of both splits are convfleet's own, so all train and
validate on the very same images.
"""

from pathlib import Path
from typing import Any

from peers.shared import Job, read_job

VALIDATION_FRACTION = 0.1
#: convfleet sets a test split aside in every study; it is read by nobody here, so it is small.
TEST_FRACTION = 0.02
DIGITS, NUM_DIGITS = "digits", 1797


def source_of(data: str) -> str:
    """Returns the file of images that `--data` means; of several in a folder, the one of training images."""
    if data == DIGITS:
        return data
    if Path(data).is_file():
        return str(Path(data).absolute())
    found = sorted(Path(data).glob("*.parquet"))
    if named := [path for path in found if "train" in path.name] or found:
        return str(named[0].absolute())
    raise SystemExit(f"--data: expected a Parquet file, a folder with one, or digits, got {data!r}")


def images_read(data: str, *, num_images: int) -> int:
    """Returns how many images of the source to read so that, without the test split, so many are left.

    >>> images_read("images.parquet", num_images=5000), images_read("digits", num_images=5000)
    (5102, 1797)
    """
    wanted = round(num_images / (1 - TEST_FRACTION))
    return min(wanted, NUM_DIGITS) if data == DIGITS else wanted


def data_section(source: str, *, limit: int) -> dict[str, Any]:
    """Returns the `data` section of the study file."""
    fractions = {"validation_fraction": VALIDATION_FRACTION, "test_fraction": TEST_FRACTION}
    named = {"source": "digits"} if source == DIGITS else {"source": "parquet", "train": source}
    return {**named, "limit": limit, **fractions}


def main() -> None:
    import numpy as np

    from trainables.data.cache.prepare import open_dataset, prepare_dataset
    from trainables.specs.data import DataSpec

    job: Job = read_job()
    spec = DataSpec.model_validate(data_section(job.source, limit=job.limit)).resolved(Path.cwd())
    dataset = open_dataset(prepare_dataset(spec, job.seed))
    (name,) = dataset.train.labels
    arrays = {}
    for split, rows in (("train", dataset.train), ("val", dataset.validation)):
        arrays[f"x_{split}"] = np.asarray(rows.images)[rows.indices]
        arrays[f"y_{split}"] = np.asarray(rows.labels[name])[rows.indices].astype(np.int64)
        arrays[f"{split}_rows"] = rows.indices
    np.savez(job.data, **arrays)


if __name__ == "__main__":
    main()
