"""Phases of a training: what learns in each, at which rate, and that a trial goes on exactly in and between them."""

import numpy as np
import pytest

from trainables.checkpoints.checkpoint import Checkpoint
from trainables.errors import CheckpointError
from trainables.families.parts.phases import Phase, phase_at

pytestmark = pytest.mark.usefixtures("one_thread")

MAX_EPOCHS = 4
#: Two frozen epochs, two of fine-tuning, and everything with a state of its own.
PHASED = {"frozen_epochs": 2, "fine_tune_from": 0.9, "fine_tune_learning_rate_share": 0.1, "ema_momentum": 0.5} | {
    "schedule": "cosine",
    "learning_rate": 0.01,
    "dense_units": 4,
}


def by_path(model):
    return {variable.path: variable.numpy() for variable in model.variables}


def learning_rates(training):
    """Returns the learning rates of the phase's first step and its last one."""
    rate = training.model.optimizer._learning_rate
    return [float(rate(step)) for step in (0, rate.course.num_steps)]


@pytest.fixture(scope="module")
def whole(training_of, variant_of):
    """A training of all epochs: itself, and by epoch its report, state, values by path and learning rates."""
    from trainables.families.transfer import backbone_of

    training = training_of(variant_of("transfer", **PHASED), max_epochs=MAX_EPOCHS)
    told = {0: (None, training.state(), by_path(backbone_of(training.model)), None)}
    for _ in range(MAX_EPOCHS):
        report = training.run_epoch()
        told[report.epoch] = (
            report,
            training.state(),
            by_path(backbone_of(training.model)),
            learning_rates(training),
        )
    return training, told


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_trial_goes_on_exactly_from_within_a_phase_and_from_between_two(
    epoch, whole, training_of, variant_of, same_state
):
    _, told = whole
    resumed = training_of(variant_of("transfer", **PHASED), max_epochs=MAX_EPOCHS)
    resumed.load_state(told[epoch][1], history=[told[number][0] for number in range(1, epoch + 1)])
    same_state(resumed.state(), told[epoch][1])
    report = resumed.run_epoch()
    assert report.metrics == told[epoch + 1][0].metrics
    same_state(resumed.state(), told[epoch + 1][1])


def test_a_frozen_backbone_keeps_every_bit_also_its_running_statistics(whole):
    _, told = whole
    for epoch in (1, 2):
        for path, value in told[0][2].items():
            np.testing.assert_array_equal(told[epoch][2][path], value, err_msg=path)


def test_fine_tuning_changes_the_backbone_only_above_the_chosen_depth(whole):
    from trainables.families.transfer import backbone_of

    training, told = whole
    backbone = backbone_of(training.model)
    num_frozen = round(0.9 * len(backbone.layers))
    expected = [any(variable.trainable for variable in layer.variables) for layer in backbone.layers]
    assert [position >= num_frozen for position, learns in enumerate(expected) if learns] == [True] * sum(expected)
    changed = {path for path, value in told[4][2].items() if not np.array_equal(value, told[2][2][path])}
    above = {variable.path for layer in backbone.layers[num_frozen:] for variable in layer.variables}
    # A narrow channel may be dead and learn nothing, but never a whole kernel.
    assert {path for path in above if "kernel" in path} <= changed <= above
    assert any("moving_mean" in path for path in changed)


def test_each_phase_has_its_learning_rate_and_a_schedule_of_its_own_epochs(whole):
    _, told = whole
    # 100 images make 4 steps an epoch; cosine falls to 0.01 of the highest.
    assert told[1][3] == told[2][3] == pytest.approx([0.01, 0.0001])
    assert told[3][3] == told[4][3] == pytest.approx([0.001, 0.00001])


def test_arrays_of_the_model_have_the_same_names_in_both_phases(whole):
    _, told = whole
    shapes = [
        {name: array.shape for name, array in told[epoch][1].items() if name.startswith("model/")}
        for epoch in (0, 2, 3)
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    averages = [{name for name in told[epoch][1] if name.startswith("average/")} for epoch in (2, 3)]
    assert len(averages[0]) == 4
    assert averages[0] < averages[1]


@pytest.mark.parametrize("epoch", [2, 4])
def test_the_validated_model_is_restored_from_a_checkpoint_of_either_phase(epoch, whole, splits, task):
    from trainables.exporting.loading import restored_model

    training, told = whole
    report, state, _, _ = told[epoch]
    history = [told[number][0] for number in range(1, epoch + 1)]
    checkpoint = Checkpoint(variant_id=training.variant.variant_id, state=state, history=history)
    model = restored_model(training.variant, checkpoint, task=task)
    validation = splits[1]
    images = np.asarray(validation.images)[validation.indices].astype(np.float32)
    labels = np.asarray(validation.labels["label"])[validation.indices]
    predictions = model.predict(images, verbose=0)
    assert (predictions.argmax(axis=1) == labels).mean() == pytest.approx(report.metrics["val_accuracy"])


def test_a_state_of_another_phase_is_refused_and_changes_nothing(whole, training_of, variant_of):
    _, told = whole
    fresh = training_of(variant_of("transfer", **PHASED), max_epochs=MAX_EPOCHS)
    before = by_path(fresh.model)
    with pytest.raises(CheckpointError, match=r"the checkpoint holds \d+ arrays, variant \w+ has \d+"):
        fresh.load_state(told[3][1], history=[told[1][0]])
    after = by_path(fresh.model)
    assert all(np.array_equal(before[path], after[path]) for path in before)
    assert fresh.epoch == 0


def test_a_frozen_backbone_puts_out_what_it_does_in_inference(variant_of, task, digits):
    from trainables.catalog.families import FAMILIES
    from trainables.families.building import build_model
    from trainables.families.transfer import backbone_of, phases

    variant = variant_of("transfer", **PHASED)
    model = build_model(variant, task=task)
    backbone = backbone_of(model)
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32)
    inference = backbone(images, training=False).numpy()
    assert not np.allclose(backbone(images, training=True), inference, atol=1e-6)
    model = build_model(variant, task=task)
    backbone = backbone_of(model)
    phases(FAMILIES["transfer"].with_defaults(variant.params))[0].prepare(model)
    inference = backbone(images, training=False).numpy()
    np.testing.assert_array_equal(backbone(images, training=True), inference)


PLANS = [
    # frozen epochs, depth: (first epoch, share of the learning rate) of each phase
    (0, 0.0, [(1, 1.0)]),
    (0, 0.5, [(1, 1.0)]),
    (3, 0.5, [(1, 1.0), (4, 0.1)]),
    (3, 1.0, [(1, 1.0)]),
]


@pytest.mark.parametrize(("frozen_epochs", "depth", "expected"), PLANS)
def test_a_variant_has_the_phases_that_its_parameters_name(frozen_epochs, depth, expected):
    from trainables.catalog.families import FAMILIES
    from trainables.families.transfer import phases

    params = FAMILIES["transfer"].with_defaults({"frozen_epochs": frozen_epochs, "fine_tune_from": depth})
    assert [(phase.first_epoch, phase.learning_rate_share) for phase in phases(params)] == expected


@pytest.mark.parametrize(
    ("epoch", "max_epochs", "expected"),
    [(0, 9, (1, 2)), (2, 9, (1, 2)), (3, 9, (3, 7)), (9, 9, (3, 7)), (1, 1, (1, 1))],
)
def test_a_phase_ends_with_the_next_or_with_the_training(epoch, max_epochs, expected):
    phase, num_epochs = phase_at([Phase(), Phase(first_epoch=3)], epoch, max_epochs=max_epochs)
    assert (phase.first_epoch, num_epochs) == expected


def test_a_family_without_phases_is_compiled_once(training_of, variant_of):
    training = training_of(variant_of("sequential"), max_epochs=2)
    optimizer = training.model.optimizer
    list(training.epochs())
    assert training.model.optimizer is optimizer


def test_the_cost_told_at_first_is_that_of_the_phase_in_which_the_most_learns(whole, task):
    from trainables.training.cost import model_cost

    training, told = whole
    now = model_cost(training.model, task=task, batch_size=32)
    assert {name: told[1][0].cost[name] for name in now} == pytest.approx(now, rel=1e-3)
    assert told[1][0].cost["parameters"] == training.model.count_params()
    assert all(not told[epoch][0].cost for epoch in (2, 3, 4))
