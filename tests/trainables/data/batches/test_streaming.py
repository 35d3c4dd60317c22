"""What is streamed trains as what lies in memory, bit for bit, whatever threads and timing do."""

import importlib.util
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainables.data.cache.in_process import dataset_on_this_node
from trainables.errors import DataError
from trainables.reports import Failure, FailureKind
from trainables.specs.data import AugmentSpec, DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[4]

AUGMENTED = {
    "flip": "both", "crop_padding": 2, "rotate_degrees": 20, "zoom": 0.2, "shift": 0.1, "brightness": 0.2,
    "contrast": 0.2, "cutout": 3, "rand_augment": {"num_ops": 2, "magnitude": 5},
}  # fmt: skip
MIXED = {"flip": "horizontal", "mixup": 0.4, "cutmix": 1.0}


@pytest.fixture
def data_of(prepare, sources):
    """Opens a source decoded (1) or encoded (0): `data_of("png", 0)`."""
    return lambda name, memory_gb: prepare(**sources[name], memory_gb=memory_gb)


@pytest.fixture
def training_on(data_of, variant_of):
    """Makes a fresh Training: `training_on("png", 0, augment=MIXED)`."""
    from trainables.data.batches.tensors import split_tensors
    from trainables.training.training import Training, TrainingRequest

    def make(name, memory_gb, *, augment, **params):
        data = data_of(name, memory_gb)
        train, validation = split_tensors(data.train), split_tensors(data.validation)
        assert train.is_streamed is validation.is_streamed is (memory_gb == 0)
        return Training(
            TrainingRequest(
                variant=variant_of(batch_size=16, **params),
                train=train,
                validation=validation,
                task=data.info.task,
                statistics=data.info.statistics,
                spec=TrainingSpec(max_epochs=2, metric="val_loss", mode="min", augment=AugmentSpec(**augment)),
            )
        )

    return make


@pytest.mark.parametrize(
    ("name", "augment", "params"),
    [("mixed", {}, {}), ("png", AUGMENTED, {"image_size": 5}), ("png", MIXED, {})],
    ids=["plain", "augmented and shrunk", "mixed"],
)
def test_streamed_training_equals_the_one_in_memory_also_when_each_goes_on_with_the_others_state(
    name, augment, params, training_on, same_state
):
    in_memory, streamed = (training_on(name, memory_gb, augment=augment, **params) for memory_gb in (1, 0))
    assert in_memory._data.train.num_images % 16 != 0  # the last batch is a ragged one
    for training in (in_memory, streamed):
        training.run_epoch()
    assert streamed.history[0].metrics == in_memory.history[0].metrics
    same_state(streamed.state(), in_memory.state())
    for memory_gb, other in ((1, streamed), (0, in_memory)):
        resumed = training_on(name, memory_gb, augment=augment, **params)
        resumed.load_state(other.state(), history=other.history)
        report = resumed.run_epoch()
        if memory_gb:
            expected = report.metrics
            state = resumed.state()
    assert report.metrics == expected
    same_state(resumed.state(), state)


PIXELS = """
import hashlib, json, sys
import numpy as np
import tensorflow as tf
from trainables.data.augment.augmenter import Augmenter
from trainables.data.cache.prepare import prepare_dataset
from trainables.data.cache.dataset import open_dataset
from trainables.data.batches.tensors import epoch_order, gather_batch, split_tensors
from trainables.data.batches.streaming import each_batch
from trainables.specs.augment import AugmentSpec
from trainables.specs.data import DataSpec


def pixels(spec, augment, *, size):
    data = open_dataset(prepare_dataset(spec, 0))
    train = split_tensors(data.train)
    augmenter = Augmenter(
        augment, num_rows=len(train.images), indices=train.indices, image_size=train.images.shape[1:3], seed=5
    )
    seen = []

    @tf.function
    def epoch(order):
        plan = augmenter.plan(tf.constant(3))

        def make(rows):
            return augmenter.batch(rows, plan=plan, fetch=lambda some: gather_batch(train, some))

        def note(batch):
            tf.numpy_function(seen.append, [batch.images], [])

        each_batch(order, size=size, make=make, is_streamed=train.is_streamed, do=note)

    epoch(tf.constant(epoch_order(train.indices, seed=5, epoch=3)))
    assert [len(batch) for batch in seen[:-1]] == [size] * (len(seen) - 1)
    return hashlib.sha256(np.concatenate(seen).tobytes()).hexdigest()


if __name__ == "__main__":
    print(pixels(DataSpec(**json.loads(sys.argv[1])), AugmentSpec(**json.loads(sys.argv[2])), size=13))
"""


def test_augmented_pixels_are_those_in_memory_whatever_batches_threads_and_process(
    one_thread, tmp_path, sources, monkeypatch
):
    import tensorflow as tf

    cache = str(tmp_path / "cache")
    streamed, in_memory = (DataSpec(**sources["png"], memory_gb=budget, cache_dir=cache) for budget in (0, 1))
    augment = AugmentSpec(**AUGMENTED, mixup=0.4, cutmix=1.0)
    # A file, because TensorFlow compiles from sources.
    script = tmp_path / "pixels.py"
    script.write_text(PIXELS)
    found = importlib.util.spec_from_file_location("pixels_here", script)
    here = importlib.util.module_from_spec(found)
    found.loader.exec_module(here)
    expected = here.pixels(in_memory, augment, size=32)
    for size, threads in ((7, 4), (90, 1)):
        monkeypatch.setattr(tf.config.threading, "get_inter_op_parallelism_threads", lambda number=threads: number)
        assert here.pixels(streamed, augment, size=size) == expected, (size, threads)
    other = subprocess.run(
        [sys.executable, str(script), streamed.model_dump_json(), augment.model_dump_json()],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert other.stdout.strip() == expected


@pytest.fixture
def batches_of(data_of):
    """Streams all rows of the Parquet file in order, plain: `batches_of(data.train, size=10, num_threads=2)`."""
    import tensorflow as tf

    from trainables.data.batches.streaming import streamed
    from trainables.data.batches.tensors import Batch, gather_batch, split_tensors

    def make(split, *, size, num_threads):
        tensors = split_tensors(split)

        def batch(rows):
            images, labels = gather_batch(tensors, rows)
            return Batch(images=images, labels=labels)

        return streamed(tf.range(len(tensors.images)), size=size, make=batch, num_threads=num_threads)

    return make


def test_batches_keep_their_order_when_a_later_one_is_decoded_first(data_of, batches_of, monkeypatch):
    split = data_of("png", 0).train
    expected = split.images[np.arange(90)]
    fetch, second_is_there = split.images.fetch, threading.Event()
    overtaken = []

    def slow_first(rows):
        if rows[0] == 0:
            overtaken.append(second_is_there.wait(timeout=60))
        elif rows[0] == 10:
            second_is_there.set()
        return fetch(rows)

    monkeypatch.setattr(split.images, "fetch", slow_first)
    batches = [parts["images"].numpy() for parts in batches_of(split, size=10, num_threads=2)]
    assert overtaken == [True]
    np.testing.assert_array_equal(np.concatenate(batches), expected)


def test_only_a_few_batches_are_made_ahead(data_of, batches_of, monkeypatch):
    from trainables.data.batches.streaming import BATCHES_AHEAD

    split = data_of("png", 0).train
    fetch, fetched = split.images.fetch, []

    def counted(rows):
        fetched.append(rows[0])
        return fetch(rows)

    monkeypatch.setattr(split.images, "fetch", counted)
    for used, _ in enumerate(batches_of(split, size=1, num_threads=2), start=1):
        # Those in use, those ready, those that threads are making or have just made.
        assert len(fetched) <= used + BATCHES_AHEAD + 2 * 2
    assert len(fetched) == 90


def damage(data, *, row):
    """Overwrites the middle of one image in the cache."""
    folder = Path(data.info.folder)
    offsets = np.load(folder / "train_offsets.npy")
    path = folder / "train_bytes.npy"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - offsets[-1] + offsets[row])
        file.write(b"no image")


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_image_damaged_between_two_epochs_is_a_data_error_with_its_place(split, data_of, training_on):
    training = training_on("png", 0, augment=AUGMENTED)
    training.run_epoch()
    data = data_of("png", 0)
    row = int(getattr(data, split).indices[-1])
    damage(data, row=row)
    with pytest.raises(DataError, match=rf"is damaged: the image in train_bytes.npy row {row} cannot be read any more"):
        training.run_epoch()
    assert training.epoch == 1


def test_other_errors_of_tensorflow_stay_what_they_are(data_of):
    import tensorflow as tf

    from trainables.data.batches.streaming import data_errors
    from trainables.data.batches.tensors import split_tensors

    split = split_tensors(data_of("png", 0).train)
    split.images.failure = DataError("of an epoch before")
    with pytest.raises(tf.errors.InvalidArgumentError), data_errors(split):
        tf.reshape(tf.zeros([3]), [2])


@pytest.fixture
def worker_spec(data_of, sources, tmp_path):
    data = data_of("png", 0)
    return WorkerSpec(
        dataset=data.info,
        data=DataSpec(**sources["png"], memory_gb=9, cache_dir=str(tmp_path / "cache")),
        split_seed=0,
        training=TrainingSpec(max_epochs=1, metric="val_loss", mode="min", augment=AugmentSpec(flip="horizontal")),
        device=DeviceSpec(cpus=1),
        checkpoints=str(tmp_path / "checkpoints"),
        picture=str(tmp_path / "augmented.png"),
    )


@pytest.mark.parametrize("with_picture", [True, False])
def test_a_trial_tells_a_damaged_image_as_a_data_error(with_picture, worker_spec, data_of, variant_of):
    data = data_of("png", 0)
    damage(data, row=int(data.train.indices[0]))  # which the picture of augmented images shows, too
    spec = worker_spec if with_picture else replace(worker_spec, picture=None)
    outcome = TrialRun(trial="t0001", variant=variant_of(), first_epoch=1, spec=spec).step()
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.DATA_ERROR
    assert f"row {data.train.indices[0]} cannot be read any more" in outcome.reason


def test_a_node_without_the_data_keeps_it_as_the_driver_chose_whatever_its_memory(worker_spec, tmp_path):
    elsewhere = replace(
        worker_spec,
        dataset=replace(worker_spec.dataset, folder=str(tmp_path / "driver")),
        data=worker_spec.data.model_copy(update={"cache_dir": str(tmp_path / "node")}),
    )
    local = dataset_on_this_node(elsewhere)
    assert (local.storage, local.fingerprint) == ("encoded", worker_spec.dataset.fingerprint)
    assert Path(local.folder).parent == tmp_path / "node"


def test_an_export_scores_the_same_streamed_as_in_memory(worker_spec, data_of, variant_of):
    from trainables.exporting.export import export_model
    from trainables.specs.export import ExportRequest

    variant = variant_of(image_size=5)
    report = TrialRun(trial="t0001", variant=variant, first_epoch=1, spec=replace(worker_spec, picture=None)).step()
    results = []
    for memory_gb in (0, 1):
        request = ExportRequest(
            study="s", rank=1, trial="t0001", variant=variant, epoch=1, metrics=report.metrics, formats=["keras"],
            folder=str(Path(worker_spec.checkpoints).parent / f"export-{memory_gb}"),
            worker=replace(worker_spec, dataset=data_of("png", memory_gb).info),
        )  # fmt: skip
        results.append(export_model(request).test_metrics)
    assert results[0] == results[1]
    assert set(results[0]) == {"loss", "accuracy"}
