"""A training on several splits: the mean of trainings on each, resumed and reused without a difference."""

import math
from dataclasses import replace

import numpy as np
import pytest

from trainables.checkpoints.state_names import REPEAT, validated_weights
from trainables.data.splits.repeated import RepeatedSplit, repeated_splits
from trainables.errors import CheckpointError
from trainables.specs.worker import TrainingSpec

pytestmark = pytest.mark.usefixtures("one_thread")

EPOCHS = 3


@pytest.fixture(scope="module")
def repeated(samples_of, studies):
    """Makes a training on the small splits and further ones of the same images."""
    from trainables.training.training import Training, TrainingRequest

    def make(variant, *, count=3, only=None, max_epochs=EPOCHS):
        (train, _), task, metric = samples_of(variant.family)
        # Both splits of the samples are rows of the same arrays only if validation was carved out of them.
        half = len(train.indices) // 4
        first = RepeatedSplit(train=train.indices[half:], validation=train.indices[:half])
        classes = next((name for name, values in train.labels.items() if values.dtype.name == "int32"), None)
        labels = None if classes is None or train.labels[classes].shape.rank != 1 else train.labels[classes].numpy()
        splits = [first, *repeated_splits(first.train, first.validation, labels=labels, count=count, seed=0)]
        chosen = splits if only is None else [splits[only]]
        request = TrainingRequest(
            variant=variant,
            train=replace(train, indices=chosen[0].train),
            validation=replace(train, indices=chosen[0].validation),
            task=task,
            spec=TrainingSpec(max_epochs=max_epochs, metric=f"val_{metric}", mode="max", study_dir=studies),
            repeats=chosen[1:],
        )
        return Training(request)

    return make


@pytest.mark.parametrize("family", ["sequential", "residual", "transfer", "multitask", "unet"])
def test_metrics_are_the_means_of_trainings_on_each_split_and_the_state_holds_all(
    family, repeated, variant_of, same_state
):
    variant = variant_of(family)
    together = repeated(variant)
    reports = list(together.epochs())
    alone = [repeated(variant, only=number) for number in range(3)]
    each = [list(training.epochs()) for training in alone]
    for epoch, report in enumerate(reports):
        for name, value in report.metrics.items():
            expected = math.fsum(found[epoch].metrics[name] for found in each) / 3
            assert value == pytest.approx(expected, rel=1e-12), name
    state = together.state()
    same_state({name: array for name, array in state.items() if not name.startswith(REPEAT)}, alone[0].state())
    for number in (1, 2):
        prefix = f"{REPEAT}{number + 1:04d}/"
        own = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
        same_state(own, alone[number].state())
    assert len({tuple(found[-1].metrics.values()) for found in each}) == 3


@pytest.mark.parametrize("family", ["sequential", "transfer"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_training_goes_on_from_its_state_bit_for_bit(family, epoch, repeated, variant_of, same_state):
    variant = variant_of(family, ema_momentum=0.9)
    whole = repeated(variant)
    history = [whole.run_epoch() for _ in range(epoch)]
    state = {name: array.copy() for name, array in whole.state().items()}
    rest = [report.metrics for report in whole.epochs()]
    resumed = repeated(variant)
    resumed.load_state(state, history=history)
    same_state(resumed.state(), state)
    assert [report.metrics for report in resumed.epochs()] == rest
    same_state(resumed.state(), whole.state())


def test_a_reused_training_begins_anew_on_every_split(repeated, variant_of, same_state):
    first = variant_of("sequential", learning_rate=0.01)
    second = replace(first, params={**first.params, "learning_rate": 0.003})
    fresh = repeated(second)
    metrics = [report.metrics for report in fresh.epochs()]
    reused = repeated(first)
    list(reused.epochs())
    assert reused.is_reusable
    reused.begin_again(second)
    assert [report.metrics for report in reused.epochs()] == metrics
    same_state(reused.state(), fresh.state())


@pytest.mark.parametrize("count", [1, 2])
def test_a_state_of_other_splits_is_refused(count, repeated, variant_of):
    variant = variant_of("sequential")
    training = repeated(variant)
    report = training.run_epoch()
    with pytest.raises(CheckpointError, match=f"training on 3 splits, this one is on {count}"):
        repeated(variant, count=count).load_state(training.state(), history=[report])


def test_the_first_split_is_the_one_whose_weights_are_exported(repeated, variant_of):
    variant = variant_of("sequential")
    together, alone = repeated(variant), repeated(variant, only=0)
    for training in (together, alone):
        training.run_epoch()
    weights, expected = validated_weights(together.state()), validated_weights(alone.state())
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], expected[name]) for name in weights)


def test_images_a_second_count_those_of_all_splits(repeated, variant_of):
    training = repeated(variant_of("sequential"))
    report = training.run_epoch()
    assert report.images_per_second * report.train_seconds == pytest.approx(3 * 75)
