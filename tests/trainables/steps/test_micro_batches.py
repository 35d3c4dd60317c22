"""Training in micro-batches is training in batches: the same gradients, the same steps, less memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainables.catalog.families import FAMILIES
from trainables.catalog.training import OPTIMIZERS
from trainables.data.batches.streaming import each_piece
from trainables.data.batches.tensors import Batch
from trainables.errors import MicroBatchError
from trainables.specs.data import AugmentSpec
from trainables.specs.worker import TrainingSpec
from trainables.steps.compiling import make_optimizer
from trainables.steps.micro_batches import GradientSums, micro_batch_size
from trainables.steps.schedules import Horizon
from trainables.training.training import Training, TrainingRequest

#: Nothing of it depends on which images are seen together, or on how often something is drawn.
PLAIN = {"batch_norm": False, "dropout": 0.0, "batch_size": 32}
DEFAULTS = FAMILIES["sequential"].with_defaults({})
#: What counts steps, or looks at the gradient of the whole batch.
STEPPED = {
    "schedule, clipping, averages, decay": {"schedule": "one_cycle", "clip_norm": 0.05, "ema_momentum": 0.7}
    | {"weight_decay": 0.1, "l2": 0.01},
    "gathering, averages, weights of classes": {"gradient_accumulation": 3, "ema_momentum": 0.5}
    | {"class_weights": "balanced", "label_smoothing": 0.1},
}


@pytest.fixture(scope="module")
def trained(training_of, variant_of):
    """Trains a small variant for two epochs of 3 batches and a ragged one, and returns its Training."""

    def train(num_micro_batches, *, augment=None, **params):
        variant = variant_of(**{**PLAIN, **params})
        training = training_of(variant, max_epochs=2, augment=augment or AugmentSpec())
        training.num_micro_batches = num_micro_batches
        list(training.epochs())
        return training

    return train


@pytest.fixture(scope="module")
def whole(trained):
    """The training in whole batches that several are compared with."""
    return trained(1)


def assert_alike(left, right, *, tolerance=1e-5):
    for name, array in left.state().items():
        np.testing.assert_allclose(array, right.state()[name], rtol=tolerance, atol=tolerance, err_msg=name)
    for one, other in zip(left.history, right.history, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-4)


@pytest.mark.parametrize("num_micro_batches", [3, 32])
def test_weights_are_those_of_whole_batches(trained, whole, num_micro_batches):
    assert_alike(whole, trained(num_micro_batches))


@pytest.mark.parametrize("params", STEPPED.values(), ids=STEPPED)
def test_what_counts_steps_or_sees_gradients_sees_those_of_whole_batches(trained, params):
    assert_alike(trained(1, **params), trained(4, **params))


def test_second_labels_of_mixed_images_are_cut_alike(trained, whole):
    mixing = AugmentSpec(mixup=0.5, cutmix=0.5)
    mixed = trained(1, augment=mixing)
    assert_alike(mixed, trained(4, augment=mixing))
    assert mixed.history[0].metrics != whole.history[0].metrics


def test_streamed_images_are_cut_alike(trained, whole, monkeypatch):
    # In memory all the same, but made ahead as streamed ones are.
    monkeypatch.setattr("trainables.data.batches.tensors.SplitTensors.is_streamed", True)
    assert_alike(whole, trained(4))


def test_batch_that_exceeds_the_images_is_cut_as_well(trained):
    assert_alike(trained(1, batch_size=300), trained(4, batch_size=300))


def test_phase_with_a_fresh_optimizer_is_cut_alike(training_of, variant_of):
    def train(num_micro_batches):
        training = training_of(variant_of(**PLAIN), max_epochs=2)
        training.num_micro_batches = num_micro_batches
        training.run_epoch()
        training._compiled = training._compile_for(epoch=2)
        training.run_epoch()
        return training

    assert_alike(train(1), train(4))


@pytest.mark.parametrize(
    ("count", "piece_size", "sizes"),
    [
        (10, 2, [2, 2, 1, 2, 2, 1]),
        (12, 2, [2, 2, 1, 2, 2, 1, 2]),
        (13, 2, [2, 2, 1, 2, 2, 1, 2, 1]),
        (3, 2, [2, 1]),
        (1, 2, [1]),
        (0, 2, []),
        (10, 5, [5, 5]),
        (13, 5, [5, 5, 3]),
        (3, 5, [3]),
        (0, 5, []),
        (13, 7, [5, 5, 3]),
    ],
)
def test_no_piece_is_empty_and_shares_of_a_batch_add_up(count, piece_size, sizes):
    noted = tf.Variable(tf.zeros([0, 3]), shape=[None, 3])

    def make(rows):
        return Batch(images=rows, labels={})

    def note(batch, piece):
        told = tf.stack([tf.cast(tf.size(batch.images), tf.float32), piece.share, tf.cast(piece.is_last, tf.float32)])
        noted.assign(tf.concat([noted.read_value(), [told]], axis=0))

    @tf.function
    def cut(rows):
        each_piece(rows, size=5, piece_size=piece_size, make=make, is_streamed=False, do=note)

    cut(tf.range(count))
    told = noted.numpy()
    assert told[:, 0].tolist() == sizes
    ends = np.flatnonzero(told[:, 2]) + 1
    for begin, end in zip([0, *ends], ends, strict=False):
        assert told[begin:end, 1].sum() == pytest.approx(1)
    assert list(ends[-1:]) == ([len(sizes)] if sizes else [])


def test_pieces_of_large_batches_are_of_the_size_that_they_are_told_with():
    assert [micro_batch_size(b, num_images=1000, num_micro_batches=4) for b in (2, 6, 128, 130)] == [1, 2, 32, 33]


class TwiceTrained(keras.Sequential):
    """Takes two steps a batch."""

    def train_step(self, data):
        super().train_step(data)
        return super().train_step(data)


class TrainedByHand(keras.Sequential):
    """Changes its weights without an optimizer."""

    def train_step(self, data):
        for weight in self.trainable_weights:
            weight.assign(weight * 0.9)
        return self.compute_metrics(None, None, None)


class TrainedInTurn(keras.Sequential):
    """Takes a step for its kernel and another for its bias."""

    def train_step(self, data):
        images, labels = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=labels, y_pred=self(images, training=True))
        gradients = tape.gradient(loss, self.trainable_weights)
        for gradient, weight in zip(gradients, self.trainable_weights, strict=True):
            self.optimizer.apply([gradient], [weight])
        return {"loss": loss}


def stepped(model_class, *, piece_size, optimizer="adam"):
    """Returns the weights of a model after a batch of 10, twice."""
    keras.utils.set_random_seed(1)
    model = model_class([keras.Input((4,)), keras.layers.Dense(3)])
    params = {**DEFAULTS, "optimizer": optimizer, "learning_rate": 0.1}
    model.compile(optimizer=make_optimizer(params, horizon=Horizon(steps_per_epoch=1, max_epochs=2)), loss="mse")
    model.optimizer.build(model.trainable_variables)
    data = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    sums = GradientSums(model.optimizer, model.trainable_variables)

    def train(batch, piece):
        with sums.of_piece(piece):
            model.train_step((batch.images, batch.images[:, :3]))

    @tf.function
    def epoch():
        make = lambda rows: Batch(images=tf.gather(data, rows), labels={})  # noqa: E731
        each_piece(tf.range(10), size=10, piece_size=piece_size, make=make, is_streamed=False, do=train)

    model._symbolic_build(data_batch=(data, data[:, :3]))
    epoch()
    epoch()
    assert int(model.optimizer.iterations) == (4 if isinstance(model, TrainedInTurn) else 2)
    return model.get_weights()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_takes_the_same_steps(optimizer):
    whole, pieces = (stepped(keras.Sequential, piece_size=size, optimizer=optimizer) for size in (10, 3))
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_step_that_uses_the_optimizer_once_for_each_weight_is_cut():
    for one, other in zip(stepped(TrainedInTurn, piece_size=10), stepped(TrainedInTurn, piece_size=3), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("model_class", "why"),
    [
        (TwiceTrained, "its train_step changes the same weights twice"),
        (TrainedByHand, "its train_step does not use the model's optimizer"),
    ],
)
def test_step_that_cannot_be_cut_is_refused(model_class, why):
    with pytest.raises(MicroBatchError, match=why):
        stepped(model_class, piece_size=3)


def test_optimizer_is_as_it_was_after_a_step_was_traced(trained):
    assert "apply" not in vars(trained(4).model.optimizer)


def test_a_training_may_be_made_for_micro_batches(splits, task, variant_of):
    spec = TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max")
    train, validation = splits
    training = Training(
        TrainingRequest(
            variant=variant_of(**PLAIN), train=train, validation=validation, task=task, spec=spec, num_micro_batches=3
        )
    )
    assert training.num_micro_batches == 3
    assert training.run_epoch().is_last
