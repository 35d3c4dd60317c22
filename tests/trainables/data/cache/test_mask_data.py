"""Masks reach training as they were written, from every source, beside decoded and streamed images."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from trainables.errors import DataError
from trainables.specs.data import DataSpec

COUNT, HEIGHT, WIDTH = 30, 8, 6
MASKS = np.random.default_rng(4).integers(0, 3, (COUNT, HEIGHT, WIDTH)).astype(np.uint8)
MASKS[0, 0] = 255
TARGET = {"cells": {"kind": "mask"}}


def write_npz(tmp_path, images, made):
    np.savez(tmp_path / "a.npz", x_train=images, cells_train=MASKS, cells_names=np.array(["a", "b", "c"]))
    return {"source": "npz", "path": str(tmp_path / "a.npz")}


def write_parquet(tmp_path, images, made):
    columns = {
        "image": [made.encoded(image) for image in images],
        "cells": [made.encoded(mask[..., None]) for mask in MASKS],
    }
    table = pa.table(columns)
    (tmp_path / "rows").mkdir()
    pq.write_table(table[:11], tmp_path / "rows" / "0.parquet")
    pq.write_table(table[11:], tmp_path / "rows" / "1.parquet")
    return {"source": "parquet", "train": str(tmp_path / "rows")}


def write_python(tmp_path, images, made):
    np.savez(tmp_path / "kept.npz", x=images, y=MASKS)
    (tmp_path / "mask_data.py").write_text(
        f"import numpy as np\ndef load():\n    return dict(np.load({str(tmp_path / 'kept.npz')!r}))\n"
    )
    return {"source": "python", "function": "mask_data:load", "function_dir": str(tmp_path)}


@pytest.mark.parametrize("write", [write_npz, write_parquet, write_python])
def test_every_pixel_is_the_class_that_was_written(write, tmp_path, made, prepare):
    images = made.pictures(COUNT)
    data = prepare(**write(tmp_path, images, made), targets=TARGET)
    (target,) = data.info.task.targets
    assert (target.kind, target.size) == ("mask", 3)
    assert target.class_names == (("a", "b", "c") if write is write_npz else ("0", "1", "2"))
    assert data.info.task.output_shape(target) == (HEIGHT, WIDTH, 3)
    assert data.train.labels["cells"].dtype == np.uint8
    assert np.array_equal(data.train.labels["cells"], MASKS)
    assert np.array_equal(data.train.images, images)
    assert any(note.startswith("targets.cells: 0.4% of the training pixels are 255") for note in data.info.notes)


@pytest.mark.parametrize("write", [write_npz, write_parquet])
def test_masks_shrink_with_their_images_to_the_nearest_pixel(write, tmp_path, made, prepare):
    data = prepare(**write(tmp_path, made.pictures(COUNT), made), targets=TARGET, image_size=(4, 3))
    # Half the size: the middle of each new pixel lies between two, and the later one counts.
    assert np.array_equal(data.train.labels["cells"], MASKS[:, 1::2, 1::2])


def test_streamed_images_have_the_masks_of_decoded_ones(tmp_path, made, prepare):
    import tensorflow as tf

    from trainables.data.batches.tensors import gather_batch, split_tensors

    fields = {**write_parquet(tmp_path, made.pictures(COUNT), made), "targets": TARGET, "image_size": (16, 12)}
    decoded, encoded = (prepare(**fields, memory_gb=budget) for budget in (1, 0))
    assert (decoded.info.storage, encoded.info.storage) == ("decoded", "encoded")
    assert decoded.info.fingerprint == encoded.info.fingerprint
    rows = np.array([29, 0, 3, 3], np.int32)
    batches = [gather_batch(split_tensors(data.train), tf.constant(rows)) for data in (decoded, encoded)]
    for images, labels in batches:
        assert np.array_equal(images, batches[0][0])
        assert np.array_equal(labels["cells"], MASKS[rows].repeat(2, axis=1).repeat(2, axis=2))


def test_black_and_white_masks_have_two_classes(tmp_path, made, prepare):
    np.savez(tmp_path / "a.npz", x=made.pictures(COUNT), y=(MASKS == 1) * np.uint8(255))
    data = prepare(source="npz", path=str(tmp_path / "a.npz"), targets=TARGET)
    assert data.info.task.targets[0].size == 2
    assert np.array_equal(data.train.labels["cells"], MASKS == 1)


def test_splits_are_drawn_for_masks_too_and_groups_hold(tmp_path, made, prepare):
    patients = np.arange(COUNT) // 3
    np.savez(tmp_path / "a.npz", x=made.pictures(COUNT), cells=MASKS, patient=patients)
    data = prepare(source="npz", path=str(tmp_path / "a.npz"), targets=TARGET, group="patient")
    parts = [set(patients[split.indices]) for split in (data.train, data.validation, data.test)]
    assert sum(map(len, parts)) == 10
    assert len(data.test.indices) == 6


def test_masks_of_a_given_split_must_fit_those_of_training(tmp_path, made, prepare):
    np.savez(tmp_path / "train.npz", x=made.pictures(COUNT), cells=MASKS)
    np.savez(tmp_path / "test.npz", x=made.pictures(COUNT, seed=1), cells=np.full_like(MASKS, 3))
    with pytest.raises(DataError, match=r"test.npz.*have class numbers 0 to 2 and 255, these have \[3\]"):
        prepare(source="npz", train=str(tmp_path / "train.npz"), test=str(tmp_path / "test.npz"), targets=TARGET)


def test_photos_of_different_sizes_have_masks_of_their_own_size(tmp_path, made, prepare):
    sizes = [(8, 6) if row % 2 else (10, 4) for row in range(COUNT)]
    images = [made.encoded(made.pictures(1, height=h, width=w)[0]) for h, w in sizes]
    masks = [np.full((h, w), row % 3, np.uint8) for row, (h, w) in enumerate(sizes)]
    fields = {"source": "parquet", "targets": TARGET, "image_size": (5, 5)}
    for name, shown in (("right", masks), ("wrong", [masks[1], *masks[1:]])):
        column = [made.encoded(mask[..., None]) for mask in shown]
        pq.write_table(pa.table({"image": images, "cells": column}), tmp_path / f"{name}.parquet")
    # All images are alike here.
    data = prepare(**fields, train=str(tmp_path / "right.parquet"), allow_overlap=True)
    assert np.array_equal(data.train.labels["cells"], np.arange(COUNT)[:, None, None] % 3 * np.ones((1, 5, 5)))
    with pytest.raises(DataError, match=r"wrong.parquet row 0: the mask has 8x6 pixels .* its upright image 10x4"):
        prepare(**fields, train=str(tmp_path / "wrong.parquet"), allow_overlap=True)


def test_a_turned_photo_beside_an_unturned_mask_is_refused(tmp_path, made, prepare):
    from PIL import ExifTags, Image

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    images = [made.encoded(image, suffix="JPEG", exif=exif) for image in made.pictures(COUNT)]
    masks = [made.encoded(mask[..., None]) for mask in MASKS]
    pq.write_table(pa.table({"image": images, "cells": masks}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"row 0: the mask has 8x6 pixels .* its upright image 6x8; give every image"):
        prepare(source="parquet", train=str(tmp_path / "a.parquet"), targets=TARGET)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"source": "idx", "path": "p"},
            "masks come from source 'npz' or 'parquet' or 'images' or 'csv' or 'python', g",
        ),
        ({"augment": {"mixup": 0.2}}, "augment.mixup: mixes two images and has no mask for the mixture, got 0.2"),
        ({"augment": {"cutmix": 1.0}}, "augment.cutmix: mixes two images and has no mask for the mixture, got 1.0"),
    ],
)
def test_settings_that_masks_do_not_allow_are_refused(fields, message):
    with pytest.raises(ValidationError) as caught:
        DataSpec(
            **{
                "source": "npz",
                "path": None,
                "targets": TARGET,
                **({} if "source" in fields else {"path": "p"}),
                **fields,
            }
        )
    assert message in str(caught.value)
