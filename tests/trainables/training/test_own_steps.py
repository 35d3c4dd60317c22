"""Reports of models with steps of a user's own: what was measured, and nothing that was not."""

import textwrap

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.data.batches.tensors import epoch_order
from trainables.errors import MicroBatchError, UserCodeError
from trainables.families.building import build_model
from trainables.specs.worker import TrainingSpec
from trainables.training.training import Training, TrainingRequest

pytestmark = pytest.mark.usefixtures("one_thread")

NETS = """
import keras
import tensorflow as tf
from keras import layers


class Own(keras.Model):
    def train_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            predicted = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=predicted, sample_weight=weights)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.logs(x, y, predicted, loss)

    def test_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        predicted = self(x, training=False)
        return self.logs(x, y, predicted, self.compute_loss(y=y, y_pred=predicted, sample_weight=weights))

    def logs(self, x, y, predicted, loss):
{body}

{more}
def build(params, input_shape, targets):
    image = keras.Input(input_shape)
    features = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    return Own(image, layers.Dense(targets[0].size, activation="softmax")(layers.Flatten()(features)))
"""
TRACKER = """
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mine = keras.metrics.Mean(name="mine")
"""
PROPERTY = """
    @property
    def metrics(self):
        return [self.mine]
"""
SURE = "keras.ops.mean(keras.ops.max(predicted, axis=-1))"


@pytest.fixture
def own(tmp_path, splits, task):
    """A training of a model whose steps return what the body says, and the list that its notes are added to."""

    def make(body, more="", *, metric="val_loss", **options):
        text = NETS.format(body=textwrap.indent(textwrap.dedent(body), " " * 8), more=more)
        (tmp_path / "nets.py").write_text(text, encoding="utf-8")
        spec = TrainingSpec(max_epochs=9, metric=metric, mode="min", study_dir=str(tmp_path))
        notes = []
        request = TrainingRequest(
            variant=Variant(family="custom", params={"function": "nets:build", "batch_size": 32}, seed=7),
            train=splits[0],
            validation=splits[1],
            task=task,
            spec=spec,
            on_note=notes.append,
            **options,
        )
        return Training(request), notes

    return make


def test_numbers_that_steps_return_are_reported_as_keras_fit_reports_them(own, tmp_path):
    training, notes = own(f'return {{"loss": loss, "sureness": {SURE}}}')
    reports = [training.run_epoch() for _ in range(2)]
    assert reports[0].metrics.keys() == {"loss", "sureness", "val_loss", "val_sureness"}
    told = [f"{step} of the model returns loss, sureness and" for step in ("train_step", "test_step")]
    assert [note.partition(" updates")[0] for note in notes] == told
    for report, epoch in zip(reports, fitted(training, tmp_path), strict=True):
        assert report.metrics == pytest.approx(epoch, abs=1e-4)
        assert report.metrics["loss"] > 0.1


#: The body of `logs`, what else the class has, and the names of a report's training numbers.
MEASURED = [
    ("return {}", "", None),
    ("self.metrics[1].update_state(y, predicted)\nreturn {}", "", {"accuracy"}),
    (
        "for m in self.metrics:\n    m.update_state(loss) if m.name == 'loss' else m.update_state(y, predicted)\n"
        "return {m.name: m.result() for m in self.metrics}",
        "",
        {"loss", "accuracy"},
    ),
    ("return {**self.compute_metrics(x, y, predicted, None), 'loss': loss}", "", {"loss", "accuracy"}),
    ("self.mine.update_state(loss)\nreturn {'mine': self.mine.result()}", TRACKER, {"mine"}),
    (
        "self.mine.update_state(loss)\nreturn self.compute_metrics(x, y, predicted, None)",
        TRACKER + PROPERTY,
        {"mine", "accuracy"},
    ),
]


@pytest.mark.parametrize(("body", "more", "names"), MEASURED)
def test_metric_objects_that_no_step_updates_are_not_reported(own, body, more, names):
    if names is None:
        training, _ = own(body, more)
        with pytest.raises(UserCodeError, match="test_step does not measure the objective val_loss: a report of it"):
            training.run_epoch()
        return
    training, _ = own(body, more, metric=f"val_{sorted(names)[-1]}")
    first, second = training.run_epoch().metrics, training.run_epoch().metrics
    assert first.keys() == {*names, *(f"val_{name}" for name in names)}
    assert all(value > 0 for value in first.values())
    # Objects are reset every epoch, also those that a property of the model's own leaves out.
    assert all(first[name] != second[name] and second[name] < 10 for name in names if name != "accuracy")


NO_NUMBERS = [
    ("return None", "Own.train_step: expected it to return a dictionary of numbers, as Keras does, got nothing"),
    ("return {'loss': predicted}", "expected one number as 'loss', got shape (None, 10); return its mean"),
    ("return {'loss': 'low'}", "expected one number as 'loss', got str"),
]


@pytest.mark.parametrize(("body", "words"), NO_NUMBERS)
def test_steps_that_return_no_numbers_are_refused_in_words(own, body, words):
    training, _ = own(body)
    with pytest.raises(UserCodeError) as caught:
        training.trace()
    assert words in str(caught.value)


def test_pieces_of_a_batch_have_no_numbers_of_their_own(own):
    training, _ = own('return {"loss": loss}', num_micro_batches=2)
    with pytest.raises(MicroBatchError, match="its steps return numbers of their own"):
        training.trace()


def fitted(training, folder):
    """What Keras's own fit says of the same model on the same batches, by epoch."""
    keras.utils.set_random_seed(training.variant.seed)
    data = training._data
    model = build_model(training.variant, task=data.task, study_dir=str(folder))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")
    rows = {split: np.asarray(getattr(data, split).indices) for split in ("train", "validation")}
    images, labels = np.asarray(data.train.images, np.float32), np.asarray(data.train.labels["label"])
    found = []
    for epoch in (1, 2):
        order = epoch_order(rows["train"], seed=training.variant.seed, epoch=epoch)
        history = model.fit(
            images[order],
            labels[order],
            batch_size=32,
            shuffle=False,
            verbose=0,
            validation_data=(images[rows["validation"]], labels[rows["validation"]]),
            validation_batch_size=256,
        )
        found.append({name: values[-1] for name, values in history.history.items()})
    return found
