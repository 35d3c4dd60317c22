"""Losses of targets: what Keras's function of that name gives, on labels as training has them."""

import keras
import numpy as np
import pytest

from trainables.families.parts.blocks import without_penalties
from trainables.specs.targets import LOSSES
from trainables.specs.task import Target, Task
from trainables.steps.losses import TargetLoss, TaskLosses

SIZE, COUNT = 4, 9


def target_of(kind, loss, *, name="label"):
    names = () if kind == "regression" else tuple("abcd")
    return Target(name=name, kind=kind, size=SIZE, class_names=names, loss=loss, metrics=())


def labels_of(kind, generator):
    match kind:
        case "classification":
            return generator.integers(SIZE, size=COUNT).astype(np.int32)
        case "multilabel":
            return generator.integers(2, size=(COUNT, SIZE)).astype(np.uint8)
        case _:
            return generator.uniform(0.1, 3, (COUNT, SIZE)).astype(np.float32)


def predictions_of(kind, generator):
    if kind == "classification":
        return generator.dirichlet(np.ones(SIZE), size=COUNT).astype(np.float32)
    return generator.uniform(0.05, 0.95 if kind == "multilabel" else 3, (COUNT, SIZE)).astype(np.float32)


def dense(kind, labels):
    return np.eye(SIZE, dtype=np.float32)[labels] if kind == "classification" else labels.astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "loss"),
    # test_masks.py has those of masks, which are means over pixels that count.
    [(kind, loss) for kind, names in LOSSES.items() for loss in names if kind != "mask"],
)
def test_a_loss_is_keras_own_of_that_name_on_dense_labels(kind, loss):
    generator = np.random.default_rng(len(loss))
    labels, predictions = labels_of(kind, generator), predictions_of(kind, generator)
    expected = keras.losses.get(loss)(dense(kind, labels), predictions)
    found = TargetLoss(target_of(kind, loss))(labels, predictions)
    assert found.shape == (COUNT,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "loss", "smoothed"),
    [
        ("classification", "categorical_focal_crossentropy", lambda y: 0.8 * y + 0.2 / SIZE),
        ("multilabel", "binary_crossentropy", lambda y: 0.8 * y + 0.1),
        ("regression", "huber", lambda y: y),
    ],
)
def test_smoothing_moves_labels_of_classes_and_flags_but_never_numbers(kind, loss, smoothed):
    generator = np.random.default_rng(1)
    labels, predictions = labels_of(kind, generator), predictions_of(kind, generator)
    own = TargetLoss(target_of(kind, loss), smoothing=0.2)
    function = keras.losses.get(loss)
    np.testing.assert_allclose(
        own(labels, predictions), function(smoothed(dense(kind, labels)), predictions), rtol=1e-5
    )
    with own.without_smoothing():
        np.testing.assert_allclose(own(labels, predictions), function(dense(kind, labels), predictions), rtol=1e-5)


def test_second_labels_count_in_every_targets_loss():
    generator = np.random.default_rng(2)
    kinds = {"digit": "classification", "flags": "multilabel", "size": "regression"}
    targets = tuple(target_of(kind, LOSSES[kind][0], name=name) for name, kind in kinds.items())
    losses = TaskLosses(Task(input_shape=(8, 8, 1), targets=targets))
    own = {name: labels_of(kind, generator) for name, kind in kinds.items()}
    others = {name: labels_of(kind, generator) for name, kind in kinds.items()}
    weights = generator.uniform(0, 1, COUNT).astype(np.float32)
    for name, kind in kinds.items():
        predictions = predictions_of(kind, generator)
        loss = losses.by_target[name]
        first, second = loss(own[name], predictions), loss(others[name], predictions)
        with losses.second_labels(others, weights):
            np.testing.assert_allclose(
                loss(own[name], predictions), weights * first + (1 - weights) * second, rtol=1e-5
            )
        np.testing.assert_array_equal(loss(own[name], predictions), first)


def test_validation_leaves_out_the_penalties_on_weights(training_of, variant_of):
    # A learning rate so small that no weight moves: all see the untrained model.
    params = {"dropout": 0.0, "learning_rate": 1e-8, "optimizer": "sgd"}
    plain = training_of(variant_of(**params)).run_epoch().metrics
    punished = training_of(variant_of(l2=0.1, **params)).run_epoch().metrics
    assert punished["loss"] > plain["loss"] + 0.1
    assert punished["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-4)


def test_penalties_are_back_after_validation_was_traced():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_regularizer="l2")])
    before = float(model.losses[0])
    with without_penalties(model):
        assert model.losses == []
    assert float(model.losses[0]) == before > 0
