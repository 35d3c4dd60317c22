"""Averaged weights are what is validated and exported; training goes on from the others as if there were none."""

import numpy as np
import pytest

from trainables.catalog.families import FAMILIES
from trainables.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from trainables.checkpoints.state_names import validated_weights
from trainables.data.batches.tensors import epoch_order, gather_batch
from trainables.exporting.loading import restored_model
from trainables.steps.compiling import compile_for_evaluation
from trainables.training.state import averaged

pytestmark = pytest.mark.usefixtures("one_thread")

MOMENTUM = 0.7


@pytest.fixture(scope="module", params=[name for name in FAMILIES if "ema_momentum" not in FAMILIES[name].hands_over])
def trained(request, training_of, variant_of):
    """A training with averages after two epochs."""
    variant = variant_of(request.param, learning_rate=0.05, dropout=0.0, ema_momentum=MOMENTUM, batch_size=32)
    training = training_of(variant)
    for _ in range(2):
        training.run_epoch()
    return training


def weights_of(training):
    return {name: array for name, array in training.state().items() if name.startswith("model/")}


def test_the_average_follows_the_weights_batch_by_batch(trained, training_of, variant_of, samples_of):
    splits, _, _ = samples_of(trained.variant.family)
    plain = training_of(variant_of(trained.variant.family, learning_rate=0.05, dropout=0.0, batch_size=32))
    average = None
    for epoch in (1, 2):
        order = epoch_order(splits[0].indices, seed=trained.variant.seed, epoch=epoch)
        for start in range(0, len(order), 32):
            images, labels = gather_batch(splits[0], order[start : start + 32])
            plain.model.train_step((images, labels["label"]))
            weights = [variable.numpy() for variable in plain.model.trainable_variables]
            if average is None:
                average = weights
            average = [MOMENTUM * old + (1 - MOMENTUM) * new for old, new in zip(average, weights, strict=True)]
    with averaged(trained.model):
        told = [variable.numpy() for variable in trained.model.trainable_variables]
    for number, (array, expected) in enumerate(zip(told, average, strict=True)):
        np.testing.assert_allclose(array, expected, rtol=1e-3, atol=1e-4, err_msg=str(number))


def test_training_goes_on_from_the_weights_that_were_trained(trained, training_of, variant_of, same_state):
    params = dict(trained.variant.params)
    del params["ema_momentum"]
    plain = training_of(variant_of(trained.variant.family, **params))
    plain_reports = [plain.run_epoch().metrics for _ in range(2)]
    same_state(weights_of(trained), weights_of(plain))
    for told, expected in zip(trained.history, plain_reports, strict=True):
        assert told.metrics["loss"] == expected["loss"]
        assert told.metrics["val_loss"] != expected["val_loss"]


def test_the_restored_model_is_exactly_the_one_that_was_validated(trained, samples_of, studies, tmp_path, same_state):
    splits, task, metric = samples_of(trained.variant.family)
    checkpoint = Checkpoint(variant_id=trained.variant.variant_id, state=trained.state(), history=trained.history)
    folder = save_checkpoint(tmp_path, checkpoint)
    loaded = load_checkpoint(folder, variant_id=trained.variant.variant_id)
    model = restored_model(trained.variant, loaded, task=task, study_dir=studies)
    compile_for_evaluation(model, task=task)
    with averaged(trained.model):
        validated = weights_of(trained)
        predictions = trained.model(images_of(splits), training=False).numpy()
    same_state({f"model/{number:04d}": v.numpy() for number, v in enumerate(model.variables)}, validated)
    assert any(not np.array_equal(array, trained.state()[name]) for name, array in validated.items())
    np.testing.assert_array_equal(model(images_of(splits), training=False), predictions)
    images, labels = gather_batch(splits[1], splits[1].indices)
    told = model.evaluate(images, labels["label"], batch_size=50, verbose=0, return_dict=True)
    assert told[metric] == pytest.approx(trained.history[-1].metrics[f"val_{metric}"], abs=1e-7)
    assert told["loss"] == pytest.approx(trained.history[-1].metrics["val_loss"])


def images_of(splits):
    return gather_batch(splits[1], splits[1].indices)[0]


def test_the_trained_weights_come_back_even_after_an_error(trained, same_state):
    before = weights_of(trained)
    with pytest.raises(RuntimeError, match="validation broke"), averaged(trained.model):
        raise RuntimeError("validation broke")
    same_state(weights_of(trained), before)


def test_without_averages_nothing_is_swapped_or_stored(training_of, variant_of, same_state):
    training = training_of(variant_of())
    training.run_epoch()
    state = training.state()
    assert {name.split("/")[0] for name in state} == {"model", "optimizer"}
    same_state(validated_weights(state), weights_of(training))
    with averaged(training.model):
        same_state(training.state(), state)
