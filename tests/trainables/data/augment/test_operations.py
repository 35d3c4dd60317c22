"""Each operation against its formula, written down again in NumPy."""

import math

import numpy as np
import pytest

from trainables.specs.augment import AugmentSpec, RandAugmentSpec

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_ROWS, HEIGHT, WIDTH = 40, 7, 10
SIZE = (HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).integers(0, 256, (NUM_ROWS, HEIGHT, WIDTH, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def draws():
    import tensorflow as tf

    from trainables.data.augment.draws import Draws

    return Draws(seed=3, epoch=tf.constant(2), num_rows=NUM_ROWS)


def apply(images, amounts):
    import tensorflow as tf

    from trainables.data.augment.pixels import changed

    return changed(tf.constant(images), amounts).numpy()


def bilinear(image, x, y):
    """Returns the image's value between its pixels, black outside."""
    total = np.zeros(image.shape[2])
    left, top = math.floor(x), math.floor(y)
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
            total += image[row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return total


def warped(image, *, flip_x=1, flip_y=1, angle=0.0, zoom=1.0, shift_x=0.0, shift_y=0.0):
    """Returns the image mirrored, turned about its centre, zoomed out and moved, pixel by pixel."""
    result = np.zeros_like(image)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            across, down = flip_x * (column - (WIDTH - 1) / 2), flip_y * (row - (HEIGHT - 1) / 2)
            x = zoom * (math.cos(angle) * across - math.sin(angle) * down) + (WIDTH - 1) / 2 + shift_x
            y = zoom * (math.sin(angle) * across + math.cos(angle) * down) + (HEIGHT - 1) / 2 + shift_y
            result[row, column] = bilinear(image, x, y)
    return result


@pytest.mark.parametrize(
    "amounts",
    [
        {"angle": 0.7},
        {"zoom": 1.3},
        {"zoom": 0.6},
        {"shift_x": 1.25, "shift_y": -2.5},
        {"flip_x": -1.0, "angle": 0.4, "shift_x": 1.0},
        {"flip_y": -1.0, "angle": 0.4, "zoom": 1.2},
        {"flip_x": -1.0, "flip_y": -1.0, "angle": -2.0, "zoom": 0.8, "shift_x": -0.4, "shift_y": 3.0},
    ],
)
def test_a_warp_is_the_bilinear_value_at_the_turned_zoomed_and_shifted_place(images, amounts):
    import tensorflow as tf

    from trainables.data.augment.amounts import Geometry

    geometry = Geometry(**{name: tf.fill([NUM_ROWS], amount) for name, amount in amounts.items()})
    result = apply(images, {"warps": geometry.matrices(SIZE)})
    expected = np.stack([warped(image, **amounts) for image in images])
    np.testing.assert_allclose(result, expected, atol=0.01)


def test_shift_and_zoom_stay_within_their_shares_and_reach_far_into_them():
    import tensorflow as tf

    from trainables.data.augment.amounts import moves_of
    from trainables.data.augment.draws import Draws

    many = Draws(seed=1, epoch=tf.constant(1), num_rows=2000)
    shifted = moves_of(AugmentSpec(shift=0.25), draws=many, size=SIZE)["warps"].numpy()
    for column, side in ((2, WIDTH), (5, HEIGHT)):
        assert 0.24 * side < abs(shifted[:, column]).max() <= 0.25 * side
        assert abs(shifted[:, column].mean()) < 0.02 * side
    zoomed = moves_of(AugmentSpec(zoom=0.3), draws=many, size=SIZE)["warps"].numpy()
    np.testing.assert_array_equal(zoomed[:, 0], zoomed[:, 4])
    assert 0.7 <= zoomed[:, 0].min() < 0.71
    assert 1.29 < zoomed[:, 0].max() <= 1.3


def test_brightness_is_what_tensorflow_adjusts_each_image_to(images, draws):
    import tensorflow as tf

    from trainables.data.augment.amounts import colours_of

    amounts = colours_of(AugmentSpec(brightness=0.4), draws=draws, size=SIZE)
    deltas = amounts["brightness"].numpy()
    assert abs(deltas).max() <= 0.4 * 255
    assert deltas.min() < -50 < 50 < deltas.max()
    result = apply(images, amounts)
    for image, changed, delta in zip(images, result, deltas, strict=True):
        np.testing.assert_allclose(changed, np.clip(image + delta, 0, 255), atol=1e-4)
        np.testing.assert_allclose(
            changed, tf.clip_by_value(tf.image.adjust_brightness(image, delta), 0, 255), atol=1e-4
        )


def test_contrast_is_what_tensorflow_adjusts_each_image_to(images, draws):
    import tensorflow as tf

    from trainables.data.augment.amounts import colours_of

    amounts = colours_of(AugmentSpec(contrast=0.8), draws=draws, size=SIZE)
    factors = amounts["contrast"].numpy()
    assert 0.2 <= factors.min() < 0.4
    assert 1.6 < factors.max() <= 1.8
    result = apply(images, amounts)
    for image, changed, factor in zip(images, result, factors, strict=True):
        mean = image.mean(axis=(0, 1))
        np.testing.assert_allclose(changed, np.clip((image - mean) * factor + mean, 0, 255), atol=1e-3)
        np.testing.assert_allclose(
            changed, tf.clip_by_value(tf.image.adjust_contrast(image, factor), 0, 255), atol=1e-3
        )


@pytest.mark.parametrize("side", [1, 3, 4, 30])
def test_cutout_blackens_one_square_around_a_pixel_and_nothing_else(images, draws, side):
    from trainables.data.augment.amounts import colours_of

    amounts = colours_of(AugmentSpec(cutout=side), draws=draws, size=SIZE)
    squares = set()
    for row in range(-side, HEIGHT + side):
        for column in range(-side, WIDTH + side):
            if 0 <= row + side // 2 < HEIGHT and 0 <= column + side // 2 < WIDTH:
                top, left = max(row, 0), max(column, 0)
                squares.add((top, left, min(row + side, HEIGHT), min(column + side, WIDTH)))
    assert {tuple(box) for box in amounts["cutout"].numpy()} <= squares
    for image, changed, box in zip(images, apply(images, amounts), amounts["cutout"].numpy(), strict=True):
        expected = image.copy()
        expected[box[0] : box[2], box[1] : box[3]] = 0
        np.testing.assert_array_equal(changed, expected)


def drawn(operation, *, magnitude, sign=1, place=(0.5, 0.5)):
    """Returns the amounts of one operation of RandAugment for every image."""
    import tensorflow as tf

    from trainables.data.augment.rand_augment import OPERATIONS, amounts_of

    number = (OPERATIONS.index(operation) + 0.5) / len(OPERATIONS)
    row = [number, 0.75 if sign > 0 else 0.25, *place]
    return amounts_of(tf.constant([row] * NUM_ROWS), magnitude=magnitude, size=SIZE)


def inverted_from(image, threshold):
    return np.where(image >= threshold, 255 - image, image)


def contrasted(image, factor):
    mean = image.mean(axis=(0, 1))
    return np.clip((image - mean) * factor + mean, 0, 255)


def without_box(image, box):
    result = image.copy()
    result[box] = 0
    return result


# At magnitude 5 of 10: half of what the paper's implementations do at most.
RAND_AUGMENT = {
    ("identity", 1): lambda image: image,
    ("rotate", 1): lambda image: warped(image, angle=math.radians(15)),
    ("rotate", -1): lambda image: warped(image, angle=-math.radians(15)),
    ("shift_x", 1): lambda image: warped(image, shift_x=1.5),
    ("shift_y", -1): lambda image: warped(image, shift_y=-1.05),
    ("zoom", 1): lambda image: warped(image, zoom=1.25),
    ("zoom", -1): lambda image: warped(image, zoom=0.75),
    ("brightness", 1): lambda image: np.clip(image + 63.75, 0, 255),
    ("brightness", -1): lambda image: np.clip(image - 63.75, 0, 255),
    ("contrast", 1): lambda image: contrasted(image, 1.45),
    ("contrast", -1): lambda image: contrasted(image, 0.55),
    ("posterize", 1): lambda image: image.astype(np.uint8) & 0b11111100,
    ("solarize", 1): lambda image: inverted_from(image, 192),
    ("cutout", 1): lambda image: without_box(image, (slice(2, 4), slice(4, 6))),
}


@pytest.mark.parametrize(("operation", "sign"), RAND_AUGMENT)
def test_each_operation_of_rand_augment_follows_its_formula(images, operation, sign):
    result = apply(images, drawn(operation, magnitude=5.0, sign=sign))
    expected = np.stack([RAND_AUGMENT[operation, sign](image) for image in images])
    np.testing.assert_allclose(result, expected, atol=0.01)


def test_every_operation_has_its_formula_here():
    from trainables.data.augment.rand_augment import OPERATIONS

    assert {operation for operation, _ in RAND_AUGMENT} == set(OPERATIONS)


def test_rand_augment_draws_every_operation_about_equally_often_and_slots_alone():
    import tensorflow as tf

    from trainables.data.augment.draws import Draws
    from trainables.data.augment.rand_augment import OPERATIONS, drawn_amounts

    many = Draws(seed=1, epoch=tf.constant(1), num_rows=5000)
    first, second = drawn_amounts(RandAugmentSpec(num_ops=2, magnitude=5), draws=many, size=SIZE)
    for name, neutral in (("brightness", 0), ("contrast", 1), ("posterize", 1), ("solarize", 512)):
        is_first, is_second = (slot[name].numpy() != neutral for slot in (first, second))
        assert is_first.mean() == pytest.approx(1 / len(OPERATIONS), abs=0.02)
        assert (is_first & is_second).mean() == pytest.approx(1 / len(OPERATIONS) ** 2, abs=0.006)
    is_left = first["brightness"].numpy() < 0
    assert is_left.mean() == pytest.approx(0.5 / len(OPERATIONS), abs=0.015)


def test_solarize_never_inverts_a_whole_image(images):
    result = apply(images, drawn("solarize", magnitude=10.0))
    np.testing.assert_array_equal(result, inverted_from(images, 128))
    dark = images / 2.01
    np.testing.assert_array_equal(apply(dark, drawn("solarize", magnitude=10.0)), dark)


def test_a_strength_scales_every_amount_up_to_its_end():
    spec = AugmentSpec(
        flip="both",
        crop_padding=3,
        rotate_degrees=120,
        shift=0.2,
        zoom=0.3,
        brightness=0.8,
        contrast=0.1,
        cutout=5,
        mixup=0.4,
        cutmix=1.0,
        rand_augment=RandAugmentSpec(num_ops=3, magnitude=4),
    )
    assert spec.scaled(1.0) is spec
    assert spec.scaled(0.0) == AugmentSpec()
    assert spec.scaled(0.5) == AugmentSpec(
        flip="both",
        crop_padding=2,
        rotate_degrees=60,
        shift=0.1,
        zoom=0.15,
        brightness=0.4,
        contrast=0.05,
        cutout=2,
        mixup=0.2,
        cutmix=0.5,
        rand_augment=RandAugmentSpec(num_ops=3, magnitude=2),
    )
    doubled = spec.scaled(2.0)
    assert (doubled.rotate_degrees, doubled.zoom, doubled.brightness) == (180, 0.6, 1.0)
    assert (doubled.crop_padding, doubled.cutout, doubled.mixup) == (6, 10, 0.8)
    assert doubled.rand_augment == RandAugmentSpec(num_ops=3, magnitude=8)
