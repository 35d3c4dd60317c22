"""Augmentation: what happens to an image follows from (seed, epoch, image index) alone."""

import numpy as np
import pytest

from trainables.spec import AugmentSpec

EVERYTHING = AugmentSpec(flip="both", crop_padding=2, rotate_degrees=30)
NUM_ROWS = 60

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images():
    """Random pixels from 1: black only comes from outside."""
    return np.random.default_rng(5).integers(1, 256, (NUM_ROWS, 7, 10, 3)).astype(np.float32)


def augmented(images, spec, *, seed=11, epoch=1, rows=None, num_rows=NUM_ROWS):
    import tensorflow as tf

    from trainables.data.augment import Augmenter

    rows = np.arange(len(images)) if rows is None else rows
    augmenter = Augmenter(spec, num_rows=num_rows, seed=seed)
    draws = tf.gather(augmenter.draws(tf.constant(epoch)), rows)
    return augmenter.apply(tf.constant(images[rows]), draws).numpy()


@pytest.mark.parametrize("batch_size", [1, 7, 59])
def test_an_image_changes_alike_in_any_batch_and_order(images, batch_size):
    whole = augmented(images, EVERYTHING)
    order = np.random.default_rng(batch_size).permutation(NUM_ROWS)
    for start in range(0, NUM_ROWS, batch_size):
        rows = order[start : start + batch_size]
        np.testing.assert_array_equal(augmented(images, EVERYTHING, rows=rows), whole[rows])


def test_an_image_changes_alike_however_many_images_there_are(images):
    np.testing.assert_array_equal(augmented(images, EVERYTHING), augmented(images, EVERYTHING, num_rows=1000))


@pytest.mark.parametrize("other", [{"epoch": 2}, {"seed": 12}])
def test_another_epoch_or_seed_changes_nearly_every_image_in_another_way(images, other):
    first, second = augmented(images, EVERYTHING), augmented(images, EVERYTHING, **other)
    differing = (first != second).any(axis=(1, 2, 3))
    assert differing.mean() > 0.9


FLIPS = {
    "none": [lambda image: image],
    "horizontal": [lambda image: image, lambda image: image[:, ::-1]],
    "vertical": [lambda image: image, lambda image: image[::-1]],
    "both": [
        lambda image: image,
        lambda image: image[:, ::-1],
        lambda image: image[::-1],
        lambda image: image[::-1, ::-1],
    ],
}


@pytest.mark.parametrize("flip", FLIPS)
def test_a_flip_gives_the_image_or_its_exact_mirror(images, flip):
    seen = set()
    for image, result in zip(images, augmented(images, AugmentSpec(flip=flip)), strict=True):
        which = [number for number, mirror in enumerate(FLIPS[flip]) if np.array_equal(mirror(image), result)]
        assert len(which) == 1
        seen.update(which)
    assert seen == set(range(len(FLIPS[flip])))


@pytest.mark.parametrize(("padding", "flip"), [(1, "none"), (2, "horizontal"), (4, "both")])
def test_a_crop_is_an_exact_shift_by_whole_pixels_with_black_outside(images, padding, flip):
    height, width = images.shape[1:3]
    spec = AugmentSpec(crop_padding=padding, flip=flip)
    seen = set()
    for epoch in range(1, 5):
        for image, result in zip(images, augmented(images, spec, epoch=epoch), strict=True):
            windows = {}
            for mirror in FLIPS[flip]:
                padded = np.pad(mirror(image), ((padding, padding), (padding, padding), (0, 0)))
                for y in range(2 * padding + 1):
                    for x in range(2 * padding + 1):
                        windows[padded[y : y + height, x : x + width].tobytes()] = (y, x)
            assert result.tobytes() in windows
            seen.add(windows[result.tobytes()])
    assert {y for y, _ in seen} == {x for _, x in seen} == set(range(2 * padding + 1))


def test_no_augmentation_leaves_every_image_as_it_is(images):
    from trainables.data.augment import Augmenter

    spec = AugmentSpec(flip="none", crop_padding=0, rotate_degrees=0)
    assert not Augmenter(spec, num_rows=NUM_ROWS, seed=1).is_active
    np.testing.assert_array_equal(augmented(images, spec), images)


@pytest.mark.parametrize("settings", [{"flip": "vertical"}, {"crop_padding": 1}, {"rotate_degrees": 0.5}])
def test_any_one_setting_makes_augmentation_active(settings):
    from trainables.data.augment import Augmenter

    assert Augmenter(AugmentSpec(**settings), num_rows=1, seed=1).is_active


@pytest.mark.parametrize(("draw", "quarter_turns"), [(0.0, -1), (0.5, 0), (1.0, 1)])
def test_a_rotation_turns_about_the_centre_by_up_to_the_range_either_way(images, draw, quarter_turns):
    import tensorflow as tf

    from trainables.data.augment import Augmenter

    square = images[:, :, :7]
    augmenter = Augmenter(AugmentSpec(rotate_degrees=90), num_rows=NUM_ROWS, seed=1)
    draws = tf.constant([[0.5, 0.5, 0.5, 0.5, draw]] * NUM_ROWS)
    result = augmenter.apply(tf.constant(square), draws).numpy()
    np.testing.assert_allclose(result, np.rot90(square, quarter_turns, axes=(1, 2)), atol=0.01)


def test_rotations_stay_within_black_and_white(images):
    turned = augmented(images, AugmentSpec(rotate_degrees=180))
    assert turned.shape == images.shape
    assert turned.min() >= 0
    assert turned.max() <= 255.01
    # Between the pixels there are values that no whole number is.
    assert (turned != np.round(turned)).mean() > 0.5
