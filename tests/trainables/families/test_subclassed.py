"""The family `subclassed`: layers made at run time, a second classifier in training only, a train_step of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.data.batches.tensors import Batch, epoch_order, gather_batch
from trainables.errors import InfeasibleError
from trainables.exporting.loading import compile_for_sharing
from trainables.exporting.plain_graph import plain_model
from trainables.families.building import build_model
from trainables.families.subclassed import DeeplySupervised
from trainables.specs.data import AugmentSpec
from trainables.specs.targets import LOSSES, METRICS
from trainables.specs.task import Target, Task
from trainables.steps.losses import TaskLosses
from trainables.steps.step_data import step_data
from trainables.training.cost import model_cost

pytestmark = pytest.mark.usefixtures("one_thread")

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.float32)
LABELS = np.array([3, 1, 4, 1, 5, 9], np.int32)


def model_of(task=TASK, *, seed=3, **params):
    keras.utils.set_random_seed(seed)
    return build_model(Variant(family="subclassed", params={"filters": 4} | params, seed=seed), task=task)


def compiled(model, losses, *, optimizer=None):
    (target,) = losses.by_target.values()
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.1), loss=target, metrics=["accuracy"])
    return model


def cross_entropy(labels, probabilities):
    return -np.log(probabilities[np.arange(len(labels)), labels])


@pytest.mark.parametrize(("side", "expected"), [(3, 1), (7, 1), (8, 2), (28, 3), (64, 5)])
def test_with_num_blocks_0_the_images_size_says_how_many_blocks_there_are(side, expected):
    task = Task.classification(input_shape=(side, side + 3, 2), num_classes=3)
    model = model_of(task, num_blocks=0, auxiliary_weight=0.0)
    assert len(model.blocks) == expected
    assert model.blocks[-1].output_shape == (
        None,
        side >> (expected - 1),
        (side + 3) >> (expected - 1),
        4 << expected - 1,
    )


def test_parameters_are_as_many_as_counted_by_hand():
    # 3x3 convolutions 1-4 and 4-8: 36 + 288, four numbers a normalised channel: 48; outputs 8 * 10 + 10, 4 * 10 + 10
    assert model_of().count_params() == 36 + 288 + 48 + 90 + 50
    assert model_of(auxiliary_weight=0.0).count_params() == 36 + 288 + 48 + 90
    # 5x5 with biases, filters equal: 104 + 404, output 50
    params = {"kernel_size": 5, "batch_norm": False, "filters_growth": 1.0, "auxiliary_weight": 0.0}
    assert model_of(**params).count_params() == 104 + 404 + 50


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"num_blocks": 5},
            "5 blocks halve the image 4 times, but images of 8x8 can be halved at most 3 times; use at most 4 blocks",
        ),
        ({"num_blocks": 1}, "there is only 1 block for images of 8x8; use at least 2 blocks, or auxiliary_weight 0"),
    ],
)
def test_what_has_no_place_in_the_image_is_refused_in_words(params, words):
    with pytest.raises(InfeasibleError) as refused:
        model_of(**params)
    assert words in str(refused.value)


def test_a_loaded_model_is_of_its_own_class_predicts_the_same_and_trains_on_the_same(tmp_path):
    losses = TaskLosses(TASK)
    model = compiled(model_of(l2=0.01, num_blocks=3), losses)
    model.train_on_batch(IMAGES, LABELS)
    # Our losses are no part of a file.
    compile_for_sharing(model, task=TASK)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert type(loaded) is DeeplySupervised
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
    twice = [compiled(one, losses).train_on_batch(IMAGES, LABELS) for one in (model, loaded)]
    assert twice[0] == twice[1]
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


def test_the_second_classifier_changes_training_and_never_predictions():
    without, with_one = model_of(auxiliary_weight=0.0), model_of(auxiliary_weight=0.5)
    np.testing.assert_array_equal(without(IMAGES), with_one(IMAGES))
    with_one.auxiliary.layers[-1].kernel.assign_add(tf.ones((4, 10)))
    np.testing.assert_array_equal(without(IMAGES), with_one(IMAGES))
    # Not even computed.
    costs = [model_cost(model, task=TASK, batch_size=1)["multiply_adds"] for model in (without, with_one)]
    assert costs[0] == costs[1]
    for model in (without, with_one):
        compiled(model, TaskLosses(TASK)).train_on_batch(IMAGES, LABELS)
    assert not np.allclose(without.blocks[0].layers[0].kernel, with_one.blocks[0].layers[0].kernel, atol=1e-6)


def test_the_second_classifier_is_not_in_the_plain_graph():
    model = model_of()
    graph = plain_model(model, TASK)
    assert graph.count_params() == model.count_params() - model.auxiliary.count_params()
    np.testing.assert_array_equal(graph(IMAGES), model(IMAGES))


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_the_loss_of_a_step_is_that_of_both_classifiers_and_the_penalties_once(weight):
    model = compiled(model_of(auxiliary_weight=weight, l2=0.05), TaskLosses(TASK, smoothing=0.2))
    predictions, auxiliary = (
        None if part is None else part.numpy() for part in model._classified(IMAGES, training=True)
    )
    kernels = [weights.numpy() for weights in model.trainable_weights if "kernel" in weights.name]
    truth = np.eye(10)[LABELS] * 0.8 + 0.02
    expected = 0.05 * sum((kernel**2).sum() for kernel in kernels) - (truth * np.log(predictions)).sum(axis=1).mean()
    if weight:
        expected -= weight * (truth * np.log(auxiliary)).sum(axis=1).mean()
    told = model.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
    assert float(told["loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(told["accuracy"]) == pytest.approx(np.mean(predictions.argmax(axis=1) == LABELS))


def test_both_classifiers_learn_second_labels_and_class_weights():
    losses = TaskLosses(TASK)
    model = compiled(model_of(auxiliary_weight=0.4), losses)
    others, shares = np.array([0, 0, 2, 7, 7, 8], np.int32), np.array([1, 0.9, 0.5, 0.7, 0.6, 0.8], np.float32)
    weights = np.linspace(0.5, 2.0, 10, dtype=np.float32)
    parts = [part.numpy() for part in model._classified(IMAGES, training=True)]
    by_image = [shares * cross_entropy(LABELS, part) + (1 - shares) * cross_entropy(others, part) for part in parts]
    expected = np.mean(weights[LABELS] * (by_image[0] + 0.4 * by_image[1]))
    batch = Batch(images=tf.constant(IMAGES), labels={"label": tf.constant(LABELS)})
    data = step_data(batch, task=TASK, class_weights={"label": tf.constant(weights)})
    with losses.second_labels({"label": tf.constant(others)}, tf.constant(shares)):
        told = model.train_step(data)
    assert float(told["loss"]) == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_an_epoch_is_a_mean_over_images_not_over_batches():
    model = compiled(model_of(batch_norm=False), TaskLosses(TASK), optimizer=keras.optimizers.SGD(0.0))
    parts = [part.numpy() for part in model._classified(IMAGES, training=True)]
    expected = np.mean(cross_entropy(LABELS, parts[0]) + 0.3 * cross_entropy(LABELS, parts[1]))
    for rows in (slice(0, 4), slice(4, 6)):
        told = model.train_step((tf.constant(IMAGES[rows]), tf.constant(LABELS[rows])))
    assert float(told["loss"]) == pytest.approx(expected, rel=1e-5)


def test_gathered_gradients_make_one_update_of_their_mean():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    gathered = compiled(model_of(batch_norm=False), TaskLosses(TASK), optimizer=optimizer)
    at_once = compiled(model_of(batch_norm=False), TaskLosses(TASK))
    before = gathered.blocks[0].layers[0].kernel.numpy()
    gathered.train_step((tf.constant(IMAGES[:3]), tf.constant(LABELS[:3])))
    np.testing.assert_array_equal(gathered.blocks[0].layers[0].kernel, before)
    gathered.train_step((tf.constant(IMAGES[3:]), tf.constant(LABELS[3:])))
    at_once.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
    for one, other in zip(gathered.trainable_weights, at_once.trainable_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert not np.array_equal(gathered.blocks[0].layers[0].kernel, before)


def test_a_scaled_loss_gives_the_gradients_of_the_plain_one():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=1024.0)
    models = [compiled(model_of(), TaskLosses(TASK), optimizer=optimizer) for optimizer in (scaled, None)]
    for model in models:
        told = model.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
        assert 0 < float(told["loss"]) < 10
    for one, other in zip(*(model.trainable_weights for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


RICH = {
    "num_blocks": 2,
    "filters": 8,
    "l2": 1e-3,
    "dropout": 0.2,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "ema_momentum": 0.9,
    "gradient_accumulation": 3,
    "schedule": "cosine",
    "clip_norm": 1.0,
}


def test_everything_of_a_training_at_once_goes_on_bit_for_bit(training_of, variant_of, same_state):
    variant, augment = variant_of("subclassed", **RICH), AugmentSpec(mixup=0.3, crop_padding=1)
    whole = training_of(variant, max_epochs=3, augment=augment)
    reports = [whole.run_epoch()]
    state = whole.state()
    reports += [whole.run_epoch(), whole.run_epoch()]
    assert any(name.startswith("average/") for name in state)
    resumed = training_of(variant, max_epochs=3, augment=augment)
    resumed.load_state(state, history=reports[:1])
    assert [resumed.run_epoch().metrics for _ in range(2)] == [report.metrics for report in reports[1:]]
    same_state(resumed.state(), whole.state())


def test_a_compiled_epoch_equals_its_steps_one_by_one(training_of, variant_of, splits):
    params = {"optimizer": "sgd", "learning_rate": 0.01, "label_smoothing": 0.1, "dropout": 0.0}
    variant = variant_of("subclassed", **params)
    compiled_epoch, stepped = training_of(variant), training_of(variant)
    report = compiled_epoch.run_epoch()
    order = epoch_order(splits[0].indices, seed=variant.seed, epoch=1)
    for start in range(0, len(order), 32):
        images, labels = gather_batch(splits[0], order[start : start + 32])
        told = stepped.model.train_step((images, labels["label"]))
    assert report.metrics["loss"] == pytest.approx(float(told["loss"]), rel=1e-5)
    for name, array in compiled_epoch.state().items():
        np.testing.assert_allclose(array, stepped.state()[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_validation_knows_of_neither_the_second_classifier_nor_the_penalties(training_of, variant_of, splits):
    training = training_of(variant_of("subclassed", l2=0.01))
    report = training.run_epoch()
    images, labels = gather_batch(splits[1], splits[1].indices)
    probabilities = training.model(images, training=False).numpy()
    assert report.metrics["val_loss"] == pytest.approx(
        cross_entropy(labels["label"].numpy(), probabilities).mean(), rel=1e-5
    )


@pytest.mark.parametrize("kind", [kind for kind in LOSSES if kind != "mask"])  # unet learns masks
def test_any_kind_of_target_is_learned(kind):
    target = Target(
        name="it", kind=kind, size=3, class_names=(), loss=LOSSES[kind][0], metrics=tuple(METRICS[kind])[:1]
    )
    task = Task(input_shape=(8, 8, 1), targets=(target,))
    labels = {
        "classification": np.array([0, 1, 2, 0, 1, 2], np.int32),
        "multilabel": np.eye(3, dtype=np.uint8)[[0, 1, 2, 0, 1, 2]],
        "regression": np.linspace(-1, 1, 18, dtype=np.float32).reshape(6, 3),
    }[kind]
    model = compiled(model_of(task), TaskLosses(task), optimizer=keras.optimizers.Adam(0.02))
    told = [model.train_on_batch(IMAGES, labels)[0] for _ in range(30)]
    assert told[-1] < 0.7 * told[0]
    assert FAMILIES["subclassed"].takes_several is False
