"""From memory-mapped arrays to tensors and the order of an epoch."""

import gc
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("one_thread")

MEGABYTES = 16


@pytest.fixture
def mapped(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (MEGABYTES, 1024, 1024, 1), dtype=np.uint8))
    return path, np.load(path, mmap_mode="c")


def private_kilobytes(path: Path) -> int:
    """Returns how much of the file's pages this process has copied for itself."""
    maps = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    own = [part for part in maps if str(path) in part.partition("\n")[0]]
    assert own, f"{path} is not mapped"
    return sum(int(size) for part in own for size in re.findall(r"Anonymous:\s+(\d+) kB", part))


def test_a_mapped_array_becomes_a_tensor_without_a_private_copy(mapped):
    import tensorflow as tf

    from trainables.data.batches.tensors import shared_tensor

    path, array = mapped
    tensor = shared_tensor(array)
    total = int(tf.reduce_sum(tf.cast(tf.gather(tensor, [0, MEGABYTES - 1]), tf.int32)))
    assert total == int(array[0].sum(dtype=np.int64) + array[-1].sum(dtype=np.int64))
    assert private_kilobytes(path) == 0
    # Writing shows that the tensor is this very memory, and that the measure can see a copy.
    array[3, :64] += 1
    assert np.array_equal(tensor[3].numpy(), array[3])
    assert private_kilobytes(path) >= 64


def test_a_tensor_outlives_the_array_it_came_from(mapped):
    from trainables.data.batches.tensors import shared_tensor

    path, array = mapped
    expected = np.array(array[-1])
    tensor = shared_tensor(array)
    del array
    gc.collect()
    assert np.array_equal(tensor[-1].numpy(), expected)
    assert private_kilobytes(path) == 0


@pytest.mark.parametrize("offset", [1, 8, 32, 63])
def test_an_unaligned_array_is_copied_and_right(offset):
    from trainables.data.batches.tensors import ALIGNMENT_BYTES, shared_tensor

    memory = np.zeros(1000 + 2 * ALIGNMENT_BYTES, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES + offset
    array = memory[start : start + 1000].reshape(10, 10, 10, 1)
    array[:] = np.arange(1000).reshape(array.shape) % 251
    expected = array.copy()
    tensor = shared_tensor(array)
    array[:] = 0
    assert np.array_equal(tensor.numpy(), expected)


def test_a_prepared_split_is_opened_on_its_own_pages(tmp_path):
    from trainables.data.batches.tensors import split_tensors
    from trainables.data.cache.prepare import open_dataset, prepare_dataset
    from trainables.specs.data import DataSpec

    data = open_dataset(prepare_dataset(DataSpec(source="digits", limit=64, cache_dir=str(tmp_path)), 0))
    train, validation = split_tensors(data.train), split_tensors(data.validation)
    assert train.num_images + validation.num_images + len(data.test.indices) == 64
    assert not np.intersect1d(train.indices, validation.indices).size
    data.train.images[0] = 77
    assert (train.images[0].numpy() == 77).all()
    assert (validation.images[0].numpy() == 77).all()


def test_a_batch_is_its_rows_as_floats_with_their_labels(splits, digits):
    from trainables.data.batches.tensors import gather_batch

    images, labels = digits
    rows = np.array([44, 3, 3, 449], dtype=np.int32)
    batch, targets = gather_batch(splits[0], rows)
    assert batch.dtype.name == "float32"
    np.testing.assert_array_equal(batch, images[rows])
    np.testing.assert_array_equal(targets["label"], labels[rows])


@given(
    indices=st.lists(st.integers(0, 10**6), unique=True, max_size=50),
    seed=st.integers(0, 2**63),
    epoch=st.integers(1, 1000),
)
def test_an_epoch_has_every_row_exactly_once_whatever_its_seed(indices, seed, epoch):
    from trainables.data.batches.tensors import epoch_order

    rows = np.array(indices, dtype=np.int32)
    order = epoch_order(rows, seed=seed, epoch=epoch)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == sorted(indices)
    np.testing.assert_array_equal(order, epoch_order(rows, seed=seed, epoch=epoch))


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    from trainables.data.batches.tensors import epoch_order

    orders = {tuple(epoch_order(np.arange(50), seed=seed, epoch=epoch)) for seed in range(5) for epoch in range(1, 6)}
    assert len(orders) == 25
