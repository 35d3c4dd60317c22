"""Mixup and cutmix: partners from the training split, labels by their share, validation untouched."""

import keras
import numpy as np
import pytest

from trainables.data.batches.tensors import epoch_order, gather_batch
from trainables.specs.augment import AugmentSpec
from trainables.specs.task import Task
from trainables.steps.losses import TargetLoss

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_ROWS, NUM_CLASSES = 400, 6
TASK = Task.classification(input_shape=(8, 8, 1), num_classes=NUM_CLASSES)
SPLIT = np.arange(5, NUM_ROWS, 3, dtype=np.int32)
MIXTURES = [
    AugmentSpec(mixup=0.4),
    AugmentSpec(cutmix=1.0),
    AugmentSpec(mixup=0.4, cutmix=1.0),
    AugmentSpec(mixup=0.01, flip="both"),
]


def name_of(spec):
    return ",".join(spec.model_dump(exclude_defaults=True))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(2).integers(0, 256, (NUM_ROWS, 6, 8, 2)).astype(np.float32)


def batch_of(pixels, spec, *, rows=SPLIT, indices=SPLIT, epoch=1):
    """Returns the batch of these rows and their plan's mixtures; the label of an image is its row."""
    import tensorflow as tf

    from trainables.data.augment.augmenter import Augmenter

    augmenter = Augmenter(spec, num_rows=NUM_ROWS, indices=indices, image_size=(6, 8), seed=9)
    plan = augmenter.plan(tf.constant(epoch))
    batch = augmenter.batch(tf.constant(rows), plan=plan, fetch=lambda rows: (tf.gather(pixels, rows), rows))
    return batch, {name: tensor.numpy()[rows] for name, tensor in plan.mixtures.items()}


@pytest.mark.parametrize("spec", MIXTURES, ids=name_of)
def test_a_partner_is_another_training_image_and_never_one_of_another_split(pixels, spec):
    seen = []
    for epoch in range(1, 6):
        batch, _ = batch_of(pixels, spec, epoch=epoch)
        partners = np.asarray(batch.others)
        assert set(partners) <= set(SPLIT)
        assert (partners != SPLIT).all()
        seen.append(partners)
    assert len(np.unique(seen)) > 0.9 * len(SPLIT)
    assert (seen[0] != seen[1]).mean() > 0.9


def test_a_lone_image_is_mixed_with_itself(pixels):
    lone = np.array([7], np.int32)
    batch, _ = batch_of(pixels, AugmentSpec(mixup=1.0), rows=lone, indices=lone)
    np.testing.assert_array_equal(batch.others, lone)
    np.testing.assert_allclose(batch.images, pixels[lone], atol=1e-3)


def test_mixup_blends_two_images_by_the_weight_of_their_labels(pixels):
    batch, _ = batch_of(pixels, AugmentSpec(mixup=0.4))
    share = batch.weights.numpy()[:, None, None, None]
    expected = share * pixels[SPLIT] + (1 - share) * pixels[np.asarray(batch.others)]
    np.testing.assert_allclose(batch.images, expected, atol=1e-3)


def test_cutmix_puts_in_a_box_of_the_other_image_whose_area_is_its_labels_weight(pixels):
    batch, mixtures = batch_of(pixels, AugmentSpec(cutmix=1.0))
    for number, (top, left, bottom, right) in enumerate(mixtures["boxes"]):
        expected = pixels[SPLIT[number]].copy()
        expected[top:bottom, left:right] = pixels[batch.others[number], top:bottom, left:right]
        np.testing.assert_array_equal(batch.images[number], expected)
        area = (bottom - top) * (right - left) / (6 * 8)
        assert float(batch.weights[number]) == pytest.approx(1 - area, abs=1e-6)
    assert len({tuple(box) for box in mixtures["boxes"]}) > 20


def test_with_both_about_half_of_the_images_get_each(pixels):
    _, mixtures = batch_of(pixels, AugmentSpec(mixup=0.4, cutmix=1.0), rows=np.arange(NUM_ROWS, dtype=np.int32))
    is_blended, is_patched = mixtures["blend"] < 1, mixtures["boxes"].any(axis=1)
    assert not (is_blended & is_patched).any()
    assert is_blended.mean() == pytest.approx(0.5, abs=0.1)


def test_a_partner_is_mixed_in_as_this_epoch_shows_it(pixels):
    spec = AugmentSpec(flip="both", brightness=0.3)
    shown, _ = batch_of(pixels, spec, rows=np.arange(NUM_ROWS, dtype=np.int32))
    batch, _ = batch_of(pixels, spec.model_copy(update={"mixup": 0.4}))
    shown, share = shown.images.numpy(), batch.weights.numpy()[:, None, None, None]
    expected = share * shown[SPLIT] + (1 - share) * shown[np.asarray(batch.others)]
    np.testing.assert_allclose(batch.images, expected, atol=1e-3)


@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0, 8.0])
def test_weights_follow_the_beta_distribution(alpha):
    import tensorflow as tf

    from trainables.data.augment.draws import Draws

    weights = Draws(seed=4, epoch=tf.constant(1), num_rows=20_000).beta(3, alpha=alpha).numpy()
    assert ((weights >= 0) & (weights <= 1)).all()
    assert weights.mean() == pytest.approx(0.5, abs=0.02 if alpha > 0.01 else 0.3)
    expected = np.random.default_rng(0).beta(alpha, alpha, 20_000)
    if alpha > 0.01:
        quantiles = np.linspace(0.05, 0.95, 19)
        np.testing.assert_allclose(np.quantile(weights, quantiles), np.quantile(expected, quantiles), atol=0.03)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("spec", MIXTURES, ids=name_of)
def test_the_loss_is_that_of_soft_labels_which_sum_to_one(pixels, spec, smoothing):
    batch, _ = batch_of(pixels, spec)
    own, others = SPLIT % NUM_CLASSES, np.asarray(batch.others) % NUM_CLASSES
    weights = batch.weights.numpy()
    soft = weights[:, None] * np.eye(NUM_CLASSES)[own] + (1 - weights[:, None]) * np.eye(NUM_CLASSES)[others]
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    probabilities = np.random.default_rng(3).dirichlet(np.ones(NUM_CLASSES), size=len(SPLIT)).astype(np.float32)
    expected = keras.losses.categorical_crossentropy(soft, probabilities, label_smoothing=smoothing)

    loss = TargetLoss(TASK.targets[0], smoothing=smoothing)
    with loss.second_labels(others, weights):
        np.testing.assert_allclose(loss(own, probabilities), expected, rtol=1e-4)
    plain = keras.losses.categorical_crossentropy(np.eye(NUM_CLASSES)[own], probabilities, label_smoothing=smoothing)
    np.testing.assert_allclose(loss(own, probabilities), plain, rtol=1e-4)


def test_compiled_epochs_train_on_the_weighted_loss_and_count_accuracy_against_the_images_own_labels(
    training_of, variant_of, splits
):
    import tensorflow as tf

    from trainables.data.augment.augmenter import Augmenter

    spec = AugmentSpec(mixup=1.0, crop_padding=1)
    # Nothing learns and nothing is dropped, so the epoch's metrics are those of one model on all images.
    variant = variant_of(learning_rate=1e-8, optimizer="sgd", dropout=0.0, batch_norm=False)
    training = training_of(variant, augment=spec)
    report = training.run_epoch()

    train, validation = splits
    augmenter = Augmenter(
        spec, num_rows=train.images.shape[0], indices=train.indices, image_size=(8, 8), seed=variant.seed
    )
    rows = tf.constant(epoch_order(train.indices, seed=variant.seed, epoch=1))
    batch = augmenter.batch(rows, plan=augmenter.plan(tf.constant(1)), fetch=lambda rows: gather_batch(train, rows))
    probabilities = training.model(batch.images, training=False).numpy()
    weights = batch.weights.numpy()
    own, others = (
        -np.log(probabilities[np.arange(len(rows)), np.asarray(labels["label"])])
        for labels in (batch.labels, batch.others)
    )
    assert report.metrics["loss"] == pytest.approx((weights * own + (1 - weights) * others).mean(), rel=1e-4)
    assert report.metrics["accuracy"] == pytest.approx(
        np.mean(probabilities.argmax(axis=1) == np.asarray(batch.labels["label"]))
    )

    images, labels = gather_batch(validation, validation.indices)
    expected = keras.losses.sparse_categorical_crossentropy(labels["label"], training.model(images, training=False))
    assert report.metrics["val_loss"] == pytest.approx(float(np.mean(expected)), rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 9, 100])
def test_a_training_sees_the_same_pixels_whatever_its_batch_size(training_of, variant_of, batch_size):
    import tensorflow as tf

    spec = AugmentSpec(flip="horizontal", rotate_degrees=20, contrast=0.5, mixup=0.4, cutmix=1.0)

    def seen(size):
        noted = []
        training = training_of(variant_of(batch_size=size), augment=spec)
        step = training.model.train_step

        def noting(data):
            tf.numpy_function(noted.append, [data[0]], [])
            return step(data)

        training.model.train_step = noting
        training.run_epoch()
        return noted

    batches = seen(batch_size)
    assert len(batches) == -(-100 // batch_size)
    np.testing.assert_array_equal(np.concatenate(batches), np.concatenate(seen(32)))


def test_strength_zero_trains_as_without_augmentation(training_of, variant_of, same_state):
    spec = AugmentSpec(flip="both", rotate_degrees=20, mixup=0.4, cutmix=1.0, cutout=3)
    plain, off = training_of(variant_of()), training_of(variant_of(augment_strength=0), augment=spec)
    assert plain.run_epoch().metrics == off.run_epoch().metrics
    same_state(plain.state(), off.state())
