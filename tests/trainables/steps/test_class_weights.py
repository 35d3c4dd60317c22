"""Balanced classes weigh the same in the training loss, and validation knows nothing of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from trainables.data.batches.tensors import split_tensors
from trainables.data.cache.dataset import Split
from trainables.specs.task import Task
from trainables.specs.worker import TrainingSpec
from trainables.steps.class_weights import balanced_weights
from trainables.training.training import Training, TrainingRequest

TASK = Task.classification(input_shape=(4, 4, 1), num_classes=2)
pytestmark = pytest.mark.usefixtures("one_thread")


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=60))
@settings(deadline=None, max_examples=50)
def test_the_weights_are_those_of_scikit_learn(labels):
    present = np.unique(labels)
    weights = balanced_weights(np.array(labels), num_classes=7)
    expected = compute_class_weight("balanced", classes=present, y=labels)
    np.testing.assert_allclose(weights[present], expected, rtol=1e-6)
    assert set(np.flatnonzero(weights)) == set(present)
    assert weights[labels].mean() == pytest.approx(1.0)


@pytest.fixture(scope="module")
def unbalanced():
    """Two classes of noisy grey images that overlap: 190 dark ones and 10 bright ones; validation has 50 of each."""
    generator = np.random.default_rng(5)

    def split(*counts):
        labels = np.repeat(np.arange(2, dtype=np.int32), counts)
        noise = generator.normal(0, 30, (len(labels), 4, 4, 1)) + generator.normal(0, 25, (len(labels), 1, 1, 1))
        images = np.clip(110 + 30 * labels[:, None, None, None] + noise, 0, 255).astype(np.uint8)
        return split_tensors(
            Split(images=images, labels={"label": labels}, indices=np.arange(len(labels), dtype=np.int32))
        )

    return split(190, 10), split(50, 50)


@pytest.fixture(scope="module")
def report_of(unbalanced, variant_of):
    """Trains on the unbalanced data and returns the training."""

    def train(class_weights, *, epochs=1, **params):
        train, validation = unbalanced
        variant = variant_of(num_blocks=1, dropout=0.0, batch_norm=False, class_weights=class_weights, **params)
        spec = TrainingSpec(max_epochs=epochs, metric="val_accuracy", mode="max")
        training = Training(TrainingRequest(variant=variant, train=train, validation=validation, task=TASK, spec=spec))
        return list(training.epochs())[-1].metrics

    return train


def test_a_rare_class_is_found_where_all_classes_weigh_the_same(report_of):
    plain = report_of("none", epochs=25, learning_rate=0.01)
    balanced = report_of("balanced", epochs=25, learning_rate=0.01)
    assert plain["val_accuracy"] < 0.6
    assert balanced["val_accuracy"] > plain["val_accuracy"] + 0.1


def test_the_first_loss_is_the_mean_of_the_classes_losses(report_of, unbalanced, variant_of):
    # One batch, so the loss is that of the untrained model.
    train, _ = unbalanced
    variant = variant_of(num_blocks=1, dropout=0.0, batch_norm=False, batch_size=200, class_weights="balanced")
    spec = TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max")
    training = Training(TrainingRequest(variant=variant, train=train, validation=train, task=TASK, spec=spec))
    images, labels = train.images.numpy().astype(np.float32), train.labels["label"].numpy()
    chances = training.model(images, training=False).numpy()[np.arange(200), labels]
    expected = np.mean([-np.log(chances[labels == label]).mean() for label in (0, 1)])
    report = training.run_epoch()
    assert report.metrics["loss"] == pytest.approx(expected, rel=1e-5)


def test_validation_is_never_weighted(unbalanced, variant_of):
    # A learning rate so small that no weight moves: both validate the untrained model.
    def validated(class_weights):
        train, _ = unbalanced
        variant = variant_of(
            num_blocks=1, dropout=0.0, batch_norm=False, class_weights=class_weights, learning_rate=1e-8
        )
        spec = TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max")
        metrics = (
            Training(TrainingRequest(variant=variant, train=train, validation=train, task=TASK, spec=spec))
            .run_epoch()
            .metrics
        )
        return metrics["val_loss"], metrics["val_accuracy"], metrics["loss"], metrics["accuracy"]

    plain, balanced = validated("none"), validated("balanced")
    assert plain[:2] == pytest.approx(balanced[:2], rel=1e-4)
    assert plain[3] == pytest.approx(balanced[3])
    assert abs(plain[2] - balanced[2]) > 0.01
