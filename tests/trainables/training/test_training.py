"""Training of one variant: what an epoch is, and that equal seeds give equal results."""

import numpy as np
import pytest

from trainables.catalog.families import FAMILIES
from trainables.checkpoints.checkpoint import Checkpoint
from trainables.data.batches.tensors import epoch_order, gather_batch
from trainables.errors import CheckpointError, DivergedError, InfeasibleError
from trainables.exporting.loading import restored_model
from trainables.specs.data import AugmentSpec
from trainables.specs.task import Task
from trainables.steps.compiling import compile_for_evaluation

pytestmark = pytest.mark.usefixtures("one_thread")

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)
VARIED = AugmentSpec(flip="horizontal", crop_padding=1, rotate_degrees=10)


@pytest.fixture(scope="module")
def outcome_of(training_of):
    """Trains a variant afresh and returns its metrics by epoch and its final state."""

    def train(variant, *, epochs=2, augment=VARIED):
        training = training_of(variant, max_epochs=epochs, augment=augment)
        return [report.metrics for report in training.epochs()], training.state()

    return train


@pytest.fixture(scope="module")
def first_outcome(outcome_of, variant_of):
    """What the small variant of each family comes to, trained first of all."""
    return {family: outcome_of(variant_of(family)) for family in FAMILIES}


def seen_by(training, name):
    """Lets `train_step` or `test_step` note the images it is given, and returns the list of noted batches."""
    import tensorflow as tf

    batches = []
    step = getattr(training.model, name)

    def noting(data):
        tf.numpy_function(batches.append, [data[0]], [])
        return step(data)

    setattr(training.model, name, noting)
    return batches


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_falls(training_of, variant_of, family):
    # Whatever is frozen at random lets nothing through.
    depth = {"fine_tune_from": 0.0} if family == "transfer" else {}
    variant = variant_of(family, dropout=0.0, learning_rate=0.01, batch_size=16, **depth)
    losses = [report.metrics["loss"] for report in training_of(variant, max_epochs=6).epochs()]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_equal_seed_gives_bit_equal_metrics_and_weights(first_outcome, outcome_of, variant_of, family, same_state):
    metrics, state = outcome_of(variant_of(family))
    assert metrics == first_outcome[family][0]
    same_state(state, first_outcome[family][1])


@pytest.mark.parametrize("family", FAMILIES)
def test_another_seed_gives_another_result(first_outcome, outcome_of, variant_of, family):
    metrics, state = outcome_of(variant_of(family, seed=8))
    assert metrics != first_outcome[family][0]
    assert any(not np.array_equal(state[name], array) for name, array in first_outcome[family][1].items())


def test_a_variant_does_not_feel_which_variants_the_process_trained_before(
    first_outcome, outcome_of, variant_of, same_state
):
    outcome_of(variant_of("residual", seed=5, activation="selu", optimizer="rmsprop"), epochs=1)
    outcome_of(variant_of(seed=6, num_blocks=1, batch_size=9), epochs=1)
    metrics, state = outcome_of(variant_of())
    assert metrics == first_outcome["sequential"][0]
    same_state(state, first_outcome["sequential"][1])


def test_a_model_starts_from_its_seed_and_from_names_that_are_always_the_same(training_of, variant_of):
    def start(seed):
        model = training_of(variant_of(seed=seed)).model
        return [layer.name for layer in model.layers], model.get_weights()[0]

    names, weights = start(1)
    other_names, other_weights = start(2)
    assert names == other_names
    assert not np.array_equal(weights, other_weights)


def test_an_epoch_shows_every_training_image_once_in_the_epochs_order(training_of, variant_of, splits):
    training = training_of(variant_of(batch_size=32))
    batches = seen_by(training, "train_step")
    for epoch in (1, 2):
        batches.clear()
        training.run_epoch()
        order = epoch_order(splits[0].indices, seed=training.variant.seed, epoch=epoch)
        assert [len(batch) for batch in batches] == [32, 32, 32, 4]
        np.testing.assert_array_equal(np.concatenate(batches), gather_batch(splits[0], order)[0])


def test_training_images_are_augmented_and_validation_images_never(training_of, variant_of, splits):
    train, validation = splits
    training = training_of(variant_of(), augment=AugmentSpec(flip="both", crop_padding=3, rotate_degrees=90))
    trained, validated = seen_by(training, "train_step"), seen_by(training, "test_step")
    training.run_epoch()
    order = epoch_order(train.indices, seed=training.variant.seed, epoch=1)
    originals = gather_batch(train, order)[0].numpy()
    assert (np.concatenate(trained) != originals).any(axis=(1, 2, 3)).mean() > 0.9
    np.testing.assert_array_equal(np.concatenate(validated), gather_batch(validation, validation.indices)[0])
    assert [len(batch) for batch in validated] == [256, 44]


@pytest.fixture(scope="module")
def after_one_epoch(training_of, variant_of):
    """A Training of each family after its first epoch."""
    trainings = {family: training_of(variant_of(family, learning_rate=0.01)) for family in FAMILIES}
    for training in trainings.values():
        training.run_epoch()
    return trainings


def labelled(split):
    images, labels = gather_batch(split, split.indices)
    return images, labels["label"]


def scores(model, split, *, task=TASK, metric="accuracy"):
    compile_for_evaluation(model, task=task)
    metrics = model.evaluate(*labelled(split), batch_size=7, verbose=0, return_dict=True)
    # Metrics follow from counts, so exact; a sum of losses in another order differs in its last bits.
    return {f"val_{metric}": pytest.approx(metrics[metric], abs=1e-7), "val_loss": pytest.approx(metrics["loss"])}


@pytest.mark.parametrize("family", FAMILIES)
def test_validation_metrics_are_those_of_keras_on_the_same_weights(after_one_epoch, samples_of, family):
    splits, _, metric = samples_of(family)
    training = after_one_epoch[family]
    metrics = training.history[0].metrics
    model = training.model
    expected = model.evaluate(*labelled(splits[1]), batch_size=7, verbose=0, return_dict=True)
    assert metrics[f"val_{metric}"] == pytest.approx(expected[metric], abs=1e-7)
    assert metrics["val_loss"] == pytest.approx(expected["loss"])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_restored_model_scores_what_its_training_reported(after_one_epoch, samples_of, studies, family):
    splits, task, metric = samples_of(family)
    training = after_one_epoch[family]
    checkpoint = Checkpoint(variant_id=training.variant.variant_id, state=training.state(), history=training.history)
    model = restored_model(training.variant, checkpoint, task=task, study_dir=studies)
    metrics = training.history[0].metrics
    expected = scores(model, splits[1], task=task, metric=metric)
    assert {name: metrics[name] for name in (f"val_{metric}", "val_loss")} == expected


def test_a_checkpoint_of_another_variant_is_not_restored(after_one_epoch, variant_of):
    state = after_one_epoch["sequential"].state()
    checkpoint = Checkpoint(variant_id="0" * 12, state=state, history=[])
    with pytest.raises(CheckpointError, match="expected shape"):
        restored_model(variant_of(filters=5), checkpoint, task=TASK)


@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_epochs_equal_their_steps_one_by_one(training_of, variant_of, samples_of, family):
    splits, _, metric = samples_of(family)
    variant = variant_of(family, optimizer="sgd", learning_rate=0.01, label_smoothing=0.1)
    compiled = training_of(variant)
    reports = [compiled.run_epoch(), compiled.run_epoch()]
    stepped = training_of(variant)
    for report in reports:
        order = epoch_order(splits[0].indices, seed=variant.seed, epoch=report.epoch)
        stepped.model.reset_metrics()
        for start in range(0, len(order), 32):
            images, labels = gather_batch(splits[0], order[start : start + 32])
            metrics = stepped.model.train_step((images, labels["label"]))
        assert report.metrics["loss"] == pytest.approx(float(metrics["loss"]), rel=1e-5)
        assert report.metrics[metric] == pytest.approx(float(metrics[metric]), abs=1e-6)
    expected, state = stepped.state(), compiled.state()
    assert expected.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_validation_loss_of_a_smoothed_variant_is_the_plain_cross_entropy(training_of, variant_of, splits):
    variant = variant_of(label_smoothing=0.3)
    training = training_of(variant)
    report = training.run_epoch()
    checkpoint = Checkpoint(variant_id=variant.variant_id, state=training.state(), history=training.history)
    model = restored_model(variant, checkpoint, task=TASK)
    assert report.metrics["val_loss"] == scores(model, splits[1])["val_loss"]


def test_the_last_report_says_so_and_epochs_count_from_one(training_of, variant_of):
    training = training_of(variant_of(), max_epochs=3)
    reports = list(training.epochs())
    assert [(report.epoch, report.is_last) for report in reports] == [(1, False), (2, False), (3, True)]
    assert training.history == reports
    assert set(reports[0].metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert set(reports[0].overhead_seconds) == {"build", "trace", "validate"}
    assert set(reports[1].overhead_seconds) == {"validate"}
    assert all(report.train_seconds > 0 for report in reports)
    for report in reports:
        assert report.images_per_second == pytest.approx(100 / report.train_seconds)


def test_a_loss_that_is_no_number_any_more_is_told_as_diverged(training_of, variant_of):
    training = training_of(
        variant_of("residual", batch_norm=False, optimizer="sgd", learning_rate=100.0, activation="selu")
    )
    with pytest.raises(DivergedError, match=r"loss=nan, .*after epoch 1; a lower learning rate"):
        for _ in training.epochs():
            pass
    assert training.history == []


def test_an_infeasible_variant_never_becomes_a_training(training_of, variant_of):
    with pytest.raises(InfeasibleError, match="5 stages halve the image 4 times"):
        training_of(variant_of("residual", num_stages=5))


CONTINUED = [
    ("sequential", {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.02}),
    ("residual", {"optimizer": "adam", "weight_decay": 1e-3}),
]


@pytest.mark.parametrize(("family", "params"), CONTINUED)
def test_a_training_goes_on_from_its_state_as_if_nothing_had_happened(
    training_of, variant_of, family, params, same_state
):
    variant = variant_of(family, **params)
    undisturbed = training_of(variant, max_epochs=3, augment=VARIED)
    undisturbed.run_epoch()
    state, history = undisturbed.state(), list(undisturbed.history)
    expected = [report.metrics for report in undisturbed.epochs()]

    after = training_of(variant, max_epochs=3, augment=VARIED)
    after.load_state(state, history=history)
    same_state(after.state(), state)
    assert after.epoch == 1
    assert [report.metrics for report in after.epochs()] == expected
    same_state(after.state(), undisturbed.state())


def test_the_state_of_another_variant_is_refused_and_changes_nothing(training_of, variant_of, same_state):
    training = training_of(variant_of())
    before = training.state()
    more = before | {"model/9999": np.zeros(3)}
    wider = before | {"model/0000": np.zeros((3, 3, 1, 5), np.float32)}
    last = before | {max(before): np.zeros(77)}
    for foreign, words in [
        (more, r"the checkpoint holds \d+ arrays, variant [0-9a-f]{12} has \d+"),
        (wider, r"model/0000: expected shape \(3, 3, 1, 4\), got \(3, 3, 1, 5\)"),
        (last, "expected shape .*, got \\(77,\\)"),
    ]:
        changed = {
            name: array + 1 if name not in (max(before), "model/0000") else array for name, array in foreign.items()
        }
        with pytest.raises(CheckpointError, match=words):
            training.load_state(changed, history=[])
        same_state(training.state(), before)
