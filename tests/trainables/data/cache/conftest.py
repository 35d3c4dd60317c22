"""Sixty pictures as a file and as the fields of a DataSpec."""

import numpy as np
import pytest


@pytest.fixture
def npz(tmp_path, made):
    path = tmp_path / "a.npz"
    np.savez(path, x=made.pictures(60), y=np.arange(60) % 3)
    return path


@pytest.fixture
def fields_of(npz, tmp_path, made):
    """The fields of a DataSpec whose 60 images are kept decoded or encoded."""

    def fields(storage):
        if storage == "decoded":
            return {"source": "npz", "path": str(npz)}
        images = [made.encoded(image) for image in made.pictures(60)]
        path = made.write_parquet(tmp_path / "a.parquet", images=images, labels=np.arange(60) % 3)
        return {"source": "parquet", "train": str(path), "memory_gb": 0}

    return fields


@pytest.fixture
def entries(tmp_path):
    """Returns the names of the folders in the cache."""

    def names():
        return sorted(path.name for path in (tmp_path / "cache").iterdir() if path.name != "locks")

    return names
