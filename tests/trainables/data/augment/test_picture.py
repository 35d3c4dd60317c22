"""The picture of augmented images: training images only, the same whenever it is made, and no trial depends on it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from trainables.data.batches.tensors import gather_batch
from trainables.data.cache.prepare import prepare_dataset
from trainables.reports import EpochReport
from trainables.specs.augment import AugmentSpec
from trainables.specs.data import DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

pytestmark = pytest.mark.usefixtures("one_thread")

VARIED = AugmentSpec(flip="both", rotate_degrees=20, cutmix=1.0)


def test_the_first_column_holds_training_images_and_the_others_what_each_epoch_makes_of_them(splits):
    from trainables.data.augment.picture import NUM_EPOCHS, NUM_IMAGES, sample_cells

    train, _ = splits
    cells = sample_cells(VARIED, train=train, seed=4)
    assert cells.shape == (NUM_IMAGES, 1 + NUM_EPOCHS, 8, 8, 1)
    known = {image.tobytes() for image in gather_batch(train, train.indices)[0].numpy().astype(np.uint8)}
    assert all(image.tobytes() in known for image in cells[:, 0])
    assert (cells[:, 1:] != cells[:, :1]).any(axis=(2, 3, 4)).mean() > 0.9


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 9, 3), (200, 100, 3)])
def test_a_picture_is_a_png_of_moderate_size_and_always_the_same(tmp_path, shape):
    from trainables.data.augment.picture import write_picture
    from trainables.data.batches.tensors import split_tensors
    from trainables.data.cache.dataset import Split

    images = np.random.default_rng(1).integers(0, 256, (3, *shape)).astype(np.uint8)
    train = split_tensors(Split(images=images, labels={"label": np.zeros(3, np.int32)}, indices=np.arange(3)))
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        write_picture(path, VARIED, train=train, seed=4)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.png", "second.png"]
    with Image.open(first) as picture:
        assert picture.format == "PNG"
        assert 200 < picture.width < 700


@pytest.mark.parametrize(("num_inputs", "channels"), [(2, 1), (3, 1), (2, 3)])
def test_images_of_one_example_stand_one_beside_the_other(tmp_path, num_inputs, channels):
    from trainables.data.augment.picture import write_picture
    from trainables.data.batches.tensors import split_tensors
    from trainables.data.cache.dataset import Split

    # Each input has a brightness of its own, so that its place in the picture is known.
    levels = np.repeat(np.arange(1, num_inputs + 1, dtype=np.uint8) * 40, channels)
    images = np.broadcast_to(levels, (4, 8, 6, len(levels))).copy()
    train = split_tensors(Split(images=images, labels={"label": np.zeros(4, np.int32)}, indices=np.arange(4)))
    write_picture(tmp_path / "it.png", AugmentSpec(flip="both"), train=train, seed=4, num_inputs=num_inputs)
    with Image.open(tmp_path / "it.png") as picture:
        row = np.asarray(picture)[10, : 54 * num_inputs, 0]
    assert row.reshape(num_inputs, 54).tolist() == [[40 * place] * 54 for place in range(1, num_inputs + 1)]


@pytest.fixture(scope="module")
def worker_spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    data = DataSpec(source="digits", limit=60, cache_dir=str(folder))
    return WorkerSpec(
        dataset=prepare_dataset(data, 1),
        data=data,
        split_seed=1,
        training=TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max", augment=VARIED),
        device=DeviceSpec(cpus=1),
        checkpoints=str(folder / "checkpoints"),
    )


@pytest.mark.parametrize(
    ("place", "augment"),
    [("run/augmented.png", VARIED), ("run/augmented.png", AugmentSpec()), ("gone/x.png", VARIED)],
    ids=["augmented", "not augmented", "no such folder"],
)
def test_a_trial_makes_the_picture_where_it_can_and_trains_in_any_case(
    worker_spec, variant_of, tmp_path, place, augment
):
    (tmp_path / "run").mkdir()
    path = tmp_path / place
    spec = replace(
        worker_spec,
        training=replace(worker_spec.training, augment=augment),
        checkpoints=str(tmp_path / "checkpoints"),
        picture=str(path),
    )
    assert isinstance(TrialRun(trial="t0001", variant=variant_of(), first_epoch=1, spec=spec).step(), EpochReport)
    assert path.exists() == (augment.is_active and place.startswith("run"))
