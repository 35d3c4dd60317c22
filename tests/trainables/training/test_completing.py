"""Layers that only a model's steps call are built before its training begins, goes on, or is exported."""

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.checkpoints.checkpoint import Checkpoint
from trainables.data.batches.tensors import epoch_order
from trainables.exporting.loading import restored_model
from trainables.exporting.plain_graph import foreign_parts, plain_model
from trainables.families.building import build_model

pytestmark = pytest.mark.usefixtures("one_thread")

NETS = """
import keras
import tensorflow as tf
from keras import layers


def network(size):
    return keras.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(size, activation="softmax")])


class Own(keras.Model):
    def __init__(self, size):
        super().__init__()
        self.student, self.teacher = network(size), network(size)
        self.teacher.trainable = False
        self.projection = layers.Dense(4)

    def call(self, x, training=None):
        return self.student(x, training=training)

    def train_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        wanted = self.teacher(x, training=False)
        with tf.GradientTape() as tape:
            predicted = self.student(x, training=True)
            loss = self.compute_loss(y=y, y_pred=predicted, sample_weight=weights)
            loss += keras.ops.mean(keras.losses.kl_divergence(wanted, predicted))
            loss += keras.ops.mean(self.projection(predicted) ** 2)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        for average, now in zip(self.teacher.weights, self.student.weights):
            average.assign(0.9 * average + 0.1 * now)
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, predicted)
        return {metric.name: metric.result() for metric in self.metrics}


def build(params, input_shape, targets):
    return Own(targets[0].size)
"""


@pytest.fixture
def training(tmp_path, training_of):
    """A training of a model whose train_step alone calls a teacher and a projection."""

    def make():
        (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
        params = {"function": "nets:build", "batch_size": 32, "learning_rate": 0.01}
        return training_of(Variant(family="custom", params=params, seed=3), study_dir=str(tmp_path))

    return make


def test_a_teacher_and_a_projection_are_trained_as_keras_fit_trains_them(training, tmp_path):
    run = training()
    reports = [run.run_epoch() for _ in range(2)]
    keras.utils.set_random_seed(run.variant.seed)
    data = run._data
    model = build_model(run.variant, task=data.task, study_dir=str(tmp_path))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = np.asarray(data.train.images, np.float32), np.asarray(data.train.labels["label"])
    for epoch, report in enumerate(reports, start=1):
        order = epoch_order(data.train.indices, seed=run.variant.seed, epoch=epoch)
        history = model.fit(images[order], labels[order], batch_size=32, shuffle=False, verbose=0).history
        assert report.metrics["loss"] == pytest.approx(history["loss"][0], abs=1e-4)
        assert report.metrics["accuracy"] == pytest.approx(history["accuracy"][0], abs=1e-4)
    for ours, theirs in zip(run.model.variables, model.variables, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-4)


def test_a_model_with_a_teacher_goes_on_bit_for_bit(training, same_state):
    whole, first, second = training(), training(), training()
    for _ in range(3):
        whole.run_epoch()
    first.run_epoch()
    second.load_state(first.state(), history=first.history)
    for _ in range(2):
        second.run_epoch()
    same_state(whole.state(), second.state())
    assert [report.metrics for report in whole.history] == [report.metrics for report in second.history]


def test_the_export_of_a_model_with_a_teacher_is_its_prediction(training, tmp_path):
    run = training()
    run.run_epoch()
    task = run._data.task
    checkpoint = Checkpoint(variant_id=run.variant.variant_id, state=run.state(), history=run.history)
    model = restored_model(run.variant, checkpoint, task=task, study_dir=str(tmp_path))
    images = np.asarray(run._data.train.images[:8], np.float32)
    np.testing.assert_array_equal(model.predict(images, verbose=0), run.model.predict(images, verbose=0))
    assert foreign_parts(plain_model(model, task)) == []
