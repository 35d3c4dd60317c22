"""The family `keras_tuner`: a hypermodel gets a variant's values, and its compiled model is what is trained."""

import sys
import textwrap

import numpy as np
import pytest
from hypermodels import GUIDE, HEADER

from search_spaces import Variant
from trainables.errors import DataError, UserCodeError
from trainables.families.building import build_model
from trainables.specs.task import Task
from trainables.user_code import source_of

pytestmark = pytest.mark.usefixtures("one_thread")

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)
VALUES = {
    "num_blocks": 2,
    "filters_0": 4,
    "kernel_0": 3,
    "pool_0": True,
    "filters_1": 8,
    "kernel_1": 1,
    "pool_1": False,
}

MODEL = """
def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense({units}, activation="{end}")])
    model.compile({optimizer}, loss={loss}, metrics={metrics})
    return model
"""
PLAIN = {
    "units": "10",
    "end": "softmax",
    "optimizer": "'adam'",
    "loss": "'sparse_categorical_crossentropy'",
    "metrics": "['accuracy']",
}


@pytest.fixture
def variant_of(tmp_path):
    """Makes the variant of a hypermodel in nets.py."""

    def make(text, **params):
        (tmp_path / "nets.py").write_text(HEADER + textwrap.dedent(text), encoding="utf-8")
        return Variant(family="keras_tuner", params={"function": "nets:build", **params}, seed=0)

    return make


@pytest.fixture
def build(tmp_path, variant_of):
    def make(text, *, task=TASK, **params):
        return build_model(variant_of(text, **params), task=task, study_dir=str(tmp_path))

    return make


def test_a_hypermodel_gets_the_values_of_its_variant(build):
    model = build(GUIDE, **VALUES, learning_rate=0.02)
    inner = model.layers[-1]
    convolutions = [layer for layer in inner.layers if "Conv" in type(layer).__name__]
    assert [(layer.filters, layer.kernel_size) for layer in convolutions] == [(4, (3, 3)), (8, (1, 1))]
    assert [type(layer).__name__ for layer in inner.layers].count("MaxPooling2D") == 1
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert model.loss == "sparse_categorical_crossentropy"


def test_a_hypermodel_may_ask_for_what_the_training_has_too(build):
    text = MODEL.format(**PLAIN).replace("    return", "    seen.append(hp.Int('batch_size', 16, 64))\n    return")
    build(f"seen = []\n{text}", batch_size=48)
    assert sys.modules["nets"].seen == [48]


def test_a_value_that_the_variant_lacks_is_said_with_its_line(build):
    with pytest.raises(UserCodeError) as caught:
        build(GUIDE, **VALUES)
    assert str(caught.value).startswith(
        "function 'nets:build': nets.py:19: hp.Float('learning_rate', 0.001, 0.1, sampling='log'): the space has no "
        "value of 'learning_rate' for this variant"
    )


def test_a_node_without_keras_tuner_says_so(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    for name in ("parameters", "loading"):
        monkeypatch.delitem(sys.modules, f"trainables.hypermodels.{name}", raising=False)
    with pytest.raises(
        UserCodeError, match=r"needs Keras Tuner, which is not installed; pip install 'convfleet\[keras"
    ):
        build(GUIDE, **VALUES)


def test_other_code_than_the_study_began_with_is_refused(build, tmp_path, variant_of):
    variant_of(GUIDE)
    source = source_of(["nets"], folder=tmp_path)
    with pytest.raises(DataError, match="was changed while the study runs"):
        build(GUIDE.replace("[4, 8]", "[4, 9]"), source=source, **VALUES, learning_rate=0.01)


SCALED = {
    "pixels are scaled before the model": (GUIDE, {}, 1.0),
    "but for a model that scales them": (
        GUIDE.replace("keras.Input((8, 8, 1))", "keras.Input((8, 8, 1)), layers.Rescaling(1 / 255)"),
        {},
        None,
    ),
    "unless the study says how": (
        GUIDE.replace("keras.Input((8, 8, 1))", "keras.Input((8, 8, 1)), layers.Rescaling(1 / 255)"),
        {"normalization": "symmetric"},
        1.0,
    ),
    "as the study says": (GUIDE, {"normalization": "symmetric"}, 1.0),
    "or not at all": (GUIDE, {"normalization": "model"}, None),
}


@pytest.mark.parametrize("case", SCALED)
def test_pixels(build, case):
    text, params, white = SCALED[case]
    model = build(text, **VALUES, learning_rate=0.01, **params)
    names = [layer.name for layer in model.layers]
    assert ("scale" in names) == (white is not None)
    if white is not None:
        scaled = model.get_layer("scale")(np.full((1, 8, 8, 1), 255, np.float32))
        assert float(np.max(scaled)) == pytest.approx(white)


ONE_HOT = {
    "a name": ("'categorical_crossentropy'", "'sparse_categorical_crossentropy'"),
    "an object": ("keras.losses.CategoricalCrossentropy()", "'sparse_categorical_crossentropy'"),
    "smoothed": ("keras.losses.CategoricalCrossentropy(label_smoothing=0.1)", None),
    "focal": ("keras.losses.CategoricalFocalCrossentropy()", None),
    "a function": ("keras.losses.kl_divergence", None),
}


@pytest.mark.parametrize("case", ONE_HOT)
def test_a_loss_and_metrics_of_one_hot_labels_have_their_values_with_class_numbers(build, case):
    import keras

    loss, _ = ONE_HOT[case]
    metrics = (
        "['accuracy', 'categorical_accuracy', keras.metrics.AUC(name='auc'), keras.metrics.TopKCategoricalAccuracy()]"
    )
    text = MODEL.format(**{**PLAIN, "loss": loss, "metrics": metrics})
    model = build(text)
    images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1)).astype(np.float32)
    classes = np.arange(32) % 10
    found = model.evaluate(images, classes, batch_size=7, return_dict=True, verbose=0)
    namespace = {}
    exec(HEADER + text, namespace)
    plain = namespace["build"](None)
    plain.set_weights(model.get_weights())
    one_hot = keras.utils.to_categorical(classes, 10)
    expected = plain.evaluate(images / 255, one_hot, batch_size=7, return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


def test_losses_of_class_numbers_stay_as_they_are(build):
    model = build(MODEL.format(**{**PLAIN, "loss": "keras.losses.SparseCategoricalCrossentropy()"}))
    assert type(model.loss).__name__ == "SparseCategoricalCrossentropy"


REFUSED = {
    "not compiled": (
        MODEL.format(**PLAIN).replace("    model.compile", "    # "),
        "expected a compiled model, as Keras Tuner does, got one without optimizer and loss; call model.compile(",
    ),
    "no model": ("def build(hp): return 3", "expected it to return a keras.Model, got a int"),
    "other classes": (
        MODEL.format(**{**PLAIN, "units": "3"}),
        "its model's output must be (None, 10), one probability a class, got (None, 3)",
    ),
    "logits": (MODEL.format(**{**PLAIN, "end": "linear"}), "must be probabilities that add up to 1; end it with"),
    "other images": (
        MODEL.format(**PLAIN).replace("(8, 8, 1)", "(32, 32, 3)"),
        "its model must take images (None, 8, 8, 1), but it does not:",
    ),
    "steps of its own": (
        "class Own(keras.Sequential):\n    def train_step(self, data): return {}\n"
        + MODEL.format(**PLAIN).replace("keras.Sequential(", "Own("),
        "Own has steps of its own, and its pixels are 0-255: scale them in its call by layers.Rescaling(1 / 255), or",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_model_of_the_task_is_refused(build, case):
    text, words = REFUSED[case]
    with pytest.raises(UserCodeError) as caught:
        build(text)
    assert words in str(caught.value)


OPTIMIZERS = {
    "by name": "'adam'",
    "an object": "keras.optimizers.SGD(0.05, momentum=0.9)",
    "with a schedule": "keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 20))",
}


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_a_model_trains_by_its_own_optimizer_and_goes_on_exactly(case, tmp_path, variant_of, training_of, same_state):
    text = MODEL.format(**{**PLAIN, "optimizer": OPTIMIZERS[case], "loss": "'categorical_crossentropy'"})
    variant = variant_of(text, batch_size=16)
    whole = training_of(variant, max_epochs=3, study_dir=str(tmp_path))
    first = whole.run_epoch()
    state = whole.state()
    second = whole.run_epoch()
    assert second.metrics["loss"] < first.metrics["loss"]
    resumed = training_of(variant, max_epochs=3, study_dir=str(tmp_path))
    resumed.load_state(state, history=[first])
    assert resumed.run_epoch().metrics == second.metrics
    same_state(resumed.state(), whole.state())


SEEDED = MODEL.format(**PLAIN).replace("    model = ", "    keras.utils.set_random_seed(11)\n    model = ")


def test_a_variant_ends_where_keras_tuners_own_loop_ends(tmp_path, variant_of, training_of, splits):
    # All images in one batch, so that their order does not matter; the weights are the build's own.
    import keras_tuner

    train, validation = splits
    images, labels = (np.asarray(array) for array in (train.images, train.labels["label"]))
    training = training_of(variant_of(SEEDED, batch_size=100), max_epochs=5, study_dir=str(tmp_path))
    ours = [training.run_epoch().metrics for _ in range(5)]
    namespace = {}
    exec(HEADER + SEEDED, namespace)
    goal = keras_tuner.Objective("val_accuracy", "max")
    tuner = keras_tuner.RandomSearch(
        namespace["build"], objective=goal, max_trials=1, directory=str(tmp_path), overwrite=True
    )
    rows, held = np.asarray(train.indices), np.asarray(validation.indices)
    tuner.search(
        images[rows] / 255,
        labels[rows],
        validation_data=(images[held] / 255, labels[held]),
        epochs=5,
        batch_size=100,
        verbose=0,
    )
    (trial,) = tuner.oracle.get_best_trials(1)
    best = max(ours, key=lambda metrics: metrics["val_accuracy"])
    assert best["val_accuracy"] == pytest.approx(trial.score, abs=1e-3)
    theirs = trial.metrics.get_history("val_loss")[0].value[0]
    assert ours[trial.best_step]["val_loss"] == pytest.approx(theirs, abs=1e-3)
