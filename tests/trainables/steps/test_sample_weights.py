"""How much each image counts in the training loss: the numbers of Keras's `fit(sample_weight=...)`, in every step."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from search_spaces import Variant
from trainables.data.augment.augmenter import Augmenter
from trainables.data.batches.tensors import Batch, epoch_order, gather_batch, split_tensors
from trainables.data.cache.dataset import Split
from trainables.specs.augment import AugmentSpec
from trainables.specs.task import Target, Task
from trainables.specs.worker import TrainingSpec
from trainables.steps.class_weights import balanced_weights
from trainables.steps.losses import TargetLoss
from trainables.steps.step_data import step_data
from trainables.training.training import Training, TrainingRequest

pytestmark = pytest.mark.usefixtures("one_thread")

#: Nothing of it depends on which images are seen together, or on how often something is drawn.
PLAIN = {"batch_norm": False, "dropout": 0.0, "batch_size": 32, "filters": 4}
SGD = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.05}
#: By row of the digits: a third weighs nothing, the others up to 3.
WEIGHTS = np.where(np.arange(450) % 3 == 0, 0.0, np.random.default_rng(2).uniform(0.1, 3.0, 450)).astype(np.float32)

SEVERAL = Task(
    input_shape=(8, 8, 1),
    targets=tuple(
        Target(name=name, kind=kind, size=size, class_names=tuple("abcdefghij"[:size]), loss=loss, metrics=(metric,))
        for name, kind, size, loss, metric in (
            ("digit", "classification", 10, "categorical_crossentropy", "accuracy"),
            ("halves", "multilabel", 2, "binary_crossentropy", "accuracy"),
            ("ink", "regression", 1, "mean_squared_error", "mae"),
        )
    ),
)


def weighted(split, weights=WEIGHTS):
    return replace(split, weights=tf.constant(weights))


def training_on(splits, *, task, metric="val_loss", family="sequential", epochs=3, augment=None, **params):
    train, validation = splits
    spec = TrainingSpec(max_epochs=epochs, metric=metric, mode="min", augment=augment or AugmentSpec())
    variant = Variant(family=family, params={**PLAIN, **params}, seed=5)
    return Training(TrainingRequest(variant=variant, train=train, validation=validation, task=task, spec=spec))


@pytest.fixture(scope="module")
def several(digits):
    """Splits with a label of each kind that is not a mask."""
    images, digit = digits
    pixels = images[..., 0].astype(np.float32) / 255
    halves = np.stack([pixels[:, :4].mean((1, 2)), pixels[:, 4:].mean((1, 2))], axis=1) > 0.3
    ink = pixels.mean((1, 2))[:, None].astype(np.float32)
    labels = {"digit": digit, "halves": halves.astype(np.uint8), "ink": ink}
    rows = np.random.default_rng(0).permutation(450).astype(np.int32)
    return [split_tensors(Split(images=images, labels=labels, indices=np.sort(rows[:100]))) for _ in range(2)]


def fitted(training, train, *, weights, losses, epochs=2):
    """What Keras's own fit reports of each epoch, on the same images in the same order."""
    model = training.model
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), losses)
    told = []
    for epoch in range(1, epochs + 1):
        order = epoch_order(train.indices, seed=5, epoch=epoch)
        labels = {name: np.asarray(values)[order] for name, values in train.labels.items()}
        given = {name: weights[name][order] for name in labels}
        is_lone = len(labels) == 1
        history = model.fit(
            np.asarray(train.images, np.float32)[order],
            next(iter(labels.values())) if is_lone else labels,
            sample_weight=next(iter(given.values())) if is_lone else given,
            batch_size=32,
            shuffle=False,
            verbose=0,
        )
        told.append(history.history["loss"][0])
    return told


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_losses_are_those_of_keras_fit(splits, task, class_weights):
    train = weighted(splits[0])
    params = {**SGD, "class_weights": class_weights, "num_blocks": 1}
    told = [report.metrics for report in training_on((train, splits[1]), task=task, **params).epochs()][:2]
    weights = WEIGHTS
    if class_weights == "balanced":
        labels = np.asarray(train.labels["label"])
        weights = weights * balanced_weights(labels[train.indices], num_classes=10)[labels]
    other = training_on(splits, task=task, **params)
    expected = fitted(other, train, weights={"label": weights}, losses="sparse_categorical_crossentropy")
    assert [metrics["loss"] for metrics in told] == pytest.approx(expected, abs=1e-5)
    plain = training_on(splits, task=task, **params).run_epoch().metrics
    assert abs(plain["loss"] - told[0]["loss"]) > 0.1


def test_losses_of_several_targets_are_those_of_keras_fit(several):
    params = {**SGD, "family": "multitask", "num_blocks": 1, "class_weights": "balanced"}
    train = weighted(several[0])
    told = [report.metrics["loss"] for report in training_on((train, several[1]), task=SEVERAL, **params).epochs()][:2]
    digits = np.asarray(train.labels["digit"])
    weights = dict.fromkeys(("halves", "ink"), WEIGHTS)
    weights["digit"] = WEIGHTS * balanced_weights(digits[train.indices], num_classes=10)[digits]
    losses = {"digit": "sparse_categorical_crossentropy", "halves": "binary_crossentropy", "ink": "mean_squared_error"}
    expected = fitted(training_on(several, task=SEVERAL, **params), train, weights=weights, losses=losses)
    assert told == pytest.approx(expected, abs=1e-5)


def test_losses_of_masks_are_those_of_keras_fit(mask_splits):
    train, validation = mask_splits
    # Keras knows no pixels that do not count.
    masks = np.where(np.asarray(train.labels["label"]) == 255, 0, np.asarray(train.labels["label"])).astype(np.uint8)
    train = weighted(replace(train, labels={"label": tf.constant(masks)}))
    target = Target(
        name="label",
        kind="mask",
        size=3,
        class_names=("a", "b", "c"),
        loss="categorical_crossentropy",
        metrics=("iou",),
    )
    task = Task(input_shape=(8, 8, 1), targets=(target,))
    params = {**SGD, "family": "unet", "depth": 2}
    told = [report.metrics["loss"] for report in training_on((train, validation), task=task, **params).epochs()][:2]
    other = training_on((train, validation), task=task, **params)
    by_pixel = np.broadcast_to(WEIGHTS[:, None, None], masks.shape)
    expected = fitted(other, train, weights={"label": by_pixel}, losses="sparse_categorical_crossentropy")
    assert told == pytest.approx(expected, abs=1e-5)


def test_validation_and_accuracy_know_nothing_of_weights(splits, task):
    still = {"learning_rate": 1e-8, "optimizer": "sgd", "momentum": 0.0}
    plain = training_on(splits, task=task, **still).run_epoch().metrics
    told = training_on((weighted(splits[0]), weighted(splits[1])), task=task, **still).run_epoch().metrics
    for name in ("accuracy", "val_accuracy", "val_loss"):
        assert told[name] == pytest.approx(plain[name], rel=1e-5)
    assert abs(told["loss"] - plain["loss"]) > 0.1


def test_equal_weights_of_one_change_nothing(splits, task):
    train = weighted(splits[0], np.ones(450, np.float32))
    plain, told = (
        training_on(pair, task=task, augment=AugmentSpec(mixup=0.4)).run_epoch().metrics
        for pair in (splits, (train, splits[1]))
    )
    assert told == pytest.approx(plain, rel=1e-5)


def test_pieces_and_streams_weigh_alike(splits, task, monkeypatch):
    mixing = AugmentSpec(mixup=0.5, cutmix=0.5)

    def trained(num_micro_batches):
        training = training_on((weighted(splits[0]), splits[1]), task=task, augment=mixing, epochs=2)
        training.num_micro_batches = num_micro_batches
        return [report.metrics for report in training.epochs()], training.state()

    whole, pieces = trained(1), trained(4)
    monkeypatch.setattr("trainables.data.batches.tensors.SplitTensors.is_streamed", True)
    streamed = trained(1)
    assert streamed[0] == whole[0]
    for name, array in whole[1].items():
        np.testing.assert_array_equal(streamed[1][name], array, err_msg=name)
        np.testing.assert_allclose(pieces[1][name], array, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("spec", [AugmentSpec(mixup=1.0), AugmentSpec(cutmix=1.0)], ids=["mixup", "cutmix"])
def test_each_label_of_a_mixed_image_counts_by_its_own_images_weight(splits, task, spec):
    train = weighted(splits[0])
    augmenter = Augmenter(spec, num_rows=450, indices=train.indices, image_size=(8, 8), seed=5)
    plan, rows = augmenter.plan(tf.constant(1)), tf.constant(train.indices)

    def batch(weights):
        return augmenter.batch(rows, plan=plan, fetch=lambda some: gather_batch(train, some), weights=weights)

    plain, told = batch(None), batch(train.weights)
    np.testing.assert_array_equal(plain.images, told.images)
    assert plain.sample_weights is None
    share = plain.weights.numpy()
    own, others = WEIGHTS[train.indices], WEIGHTS[plan.mixtures["partners"].numpy()[train.indices]]
    chances = np.random.default_rng(3).dirichlet(np.ones(10), size=len(rows)).astype(np.float32)
    first, second = (
        -np.log(chances[np.arange(len(rows)), np.asarray(labels["label"])]) for labels in (told.labels, told.others)
    )
    loss = TargetLoss(task.targets[0])
    with loss.second_labels(told.others["label"], told.weights):
        found = loss(told.labels["label"], chances) * told.sample_weights
    np.testing.assert_allclose(found, share * own * first + (1 - share) * others * second, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(told.sample_weights, share * own + (1 - share) * others, rtol=1e-5)


def test_steps_of_users_get_the_weights_as_keras_gives_them(several):
    labels = {name: values[:6] for name, values in several[0].labels.items()}
    batch = Batch(images=tf.zeros((6, 8, 8, 1)), labels=labels, sample_weights=tf.constant(WEIGHTS[:6]))
    *_, weights = step_data(batch, task=SEVERAL, class_weights={"digit": tf.fill(10, 2.0)})
    np.testing.assert_array_equal(weights["digit"], WEIGHTS[:6] * 2)
    np.testing.assert_array_equal(weights["ink"], WEIGHTS[:6])
    assert len(step_data(replace(batch, sample_weights=None), task=SEVERAL)) == 2
    lone = replace(batch, labels={"label": labels["digit"]})
    *_, alone = step_data(lone, task=Task.classification(input_shape=(8, 8, 1), num_classes=10))
    np.testing.assert_array_equal(alone, WEIGHTS[:6])


@pytest.mark.parametrize("family", ["subclassed", "functional"])
def test_images_of_weight_zero_teach_nothing(splits, task, family):
    """Other labels of them change no number of the training."""
    labels = np.asarray(splits[0].labels["label"])
    changed = np.where(WEIGHTS == 0, (labels + 3) % 10, labels).astype(np.int32)
    states = []
    for values in (labels, changed):
        train = weighted(replace(splits[0], labels={"label": tf.constant(values)}))
        training = training_on((train, splits[1]), task=task, family=family, augment=AugmentSpec(mixup=0.4))
        training.run_epoch()
        states.append(training.state())
    for name, array in states[0].items():
        if name.startswith("model/"):
            np.testing.assert_array_equal(states[1][name], array, err_msg=name)
