"""Weights of classes by name, of flags, and of the classes of pixels: exact losses in training, none in validation."""

import threading
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from search_spaces import Variant
from trainables.data.batches.tensors import split_tensors
from trainables.data.cache.dataset import Split
from trainables.specs.augment import AugmentSpec
from trainables.specs.task import Target, Task
from trainables.specs.worker import TrainingSpec
from trainables.steps.class_weights import class_weights_of
from trainables.steps.losses import TargetLoss
from trainables.training.training import Training, TrainingRequest

pytestmark = pytest.mark.usefixtures("one_thread")

#: Nothing that is random, and a step too small to change a weight: reports tell of the untrained model.
STILL = {
    "dropout": 0.0,
    "batch_norm": False,
    "learning_rate": 1e-8,
    "optimizer": "sgd",
    "momentum": 0.0,
    "batch_size": 100,
    "filters": 4,
}
BY_DIGIT = tuple(0.25 * digit for digit in range(10))


def run(task, splits, *, family="sequential", class_weights="targets", **params):
    train, validation = splits
    spec = TrainingSpec(max_epochs=1, metric="val_loss", mode="min", augment=AugmentSpec())
    variant = Variant(family=family, params={**STILL, "class_weights": class_weights, **params}, seed=5)
    request = TrainingRequest(variant=variant, train=train, validation=validation, task=task, spec=spec)
    training = Training(request)
    return training, training.run_epoch().metrics


def of_train(training, split):
    images = np.asarray(split.images, np.float32)[split.indices]
    return np.asarray(training.model(images, training=False), np.float64)


def test_classes_weigh_by_their_names_as_in_keras_fit(task, splits):
    weighted = replace(task, targets=(replace(task.targets[0], class_weights=BY_DIGIT),))
    _, metrics = run(weighted, splits)
    model = run(task, splits, class_weights="none")[0].model
    train = splits[0]
    images = np.asarray(train.images, np.float32)[train.indices]
    labels = np.asarray(train.labels["label"])[train.indices]
    model.compile(keras.optimizers.SGD(1e-8), "sparse_categorical_crossentropy")
    history = model.fit(images, labels, class_weight=dict(enumerate(BY_DIGIT)), batch_size=100, verbose=0)
    assert metrics["loss"] == pytest.approx(history.history["loss"][0], abs=1e-5)
    plain = run(task, splits, class_weights="none")[1]
    assert abs(plain["loss"] - metrics["loss"]) > 0.1
    assert metrics["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-5)
    # Weights that no variant asks for change nothing.
    assert run(weighted, splits, class_weights="none")[1] == plain


def test_flags_weigh_whether_they_are_set_or_not(digits):
    images, _ = digits
    pixels = images[..., 0].astype(np.float32) / 255
    flags = np.stack([pixels[:, :4].mean((1, 2)), pixels[:, 4:].mean((1, 2))], axis=1) > 0.3
    rows = np.arange(100, dtype=np.int32)
    split = split_tensors(Split(images=images, labels={"label": flags.astype(np.uint8)}, indices=rows))
    target = Target(
        name="label",
        kind="multilabel",
        size=2,
        class_names=("top", "bottom"),
        loss="binary_crossentropy",
        metrics=("accuracy",),
        class_weights=(3.0, 0.5),
    )
    task = Task(input_shape=(8, 8, 1), targets=(target,))
    training, metrics = run(task, (split, split))
    chances, truth = of_train(training, split), flags[:100]
    by_flag = -np.log(np.where(truth, chances, 1 - chances))
    assert metrics["loss"] == pytest.approx((by_flag * [3.0, 0.5]).mean(), rel=1e-5)
    assert metrics["val_loss"] == pytest.approx(by_flag.mean(), rel=1e-5)


@pytest.mark.parametrize("class_weights", ["balanced", "targets"])
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "categorical_focal_crossentropy"])
def test_pixels_weigh_by_their_class(mask_splits, loss, class_weights):
    target = Target(
        name="label",
        kind="mask",
        size=3,
        class_names=("dark", "grey", "bright"),
        loss=loss,
        metrics=("iou",),
        class_weights=(0.5, 0.0, 4.0),
    )
    task = Task(input_shape=(8, 8, 1), targets=(target,))
    split = mask_splits[0]
    training, metrics = run(task, (split, split), family="unet", depth=2, class_weights=class_weights)
    chances = of_train(training, split)
    masks = np.asarray(split.labels["label"])[split.indices]
    counted = masks != 255
    classes = np.where(counted, masks, 0).astype(np.int64)
    weights = np.array([0.5, 0.0, 4.0])
    if class_weights == "balanced":
        weights = compute_class_weight("balanced", classes=np.arange(3), y=masks[counted])
        found = class_weights_of(split, {"class_weights": "balanced"}, task=task)
        np.testing.assert_allclose(found["label"], weights, rtol=1e-6)
    true = np.take_along_axis(chances, classes[..., None], axis=-1)[..., 0]
    pixels = -np.log(true) * (0.25 * (1 - true) ** 2 if "focal" in loss else 1.0)
    per_image = (pixels * counted).sum((1, 2)) / counted.sum((1, 2))
    weighted = (pixels * weights[classes] * counted).sum((1, 2)) / counted.sum((1, 2))
    assert metrics["loss"] == pytest.approx(weighted.mean(), rel=1e-4)
    assert metrics["val_loss"] == pytest.approx(per_image.mean(), rel=1e-4)


def test_balanced_pixels_are_counted_piece_by_piece(mask_splits, monkeypatch):
    target = Target(
        name="label",
        kind="mask",
        size=3,
        class_names=("a", "b", "c"),
        loss="categorical_crossentropy",
        metrics=("iou",),
    )
    task = Task(input_shape=(8, 8, 1), targets=(target,))
    whole = class_weights_of(mask_splits[0], {"class_weights": "balanced"}, task=task)["label"]
    monkeypatch.setattr("trainables.steps.class_weights._PIXELS_AT_ONCE", 200)
    pieces = class_weights_of(mask_splits[0], {"class_weights": "balanced"}, task=task)["label"]
    np.testing.assert_array_equal(whole, pieces)


def test_a_thread_keeps_its_weights_when_another_one_leaves():
    """Several devices trace one step, each on a thread, and leave the context in the order in which they entered."""
    target = Target(
        name="label",
        kind="multilabel",
        size=2,
        class_names=("a", "b"),
        loss="binary_crossentropy",
        metrics=("accuracy",),
    )
    loss, truth, chances = TargetLoss(target), np.array([[1, 0]]), tf.constant([[0.4, 0.3]])
    plain = float(loss(truth, chances)[0])
    context, other = loss.class_weights(tf.constant([2.0, 2.0])), loss.class_weights(tf.constant([2.0, 2.0]))
    has_entered, may_leave = threading.Event(), threading.Event()

    def on_device():
        with other:
            has_entered.set()
            may_leave.wait(30)

    thread = threading.Thread(target=on_device)
    with context:
        thread.start()
        has_entered.wait(30)
    may_leave.set()
    thread.join()
    assert float(loss(truth, chances)[0]) == pytest.approx(plain)
    with loss.class_weights(tf.constant([2.0, 2.0])), loss.class_weights(None):
        pass
    with loss.class_weights(tf.constant([2.0, 2.0])):
        assert float(loss(truth, chances)[0]) == pytest.approx(2 * plain)
