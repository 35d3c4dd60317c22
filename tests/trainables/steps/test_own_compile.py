"""Models that come compiled: the study uses what it is asked to use, and notes what it does not."""

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.data.batches.tensors import epoch_order
from trainables.errors import UserCodeError
from trainables.families.building import build_model
from trainables.specs.augment import AugmentSpec
from trainables.specs.worker import TrainingSpec
from trainables.training.training import Training, TrainingRequest

pytestmark = pytest.mark.usefixtures("one_thread")

NETS = """
import keras
from keras import layers


def bare(params, input_shape, targets, kind=keras.Model):
    image = keras.Input(input_shape)
    features = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    return kind(image, layers.Dense(targets[0].size, activation="softmax")(layers.Flatten()(features)))


def compiled(params, input_shape, targets):
    model = bare(params, input_shape, targets)
    top = keras.metrics.SparseTopKCategoricalAccuracy(k=3, name="top3")
    model.compile(keras.optimizers.SGD(0.05, momentum=0.5, weight_decay=0.01), own_loss, metrics=["accuracy", top])
    return model


def own_loss(labels, predictions):
    return 2 * keras.losses.sparse_categorical_crossentropy(labels, predictions)


class Distiller(keras.Model):
    def compile(self, optimizer, metrics, student_loss, alpha=0.1):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss, self.alpha = student_loss, alpha

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.alpha * self.student_loss(y, y_pred)


def distiller(params, input_shape, targets):
    model = bare(params, input_shape, targets, kind=Distiller)
    if params.get("is_compiled", True):
        loss = keras.losses.SparseCategoricalCrossentropy()
        model.compile(keras.optimizers.Adam(), ["accuracy"], student_loss=loss, alpha=3.0)
    return model
"""


@pytest.fixture
def training(tmp_path, splits, task):
    """A training of a function in nets.py, and the list that its notes are added to."""

    def make(function, *, augment=None, **params):
        (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
        variant = Variant(family="custom", params={"function": f"nets:{function}", "batch_size": 32, **params}, seed=7)
        spec = TrainingSpec(max_epochs=9, metric="val_accuracy", mode="max", study_dir=str(tmp_path))
        if augment is not None:
            spec = TrainingSpec(
                max_epochs=9, metric="val_accuracy", mode="max", study_dir=str(tmp_path), augment=augment
            )
        notes = []
        request = TrainingRequest(
            variant=variant, train=splits[0], validation=splits[1], task=task, spec=spec, on_note=notes.append
        )
        return Training(request), notes

    return make


def fitted(training, folder):
    """What Keras's own fit reports of a model as its function compiled it, on the same batches."""
    keras.utils.set_random_seed(training.variant.seed)
    data = training._data
    model = build_model(training.variant, task=data.task, study_dir=str(folder))
    images, labels = np.asarray(data.train.images, np.float32), np.asarray(data.train.labels["label"])
    order = epoch_order(data.train.indices, seed=training.variant.seed, epoch=1)
    held_out = np.asarray(data.validation.indices)
    history = model.fit(
        images[order],
        labels[order],
        batch_size=32,
        shuffle=False,
        verbose=0,
        validation_data=(images[held_out], labels[held_out]),
        validation_batch_size=256,
    )
    return {name: values[-1] for name, values in history.history.items()}


def test_a_models_own_optimizer_loss_and_metrics_are_used_where_the_study_asks(training, tmp_path):
    run, notes = training("compiled", optimizer="model", loss="model")
    report = run.run_epoch()
    assert report.metrics == pytest.approx(fitted(run, tmp_path), abs=1e-4)
    assert {"top3", "val_top3"} < report.metrics.keys()
    assert notes == []


def test_what_a_model_was_compiled_with_and_is_not_used_is_noted_once(training):
    run, notes = training("compiled")
    bare, none = training("bare")
    assert run.run_epoch().metrics == bare.run_epoch().metrics
    assert none == []
    assert notes == [
        "the model is compiled already: its optimizer (sgd), loss (own_loss), metrics (accuracy, top3) are not used, "
        "the study's are; write optimizer: model and loss: model in space.params to use them, or set optimizer and "
        "learning_rate in space.params, loss and metrics in data.targets"
    ]
    _, notes = training("compiled", loss="model")
    assert "its optimizer (sgd) are not used" in notes[0]


def test_a_class_with_a_compile_of_its_own_keeps_what_its_function_gave_it(training, tmp_path):
    run, notes = training("distiller", optimizer="model")
    metrics = run.run_epoch().metrics
    assert metrics == pytest.approx(fitted(run, tmp_path), abs=1e-4)
    assert metrics["loss"] > 3.0
    assert "its metrics (accuracy) are not used" in notes[0]


REFUSED = [
    ("bare", {"optimizer": "model"}, "optimizer: model needs a model that comes compiled with it, got one without"),
    ("bare", {"loss": "model"}, "loss: model needs a model that comes compiled with it"),
    ("distiller", {"loss": "model", "is_compiled": False}, "loss: model needs a model that comes compiled with it"),
    ("distiller", {"is_compiled": False}, "Distiller.compile takes arguments of its own, (self, optimizer, metrics, "),
]


@pytest.mark.parametrize(("function", "params", "words"), REFUSED)
def test_what_a_model_does_not_come_with_is_refused_in_words(training, function, params, words):
    with pytest.raises(UserCodeError) as caught:
        training(function, **params)
    assert words in str(caught.value)


def test_a_loss_of_the_models_own_knows_no_mixed_images(training):
    run, _ = training("compiled", loss="model", augment=AugmentSpec(mixup=0.4))
    with pytest.raises(UserCodeError, match="mixes images"):
        run.run_epoch()


def test_another_loss_by_name_is_the_one_of_a_study_that_names_it(training_of, variant_of):
    hinge = training_of(variant_of(loss="categorical_hinge")).run_epoch().metrics
    usual = training_of(variant_of()).run_epoch().metrics
    named = training_of(variant_of(loss="categorical_crossentropy")).run_epoch().metrics
    assert named == usual
    assert hinge["loss"] != usual["loss"]
