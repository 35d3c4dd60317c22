"""Two models of Keras's public examples, with layers and steps of their own: swept by their own metric, and exported.

Their numbers are those of Keras's `fit` on the same batches.
"""

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.data.batches.tensors import epoch_order, split_tensors
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.exporting.export import export_model
from trainables.families.building import build_model
from trainables.reports import EpochReport
from trainables.specs.data import DataSpec
from trainables.specs.export import ExportRequest
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

pytestmark = pytest.mark.usefixtures("one_thread")

#: After "Knowledge Distillation": a loss of its own over a student and a teacher, and a compile of its own arguments.
DISTILLATION = """
import keras
from keras import layers, ops


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.student, self.teacher = student, teacher
        self.teacher.trainable = False

    def compile(self, optimizer, metrics, student_loss, distillation_loss, alpha, temperature):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss, self.distillation_loss = student_loss, distillation_loss
        self.alpha, self.temperature = alpha, temperature

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False, training=True):
        wanted = self.teacher(x, training=False)
        softened = [ops.softmax(ops.log(p + 1e-7) / self.temperature, axis=1) for p in (wanted, y_pred)]
        loss = self.distillation_loss(*softened) * self.temperature**2
        return self.alpha * self.student_loss(y, y_pred) + (1 - self.alpha) * loss

    def call(self, x):
        return self.student(x)


def network(width, size):
    return keras.Sequential(
        [
            layers.Rescaling(1 / 255),
            layers.Conv2D(width, 3, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.MaxPooling2D(2, strides=1, padding="same"),
            layers.Flatten(),
            layers.Dense(size, activation="softmax"),
        ]
    )


def build(params, input_shape, targets):
    model = Distiller(network(4, targets[0].size), network(8, targets[0].size))
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        metrics=[keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")],
        student_loss=keras.losses.SparseCategoricalCrossentropy(),
        distillation_loss=keras.losses.KLDivergence(),
        alpha=params["alpha"],
        temperature=4,
    )
    return model
"""

#: After "Compact Convolutional Transformers": tokens by convolutions, a position embedding, stochastic depth, pooling
#: by attention; with a step of its own that measures the margin between the two most probable classes.
TRANSFORMER = """
import keras
import tensorflow as tf
from keras import layers, ops


class Positions(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="random_normal", name="table")

    def call(self, tokens):
        return tokens + self.table


class StochasticDepth(layers.Layer):
    def __init__(self, rate):
        super().__init__()
        self.rate, self.seeds = rate, keras.random.SeedGenerator(1337)

    def call(self, x, training=False):
        if not training:
            return x
        kept = keras.random.uniform((ops.shape(x)[0], 1, 1), seed=self.seeds) < 1 - self.rate
        return x / (1 - self.rate) * ops.cast(kept, x.dtype)


class Pooled(layers.Layer):
    def __init__(self):
        super().__init__()
        self.attention = layers.Dense(1)

    def call(self, x):
        weights = ops.transpose(ops.softmax(self.attention(x), axis=1), axes=(0, 2, 1))
        return ops.squeeze(ops.matmul(weights, x), axis=1)


class Margins(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.margin = keras.metrics.Mean(name="margin")

    def measure(self, y, predicted):
        best = ops.top_k(predicted, k=2)[0]
        self.margin.update_state(best[:, 0] - best[:, 1])

    def train_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            predicted = self(x, training=True)
            loss = self.compute_loss(x, y, predicted, weights)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.numbers(x, y, predicted, weights, loss)

    def test_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        predicted = self(x, training=False)
        return self.numbers(x, y, predicted, weights, self.compute_loss(x, y, predicted, weights))

    def numbers(self, x, y, predicted, weights, loss):
        self.measure(y, predicted)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=ops.shape(x)[0])
        return self.compute_metrics(x, y, predicted, weights)


def build(params, input_shape, targets):
    image = keras.Input(input_shape)
    width = params["width"]
    features = layers.Rescaling(1 / 255)(image)
    features = layers.Conv2D(width, 3, padding="same", activation="relu", use_bias=False)(features)
    features = layers.MaxPooling2D(2)(features)
    tokens = Positions()(layers.Reshape((-1, width))(features))
    normed = layers.LayerNormalization(epsilon=1e-5)(tokens)
    attended = layers.MultiHeadAttention(num_heads=2, key_dim=width)(normed, normed)
    tokens = layers.Add()([StochasticDepth(0.1)(attended), tokens])
    pooled = Pooled()(layers.LayerNormalization(epsilon=1e-5)(tokens))
    return Margins(image, layers.Dense(targets[0].size, activation="softmax")(pooled))
"""

#: Module, the study's parameters of it, what is searched, the objective, and the formats that are made.
EXAMPLES = {
    "distillation": (
        DISTILLATION,
        {"optimizer": "model", "loss": "model"},
        [{"alpha": 0.1}, {"alpha": 0.9}],
        "val_top2",
        {"model.keras", "saved_model"},
    ),
    "transformer": (TRANSFORMER, {"learning_rate": 0.01}, [{"width": 4}, {"width": 8}], "val_margin", {"saved_model"}),
}


def fitted(variant, *, dataset, study_dir, params):
    """What Keras's own fit reports of a variant's second epoch."""
    data = open_dataset(dataset)
    train, validation = split_tensors(data.train), split_tensors(data.validation)
    keras.utils.set_random_seed(variant.seed)
    model = build_model(variant, task=dataset.task, study_dir=study_dir)
    if "optimizer" not in params:
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = np.asarray(train.images, np.float32), np.asarray(train.labels["label"])
    held_out = np.asarray(validation.images, np.float32), np.asarray(validation.labels["label"])
    rows = np.asarray(validation.indices)
    for epoch in (1, 2):
        order = epoch_order(train.indices, seed=variant.seed, epoch=epoch)
        history = model.fit(
            images[order],
            labels[order],
            batch_size=32,
            shuffle=False,
            verbose=0,
            validation_data=(held_out[0][rows], held_out[1][rows]),
            validation_batch_size=256,
        )
    return {name: values[-1] for name, values in history.history.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_swept_by_its_own_metric_and_exported_with_fits_numbers(name, tmp_path):
    text, params, searched, metric, made = EXAMPLES[name]
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    spec = DataSpec(source="digits", limit=200, cache_dir=str(tmp_path / "cache"))
    worker = WorkerSpec(
        dataset=prepare_dataset(spec, 3),
        data=spec,
        split_seed=3,
        training=TrainingSpec(max_epochs=2, metric=metric, mode="max", study_dir=str(tmp_path)),
        device=DeviceSpec(cpus=1),
        checkpoints=str(tmp_path / "checkpoints"),
    )
    results = []
    for number, own in enumerate(searched):
        values = {"function": f"{name}:build", "batch_size": 32, **params, **own}
        variant = Variant(family="custom", params=values, seed=number)
        run = TrialRun(trial=f"t{number}", variant=variant, first_epoch=1, spec=worker)
        assert isinstance(run.step(), EpochReport)
        second = run.step()
        assert isinstance(second, EpochReport), second
        expected = fitted(variant, dataset=worker.dataset, study_dir=str(tmp_path), params=params)
        assert {key: second.metrics[key] for key in expected} == pytest.approx(expected, abs=1e-4)
        assert metric in expected
        results.append((second.metrics[metric], number, variant, second))
    _, number, variant, report = max(results, key=lambda result: result[:2])
    request = ExportRequest(
        study="s",
        rank=1,
        trial=f"t{number}",
        variant=variant,
        epoch=2,
        metrics=report.metrics,
        formats=("keras", "saved_model"),
        folder=str(tmp_path / "exports" / "1"),
        worker=worker,
    )
    result = export_model(request)
    assert {path.name for path in (tmp_path / "exports" / "1").iterdir()} - {"worst_mistakes.png"} == made | {
        "manifest.json",
        "model_card.md",
        "model_card.html",
    }
    assert metric.removeprefix("val_") in result.test_metrics
    assert len(result.problems) == 2 - len(made)
