"""Further splits of the same images: each image validates at most once, classes keep their shares."""

import numpy as np
import pytest

from trainables.data.splits.repeated import repeated_splits
from trainables.data.splits.stratified import hold_out


@pytest.mark.parametrize("seed", range(30))
def test_splits_are_as_large_as_the_first_and_no_image_validates_twice(seed):
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(500, size=int(random.integers(20, 200)), replace=False)).astype(np.int32)
    labels = np.full(500, -1)
    labels[rows] = random.integers(0, random.integers(2, 6), len(rows))
    kept, held = hold_out(labels[rows], fraction=float(random.uniform(0.05, 0.4)), seed=seed, purpose="validation")
    train, validation = rows[kept], rows[held]
    count = 1 + len(train) // len(validation)
    splits = repeated_splits(train, validation, labels=labels, count=count, seed=seed)
    assert len(splits) == count - 1
    for split in splits:
        assert len(split.train) == len(train)
        assert len(split.validation) == len(validation)
        assert np.array_equal(np.union1d(split.train, split.validation), rows)
        assert split.train.dtype == split.validation.dtype == np.int32
        assert np.all(np.diff(split.train) > 0)
        assert np.all(np.diff(split.validation) > 0)
    validated = np.concatenate([validation, *(split.validation for split in splits)])
    assert len(set(validated)) == len(validated)
    for number in set(labels[rows]):
        share = np.mean(labels[train] == number) * len(train) / (len(train) // len(validation))
        counts = [np.sum(labels[split.validation] == number) for split in splits]
        # Dealt out evenly: what is left over after the last whole round goes to none.
        assert max(counts) - min(counts) <= 2
        assert max(counts) <= share + 1


def test_splits_follow_from_the_seed_alone_and_fewer_are_the_first_of_more():
    rows = np.arange(100, dtype=np.int32)
    labels = rows % 3
    first, again, other = (
        repeated_splits(rows[10:], rows[:10], labels=labels, count=4, seed=seed) for seed in (1, 1, 2)
    )
    fewer = repeated_splits(rows[10:], rows[:10], labels=labels, count=3, seed=1)
    held = [[split.validation.tolist() for split in splits] for splits in (first, again, other, fewer)]
    assert held[0] == held[1] != held[2]
    assert held[3] == held[0][:2]


def test_images_without_classes_are_dealt_out_at_random():
    rows = np.arange(40, dtype=np.int32)
    [split] = repeated_splits(rows[10:], rows[:10], labels=None, count=2, seed=0)
    assert set(split.validation) <= set(range(10, 40))
    assert split.validation.tolist() != list(range(10, 20))
