"""Small real splits and variants, so that a training of this folder takes a second."""

import numpy as np
import pytest

from search_spaces import Variant
from trainables.worker_spec import DeviceSpec, TrainingSpec

NUM_CLASSES = 10
#: A small architecture of each family, with everything in it that keeps state between steps.
SMALL = {
    "sequential": {"num_blocks": 2, "filters": 4, "dropout": 0.3, "batch_norm": True, "batch_size": 32},
    "residual": {"num_stages": 2, "filters": 4, "dropout": 0.3, "batch_norm": True, "batch_size": 32},
}


@pytest.fixture(scope="session")
def one_thread():
    """TensorFlow as a worker with one CPU has it."""
    from trainables.devices import configure_devices

    configure_devices(DeviceSpec(cpus=1))


@pytest.fixture(scope="session")
def digits():
    """450 images, uint8 (450, 8, 8, 1), and their labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images[:450, ..., None] * 255 / 16).astype(np.uint8), bunch.target[:450].astype(np.int32)


@pytest.fixture(scope="session")
def splits(one_thread, digits):
    """100 images to train on and 300 to validate with, rows of one array: neither is a multiple of a batch."""
    from trainables.data.dataset import Split
    from trainables.data.pipeline import split_tensors

    images, labels = digits
    rows = np.random.default_rng(0).permutation(450).astype(np.int32)
    return tuple(
        split_tensors(Split(images=images, labels=labels, indices=np.sort(part))) for part in (rows[:100], rows[150:])
    )


@pytest.fixture(scope="session")
def variant_of():
    """Makes a small variant: `variant_of("residual", seed=3, filters=8)`."""

    def make(family="sequential", *, seed=7, **params):
        return Variant(family=family, params=SMALL[family] | params, seed=seed)

    return make


@pytest.fixture(scope="session")
def training_of(splits):
    """Makes a fresh Training of a variant on the small splits."""
    from trainables.training import Training

    def make(variant, *, max_epochs=9, **spec):
        train, validation = splits
        spec = TrainingSpec(max_epochs=max_epochs, metric="val_accuracy", mode="max", **spec)
        return Training(variant, train=train, validation=validation, num_classes=NUM_CLASSES, spec=spec)

    return make


@pytest.fixture(scope="session")
def same_state():
    """Asserts that two states hold the same arrays, bit for bit."""

    def check(left, right):
        assert left.keys() == right.keys()
        for name in left:
            np.testing.assert_array_equal(left[name], right[name], err_msg=name)

    return check
