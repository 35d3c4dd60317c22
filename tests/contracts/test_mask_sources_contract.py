"""What every source of masks promises: exactly the pixels and masks that were put in."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.specs.masks import SOURCES_OF_MASKS


def numbers_of_pixels(count=40):
    return np.random.default_rng(3).integers(0, 3, (count, 8, 6), dtype=np.uint8)


def make_npz_masks(tmp_path, made):
    np.savez(tmp_path / "all.npz", x_train=made.pictures(40), cells_train=numbers_of_pixels())
    return {"source": "npz", "path": str(tmp_path / "all.npz")}


def make_parquet_masks(tmp_path, made):
    columns = {"image": made.pictures(40), "cells": numbers_of_pixels()[..., np.newaxis]}
    encoded = {name: [made.encoded(picture) for picture in pictures] for name, pictures in columns.items()}
    pq.write_table(pa.table(encoded), tmp_path / "train.parquet")
    return {"source": "parquet", "train": str(tmp_path / "train.parquet")}


def make_images_masks(tmp_path, made):
    for folder, pictures in (("images", made.pictures(40)), ("masks", numbers_of_pixels()[..., np.newaxis])):
        (tmp_path / folder).mkdir()
        for row, picture in enumerate(pictures):
            (tmp_path / folder / f"{row:02}.png").write_bytes(made.encoded(picture))
    return {"source": "images", "path": str(tmp_path / "images"), "masks": str(tmp_path / "masks")}


def make_csv_masks(tmp_path, made):
    folders = make_images_masks(tmp_path, made)
    lines = [f"{row:02},{row:02}.png\n" for row in range(40)]
    (tmp_path / "train.csv").write_text("image,cells\n" + "".join(lines))
    return {
        "source": "csv", "train": str(tmp_path / "train.csv"), "images": folders["path"], "masks": folders["masks"]
    }  # fmt: skip


def make_python_masks(tmp_path, made):
    np.savez(tmp_path / "kept.npz", x=made.pictures(40), cells=numbers_of_pixels())
    code = "import numpy as np\ndef load():\n    return dict(np.load({!r}))\n"
    (tmp_path / "contract_masks.py").write_text(code.format(str(tmp_path / "kept.npz")))
    return {"source": "python", "function": "contract_masks:load", "function_dir": str(tmp_path)}


MASK_MAKERS = {
    "npz": make_npz_masks,
    "parquet": make_parquet_masks,
    "images": make_images_masks,
    "csv": make_csv_masks,
    "python": make_python_masks,
}


def test_every_source_of_masks_is_under_contract():
    assert set(MASK_MAKERS) == set(SOURCES_OF_MASKS)


@pytest.mark.parametrize("source", MASK_MAKERS)
def test_source_of_masks_keeps_the_contract(source, tmp_path, made, prepare):
    data = prepare(**MASK_MAKERS[source](tmp_path, made), targets={"cells": {"kind": "mask"}})
    (target,) = data.info.task.targets
    assert (target.kind, target.size, target.class_names) == ("mask", 3, ("0", "1", "2"))
    masks = data.train.labels["cells"]
    assert masks.dtype == np.uint8
    assert np.array_equal(masks, numbers_of_pixels())
    assert np.array_equal(data.train.images, made.pictures(40))
    assert data.info.num_train + data.info.num_validation + data.info.num_test == len(masks) == 40
