"""Augmentation: what happens to an image follows from (seed, epoch, image index) alone."""

import numpy as np
import pytest

from trainables.specs.augment import AugmentSpec, RandAugmentSpec

MOVED = AugmentSpec(flip="both", crop_padding=2, rotate_degrees=30)
#: Every augmentation there is, in turn and all at once.
EACH = [
    {"flip": "both"},
    {"crop_padding": 2},
    {"rotate_degrees": 30},
    {"shift": 0.3},
    {"zoom": 0.4},
    {"brightness": 0.5},
    {"contrast": 0.9},
    {"cutout": 4},
    {"mixup": 0.7},
    {"cutmix": 1.0},
    {"rand_augment": RandAugmentSpec(num_ops=3, magnitude=9)},
]
EVERYTHING = AugmentSpec(**{name: value for settings in EACH for name, value in settings.items()})
SPECS = [MOVED, EVERYTHING, *(AugmentSpec(**settings) for settings in EACH)]
NUM_ROWS = 60


def name_of(spec):
    return ",".join(spec.model_dump(exclude_defaults=True))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images():
    """Random pixels from 1: black only comes from outside."""
    return np.random.default_rng(5).integers(1, 256, (NUM_ROWS, 7, 10, 3)).astype(np.float32)


def augmenter_of(images, spec, *, seed=11, num_rows=NUM_ROWS):
    from trainables.data.augment.augmenter import Augmenter

    indices = np.arange(NUM_ROWS, dtype=np.int32)
    return Augmenter(spec, num_rows=num_rows, indices=indices, image_size=images.shape[1:3], seed=seed)


def fetch_of(images):
    import tensorflow as tf

    return lambda rows: (tf.gather(tf.constant(images), rows), rows)


def batches(images, spec, *, rows, epoch=1, **settings):
    """Returns the batch of each array of rows, after one plan."""
    import tensorflow as tf

    augmenter = augmenter_of(images, spec, **settings)
    plan = augmenter.plan(tf.constant(epoch))
    return [augmenter.batch(tf.constant(some, tf.int32), plan=plan, fetch=fetch_of(images)) for some in rows]


def augmented(images, spec, *, rows=None, **settings):
    rows = np.arange(len(images)) if rows is None else rows
    return batches(images, spec, rows=[rows], **settings)[0].images.numpy()


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
@pytest.mark.parametrize("batch_size", [1, 7, 59])
def test_an_image_changes_alike_in_any_batch_and_order(images, spec, batch_size):
    whole = augmented(images, spec)
    order = np.random.default_rng(batch_size).permutation(NUM_ROWS)
    rows = [order[start : start + batch_size] for start in range(0, NUM_ROWS, batch_size)]
    for some, batch in zip(rows, batches(images, spec, rows=rows), strict=True):
        np.testing.assert_array_equal(batch.images, whole[some])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_images_side_by_side_in_the_channels_change_as_each_does_alone(images, spec, channels):
    parts = [images[..., :channels], images[::-1, ..., -channels:]]
    whole = batches(np.concatenate(parts, axis=3), spec, rows=[np.arange(NUM_ROWS)])[0].images
    alone = [batches(part, spec, rows=[np.arange(NUM_ROWS)])[0].images for part in parts]
    np.testing.assert_array_equal(whole, np.concatenate(alone, axis=3))


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_an_image_changes_alike_however_many_images_there_are(images, spec):
    np.testing.assert_array_equal(augmented(images, spec), augmented(images, spec, num_rows=1000))


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_an_image_changes_alike_compiled_and_step_by_step(images, spec):
    import tensorflow as tf

    augmenter = augmenter_of(images, spec)
    # The epoch comes from outside and the number of rows is open, as in a training.
    step = tf.function(
        lambda epoch, rows: augmenter.batch(rows, plan=augmenter.plan(epoch), fetch=fetch_of(images)).images,
        input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([None], tf.int32)],
    )
    compiled = step(tf.constant(3), tf.range(NUM_ROWS))
    np.testing.assert_array_equal(augmented(images, spec, epoch=3), compiled)


@pytest.mark.parametrize("spec", [MOVED, EVERYTHING], ids=name_of)
@pytest.mark.parametrize("other", [{"epoch": 2}, {"seed": 12}])
def test_another_epoch_or_seed_changes_nearly_every_image_in_another_way(images, spec, other):
    first, second = augmented(images, spec), augmented(images, spec, **other)
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


@pytest.mark.parametrize("spec", [AugmentSpec(), EVERYTHING.scaled(0.0)], ids=["none", "strength 0"])
def test_no_augmentation_and_strength_zero_leave_every_image_as_it_is(images, spec):
    assert not spec.is_active
    batch = batches(images, spec, rows=[np.arange(NUM_ROWS)])[0]
    np.testing.assert_array_equal(batch.images, images)
    assert batch.others is None
    assert batch.weights is None


def test_operations_of_magnitude_zero_leave_every_pixel_as_it_is(images):
    spec = AugmentSpec(rand_augment=RandAugmentSpec(num_ops=4, magnitude=0))
    np.testing.assert_array_equal(augmented(images, spec), images)


@pytest.mark.parametrize("settings", EACH, ids=lambda settings: next(iter(settings)))
def test_any_one_setting_changes_images(images, settings):
    spec = AugmentSpec(**settings)
    assert spec.is_active
    assert (augmented(images, spec) != images).any(axis=(1, 2, 3)).mean() > 0.5


def test_every_field_is_among_the_settings_tried():
    assert {name for settings in EACH for name in settings} == set(AugmentSpec.model_fields)


@pytest.mark.parametrize(("draw", "quarter_turns"), [(0.0, -1), (0.5, 0), (1.0, 1)])
def test_a_rotation_turns_about_the_centre_by_up_to_the_range_either_way(images, draw, quarter_turns):
    import tensorflow as tf

    from trainables.data.augment.amounts import moves_of
    from trainables.data.augment.pixels import changed

    class Fixed:
        def base(self):
            return tf.constant([[0.5, 0.5, 0.5, 0.5, draw]] * NUM_ROWS)

    square = images[:, :, :7]
    amounts = moves_of(AugmentSpec(rotate_degrees=90), draws=Fixed(), size=(7, 7))
    result = changed(tf.constant(square), amounts).numpy()
    np.testing.assert_allclose(result, np.rot90(square, quarter_turns, axes=(1, 2)), atol=0.01)


def test_rotations_stay_within_black_and_white(images):
    turned = augmented(images, AugmentSpec(rotate_degrees=180))
    assert turned.shape == images.shape
    assert turned.min() >= 0
    assert turned.max() <= 255.01
    # Between the pixels there are values that no whole number is.
    assert (turned != np.round(turned)).mean() > 0.5
