"""A mask moves with its image: painted as the image, it stays the image bit for bit."""

import numpy as np
import pytest

from trainables.specs.augment import AugmentSpec, RandAugmentSpec

NUM_ROWS = 24
WHOLE = [AugmentSpec(flip="both"), AugmentSpec(crop_padding=3), AugmentSpec(flip="horizontal", crop_padding=2)]
BETWEEN = [
    AugmentSpec(rotate_degrees=40),
    AugmentSpec(shift=0.3),
    AugmentSpec(zoom=0.4),
    AugmentSpec(flip="both", crop_padding=2, rotate_degrees=20, shift=0.1, zoom=0.2),
]
DRAWN = AugmentSpec(rand_augment=RandAugmentSpec(num_ops=3, magnitude=8))
COLOURS = AugmentSpec(brightness=0.5, contrast=0.5, cutout=4)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def masks():
    """Blobs of the classes 1 to 3 in class 0: (rows, 9, 12)."""
    generator = np.random.default_rng(3)
    return np.kron(generator.integers(0, 4, (NUM_ROWS, 3, 4)), np.ones((1, 3, 3), int)).astype(np.uint8)


def augmented(images, masks, spec, *, epoch=1):
    """Returns float32 images and masks after one augmentation."""
    import tensorflow as tf

    from trainables.data.augment.augmenter import Augmenter

    rows = np.arange(NUM_ROWS, dtype=np.int32)
    augmenter = Augmenter(spec, num_rows=NUM_ROWS, indices=rows, image_size=masks.shape[1:], seed=7, masks=["cells"])

    def fetch(some):
        labels = {"cells": tf.gather(tf.constant(masks), some), "other": some}
        return tf.gather(tf.constant(images, tf.float32), some), labels

    batch = augmenter.batch(tf.constant(rows), plan=augmenter.plan(tf.constant(epoch)), fetch=fetch)
    assert np.array_equal(batch.labels["other"], rows)
    assert batch.labels["cells"].dtype == tf.uint8
    return batch.images.numpy(), batch.labels["cells"].numpy()


@pytest.mark.parametrize("spec", WHOLE, ids=str)
def test_a_mask_painted_as_the_image_stays_aligned_bit_for_bit(spec, masks):
    # Painted from 1, as black comes from outside.
    images, moved = augmented((masks + 1)[..., None] * 10.0, masks, spec)
    painted = np.where(moved == 255, 0.0, (moved.astype(np.float32) + 1) * 10)
    assert np.array_equal(images[..., 0], painted)
    assert not np.array_equal(moved, masks)


@pytest.mark.parametrize("spec", BETWEEN, ids=str)
def test_a_mask_lies_under_its_image_where_moves_go_between_pixels(spec, masks):
    # Of each class, the image of its pixels: where one class has most of the weight, it is the mask's class.
    moved = augmented(np.zeros((*masks.shape, 1)), masks, spec)[1]
    assert set(np.unique(moved)) <= {0, 1, 2, 3, 255}
    whites = [augmented((masks == number)[..., None] * 200.0, masks, spec)[0][..., 0] for number in range(4)]
    shares = np.stack(whites, axis=-1) / 200.0
    certain = shares.max(axis=-1) > 0.75
    assert certain.mean() > 0.2
    assert np.array_equal(shares.argmax(axis=-1)[certain], moved[certain])
    outside = shares.sum(axis=-1) < 0.2
    assert set(np.unique(moved[outside])) <= {255}


def test_operations_drawn_at_random_move_masks_by_every_stage(masks):
    """Nearest pixels moved again and again are those of a picture that is drawn by nearest pixels only."""
    import tensorflow as tf

    from trainables.data.augment.augmenter import Augmenter

    rows = np.arange(NUM_ROWS, dtype=np.int32)
    plan = Augmenter(DRAWN, num_rows=NUM_ROWS, indices=rows, image_size=masks.shape[1:], seed=7).plan(tf.constant(1))
    expected = masks[..., None].astype(np.float32)
    for stage in plan.stages:
        expected = tf.raw_ops.ImageProjectiveTransformV3(
            images=expected, transforms=stage["warps"], output_shape=masks.shape[1:], fill_value=255.0,
            interpolation="NEAREST", fill_mode="CONSTANT",
        )  # fmt: skip
    moved = augmented(masks[..., None], masks, DRAWN)[1]
    assert np.array_equal(moved, expected[..., 0])
    assert (moved != masks).mean() > 0.05


def test_colours_and_black_boxes_leave_masks_alone(masks):
    images, moved = augmented(masks[..., None] * 60.0, masks, COLOURS)
    assert np.array_equal(moved, masks)
    assert not np.array_equal(images[..., 0], masks * 60.0)


def test_without_augmentation_nothing_moves(masks):
    assert np.array_equal(augmented(masks[..., None], masks, AugmentSpec())[1], masks)
