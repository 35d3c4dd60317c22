"""Several heads and several images: names, exact values, weights of losses and classes, and going on."""

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.data.batches.tensors import gather_batch, split_tensors
from trainables.data.cache.dataset import Split
from trainables.families.building import build_model
from trainables.specs.augment import AugmentSpec
from trainables.specs.pixels import PixelStatistics
from trainables.specs.targets import TargetSpec, metric_modes
from trainables.specs.task import Target, Task
from trainables.specs.worker import TrainingSpec
from trainables.steps.class_weights import balanced_weights
from trainables.training.training import Training, TrainingRequest

pytestmark = pytest.mark.usefixtures("one_thread")

SPECS = {
    "digit": TargetSpec(metrics=("accuracy", "top_2_accuracy", "f1_score")),
    "ink": TargetSpec(kind="regression", weight=10.0, metrics=("mae", "rmse", "r2_score")),
    "quarters": TargetSpec(kind="multilabel", weight=0.5, metrics=("accuracy", "auc")),
}
SIZES = {"digit": 10, "ink": 2, "quarters": 4}
#: Nothing that is random, and a step too small to change a weight: reports tell of the untrained model.
STILL = {"dropout": 0.0, "batch_norm": False, "learning_rate": 1e-8, "optimizer": "sgd", "momentum": 0.0}


def task_of(*names, inputs=("image",)):
    targets = tuple(
        Target(
            name=name,
            kind=SPECS[name].kind,
            size=SIZES[name],
            class_names=() if name == "ink" else tuple(map(str, range(SIZES[name]))),
            loss=SPECS[name].loss_name,
            weight=SPECS[name].weight,
            metrics=SPECS[name].metric_names,
        )
        for name in names
    )
    return Task(input_shape=(8, 8, 1), targets=targets, inputs=inputs)


ALL = task_of(*SPECS)
PAIR = task_of(*SPECS, inputs=("left", "right"))


@pytest.fixture(scope="module")
def labels(digits):
    images, digit = digits
    pixels = images[..., 0].astype(np.float64)
    quarters = pixels.reshape(-1, 2, 4, 2, 4).sum(axis=(2, 4)).reshape(-1, 4)
    ink = np.stack([pixels.mean(axis=(1, 2)), pixels[:, :4].mean(axis=(1, 2))], axis=1) / 255
    return {
        "digit": digit,
        "ink": ink.astype(np.float32),
        "quarters": (4 * quarters > quarters.sum(axis=1, keepdims=True)).astype(np.uint8),
    }


@pytest.fixture(scope="module")
def made(digits, labels):
    """Makes a Training on 100 digits, validated on 300 others: neither is a multiple of a batch."""

    def make(task, *, metric="val_loss", mode="min", max_epochs=9, augment=None, statistics=None, **params):
        images = digits[0] if len(task.inputs) == 1 else np.concatenate([digits[0], 255 - digits[0]], axis=3)
        rows = np.random.default_rng(0).permutation(450).astype(np.int32)
        train, validation = (
            split_tensors(Split(images=images, labels=labels, indices=np.sort(part)))
            for part in (rows[:100], rows[150:])
        )
        variant = Variant(family="multitask", params={"filters": 4, "batch_size": 32, **params}, seed=5)
        spec = TrainingSpec(max_epochs=max_epochs, metric=metric, mode=mode, augment=augment or AugmentSpec())
        return Training(
            TrainingRequest(
                variant=variant, train=train, validation=validation, task=task, spec=spec, statistics=statistics
            )
        )

    return make


def entropy(chances, labels, *, smoothing=0.0):
    """Returns the cross-entropy by image of class numbers."""
    truth = (1 - smoothing) * np.eye(chances.shape[1])[labels] + smoothing / chances.shape[1]
    return -(truth * np.log(chances)).sum(axis=1)


def binary(chances, flags, *, smoothing=0.0):
    truth = flags * (1 - smoothing) + smoothing / 2
    return -(truth * np.log(chances) + (1 - truth) * np.log(1 - chances)).mean(axis=1)


def losses_of(outputs, labels, *, smoothing=0.0):
    """Returns each image's loss by target."""
    outputs = {name: np.asarray(values, np.float64) for name, values in outputs.items()}
    return {
        "digit": entropy(outputs["digit"], labels["digit"], smoothing=smoothing),
        "ink": ((outputs["ink"] - labels["ink"]) ** 2).mean(axis=1),
        "quarters": binary(outputs["quarters"], labels["quarters"], smoothing=smoothing),
    }


def total(means):
    return sum(SPECS[name].weight * value for name, value in means.items())


@pytest.mark.parametrize("names", [("digit",), ("ink",), ("quarters",), tuple(SPECS), ("quarters", "digit")])
def test_reports_have_exactly_the_metrics_that_the_study_may_choose_from(names, made):
    report = made(task_of(*names)).run_epoch()
    assert report.metrics.keys() == metric_modes({name: SPECS[name] for name in names}).keys()


def test_every_head_is_validated_exactly_over_all_images_the_ragged_last_batch_included(made):
    training = made(ALL)
    metrics = training.run_epoch().metrics
    images, labels = gather_batch(training._data.validation, training._data.validation.indices)
    labels = {name: values.numpy() for name, values in labels.items()}
    outputs = {name: values.numpy() for name, values in training.model(images, training=False).items()}
    means = {name: values.mean() for name, values in losses_of(outputs, labels).items()}
    for name, mean in means.items():
        assert metrics[f"val_{name}_loss"] == pytest.approx(mean, rel=1e-5), name
    assert metrics["val_loss"] == pytest.approx(total(means), rel=1e-5)
    right = outputs["digit"].argmax(axis=1) == labels["digit"]
    assert metrics["val_digit_accuracy"] == pytest.approx(right.mean(), abs=1e-7)
    second = np.argsort(outputs["digit"], axis=1)[:, -2] == labels["digit"]
    assert metrics["val_digit_top_2_accuracy"] == pytest.approx((right | second).mean(), abs=1e-7)
    assert metrics["val_ink_mae"] == pytest.approx(np.abs(outputs["ink"] - labels["ink"]).mean(), rel=1e-5)
    assert metrics["val_ink_rmse"] == pytest.approx(((outputs["ink"] - labels["ink"]) ** 2).mean() ** 0.5, rel=1e-5)
    flags = (outputs["quarters"] > 0.5) == labels["quarters"]
    assert metrics["val_quarters_accuracy"] == pytest.approx(flags.mean(), abs=1e-7)


@pytest.mark.parametrize(("smoothing", "class_weights"), [(0.0, "balanced"), (0.2, "none")])
def test_training_losses_are_smoothed_and_weighted_by_head(smoothing, class_weights, made):
    training = made(ALL, **STILL, label_smoothing=smoothing, class_weights=class_weights)
    images, labels = gather_batch(training._data.train, training._data.train.indices)
    labels = {name: values.numpy() for name, values in labels.items()}
    losses = losses_of(training.model(images, training=False), labels, smoothing=smoothing)
    if class_weights == "balanced":
        losses["digit"] = losses["digit"] * balanced_weights(labels["digit"], num_classes=10)[labels["digit"]]
    means = {name: values.mean() for name, values in losses.items()}
    metrics = training.run_epoch().metrics
    for name, mean in means.items():
        assert metrics[f"{name}_loss"] == pytest.approx(mean, rel=1e-4), name
    assert metrics["loss"] == pytest.approx(total(means), rel=1e-4)


@pytest.mark.parametrize("augment", [AugmentSpec(mixup=0.4), AugmentSpec(cutmix=1.0)], ids=["mixup", "cutmix"])
def test_a_mixed_image_counts_the_labels_of_both_in_every_head(augment, made):
    import tensorflow as tf

    training = made(PAIR, **STILL, augment=augment)
    plan = training._data.augmenter.plan(tf.constant(1))
    rows = tf.constant(training._data.train.indices)
    batch = training._data.augmenter.batch(rows, plan=plan, fetch=lambda some: gather_batch(training._data.train, some))
    inputs = {"left": batch.images[..., :1], "right": batch.images[..., 1:]}
    outputs, share = training.model(inputs, training=False), batch.weights.numpy()
    own, others = (
        losses_of(outputs, {name: values.numpy() for name, values in labels.items()})
        for labels in (batch.labels, batch.others)
    )
    means = {name: (share * own[name] + (1 - share) * others[name]).mean() for name in SPECS}
    assert 0.0 < share.min() < 0.9
    metrics = training.run_epoch().metrics
    for name, mean in means.items():
        assert metrics[f"{name}_loss"] == pytest.approx(mean, rel=1e-4), name
    assert metrics["loss"] == pytest.approx(total(means), rel=1e-4)


def test_any_heads_metric_may_end_a_trial_by_patience(made):
    training = made(ALL, metric="val_ink_mae", mode="min", patience=2, learning_rate=0.05, max_epochs=60)
    reports = list(training.epochs())
    values = [report.metrics["val_ink_mae"] for report in reports]
    best = int(np.argmin(values)) + 1
    assert len(reports) == best + 2 < 60
    assert reports[-1].reason == f"patience: no val_ink_mae better than {min(values):.4f} of epoch {best} in 2 epochs"


def test_all_heads_learn_from_both_images(made):
    training = made(
        PAIR, head="flatten", batch_norm=False, head_units=32, filters=16, learning_rate=0.005, max_epochs=20
    )
    reports = list(training.epochs())
    for name in ("digit_accuracy", "quarters_accuracy", "ink_r2_score"):
        assert reports[-1].metrics[f"val_{name}"] > reports[0].metrics[f"val_{name}"], name
    assert reports[-1].metrics["val_digit_accuracy"] > 0.6
    assert reports[-1].metrics["val_ink_mae"] < 0.06


def model_of(task, **params):
    keras.utils.set_random_seed(1)
    return build_model(Variant(family="multitask", params={"filters": 4, **params}, seed=1), task=task)


def kernels(model):
    return [weight for weight in model.trainable_weights if weight.name == "kernel" and len(weight.shape) == 4]


@pytest.mark.parametrize(("trunk", "own"), [("plain", 2), ("residual", 6)])
def test_inputs_share_convolutions_but_never_normalisations(trunk, own):
    shared, apart = (model_of(PAIR, trunk=trunk, shared_trunk=shared) for shared in (True, False))
    assert (len(kernels(shared)), len(kernels(apart))) == (own, 2 * own)
    norms = [sum(isinstance(layer, keras.layers.BatchNormalization) for layer in m.layers) for m in (shared, apart)]
    assert norms == [2 * own, 2 * own]


def test_each_input_is_scaled_by_its_own_part_of_the_statistics():
    task = Task(input_shape=(8, 8, 3), targets=ALL.targets, inputs=("left", "right"))
    statistics = PixelStatistics(means=(10, 20, 30, 40, 50, 60), deviations=(1, 2, 3, 4, 5, 6))
    variant = Variant(family="multitask", params={"normalization": "standardize"}, seed=1)
    model = build_model(variant, task=task, statistics=statistics)
    for name, means, deviations in (("left", (10, 20, 30), (1, 2, 3)), ("right", (40, 50, 60), (4, 5, 6))):
        pixels = np.full((1, 8, 8, 3), 90, np.float32)
        expected = (pixels - np.array(means)) / np.array(deviations)
        np.testing.assert_allclose(model.get_layer(f"{name}.scale")(pixels), expected, rtol=1e-5)


def test_every_image_counts_in_every_head():
    model = model_of(PAIR)
    black, white = np.zeros((1, 8, 8, 1), np.float32), np.full((1, 8, 8, 1), 255, np.float32)
    base = model({"left": black, "right": black}, training=False)
    for changed in ({"left": white, "right": black}, {"left": black, "right": white}):
        outputs = model(changed, training=False)
        assert all(not np.allclose(outputs[name], base[name]) for name in SPECS)


def test_targets_may_be_called_as_keras_calls_layers():
    names = ("dense", "scale", "conv2d", "dense_1", "output")
    targets = tuple(Target(name=name, kind="regression", size=1, loss="huber", metrics=("mae",)) for name in names)
    model = model_of(Task(input_shape=(8, 8, 1), targets=targets), head_units=3)
    assert set(model.output) == set(names)


def test_too_many_blocks_for_the_image_are_refused_with_the_way_out():
    from trainables.errors import InfeasibleError

    with pytest.raises(InfeasibleError, match=r"5 blocks pool the image 4 times, .* 3 times; use at most 4 blocks, or"):
        model_of(ALL, num_blocks=5)
    assert model_of(ALL, num_blocks=5, pooling="none").output["digit"].shape == (None, 10)


def test_an_export_of_several_heads_and_images_loads_without_this_package(tmp_path, made):
    import tensorflow as tf

    from trainables.exporting.loading import compile_for_sharing

    training = made(PAIR)
    training.run_epoch()
    model = training.model
    compile_for_sharing(model, task=PAIR)
    inputs = {name: np.random.default_rng(3).uniform(0, 255, (3, 8, 8, 1)).astype(np.float32) for name in PAIR.inputs}
    expected = model(inputs, training=False)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")(inputs, training=False)
    model.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    signature = served.signatures["serving_default"]
    assert set(signature.structured_outputs) == set(SPECS)
    assert set(signature.structured_input_signature[1]) == {"left", "right"}
    named = signature(**{name: tf.constant(values) for name, values in inputs.items()})
    for name in SPECS:
        np.testing.assert_array_equal(loaded[name], expected[name])
        np.testing.assert_allclose(named[name], expected[name], atol=1e-6)
