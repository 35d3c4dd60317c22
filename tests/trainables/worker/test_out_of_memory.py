"""A trial that runs out of memory is tried once more in micro-batches, says so, and ends in words where that fails."""

import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from search_spaces import Variant
from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint
from trainables.data.cache.prepare import prepare_dataset
from trainables.machine.out_of_memory import is_out_of_memory
from trainables.reports import EpochReport, Failure, FailureKind, NoteKind
from trainables.specs.data import DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.training.training import Training
from trainables.worker.trace_cache import TracedTrainings
from trainables.worker.trial_run import TrialRun

pytestmark = pytest.mark.usefixtures("one_thread")

#: A model that says in training, and only there, that batches above a size need more memory than there is.
GREEDY = """
    import keras
    import tensorflow as tf
    from keras import layers

    class Greedy(layers.Layer):
        def __init__(self, most, **options):
            super().__init__(**options)
            self.most = most

        def call(self, inputs, training=None):
            if not training:
                return inputs
            def check(count):
                if count > self.most:
                    raise tf.errors.ResourceExhaustedError(None, None, f"OOM when allocating {count} images")
                return count
            with tf.control_dependencies([tf.py_function(check, [tf.shape(inputs)[0]], tf.int32)]):
                return tf.identity(inputs)

    class ByHand(keras.Model):
        def train_step(self, data):
            images, labels = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=labels, y_pred=self(images, training=True))
            for weight, slope in zip(self.trainable_weights, tape.gradient(loss, self.trainable_weights)):
                weight.assign_sub(0.01 * slope)
            return {"loss": loss}

    def build(params, input_shape, targets):
        image = keras.Input(input_shape)
        features = Greedy(params["most"])(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
        outputs = layers.Dense(targets[0].size, activation="softmax")(features)
        return (ByHand if params.get("by_hand") else keras.Model)(image, outputs)
"""
NOTE = (
    "batches of 32 ran out of memory; trained in 4 micro-batches of 8 each, the gradients added up; batch statistics "
    "are of the smaller batches"
)


@pytest.fixture(scope="module")
def data_spec(tmp_path_factory):
    return DataSpec(source="digits", limit=120, cache_dir=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def dataset(data_spec):
    return prepare_dataset(data_spec, 3)


@pytest.fixture
def spec(data_spec, dataset, tmp_path):
    (tmp_path / "greedy.py").write_text(textwrap.dedent(GREEDY), encoding="utf-8")
    return WorkerSpec(
        dataset=dataset,
        data=data_spec,
        split_seed=3,
        training=TrainingSpec(max_epochs=3, metric="val_accuracy", mode="max", study_dir=str(tmp_path)),
        device=DeviceSpec(cpus=1),
        checkpoints=str(tmp_path / "checkpoints"),
    )


@pytest.fixture
def run_of(spec):
    def start(*, most, spec=spec, **params):
        params = {"function": "greedy:build", "most": most, "batch_size": 32, **params}
        return TrialRun(
            trial="t0001", variant=Variant(family="custom", params=params, seed=7), first_epoch=1, spec=spec
        )

    return start


def failure(run):
    outcome = run.step()
    assert isinstance(outcome, Failure), outcome
    return outcome


def metrics(run, count):
    outcomes = [run.step() for _ in range(count)]
    assert all(isinstance(outcome, EpochReport) for outcome in outcomes), outcomes
    return [outcome.metrics for outcome in outcomes]


def saved(run, *, epoch):
    folder = checkpoint_folder(Path(run.spec.checkpoints) / "t0001", epoch=epoch)
    return load_checkpoint(folder, variant_id=run.variant.variant_id)


def test_trial_goes_on_in_micro_batches_to_the_same_end_and_says_so_once(run_of):
    run = run_of(most=8)
    cut = metrics(run, 1)
    assert [(note.kind, note.text) for note in run.take_notes()] == [(NoteKind.MICRO_BATCHES, NOTE)]
    cut += metrics(run, 2)
    assert run.take_notes() == []
    assert saved(run, epoch=3).num_micro_batches == 4
    whole_run = run_of(most=32, spec=replace(run.spec, checkpoints=run.spec.checkpoints + "-whole"))
    whole = metrics(whole_run, 3)
    assert whole_run.take_notes() == []
    assert saved(whole_run, epoch=3).num_micro_batches == 1
    for one, other in zip(cut, whole, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_resumed_trial_goes_on_in_micro_batches_without_another_try(run_of):
    undisturbed = run_of(most=8)
    told = metrics(undisturbed, 3)
    weights = saved(undisturbed, epoch=3).state
    run = run_of(most=8, spec=replace(undisturbed.spec, checkpoints=undisturbed.spec.checkpoints + "-2"))
    metrics(run, 1)
    again = run_of(most=8, spec=run.spec)
    assert metrics(again, 3) == told
    assert again.take_notes() == []
    for name, array in saved(again, epoch=3).state.items():
        np.testing.assert_array_equal(array, weights[name], err_msg=name)


def test_later_epoch_that_runs_out_of_memory_goes_on_from_the_checkpoint(run_of, monkeypatch):
    from trainables.training.training import Training

    run = run_of(most=32)
    first = metrics(run, 1)
    run_epoch = Training.run_epoch
    trained = []

    def short_of_memory(training):
        trained.append((training.epoch + 1, training.num_micro_batches))
        if training.num_micro_batches == 1:
            raise MemoryError
        return run_epoch(training)

    monkeypatch.setattr(Training, "run_epoch", short_of_memory)
    metrics(run, 2)
    assert trained == [(2, 1), (2, 4), (3, 4)]
    (note,) = run.take_notes()
    assert "trained in 4 micro-batches of 8 each from epoch 2 on, the gradients" in note.text
    assert saved(run, epoch=3).history[0].metrics == first[0]


def test_two_tries_end_the_trial_with_both_in_words(run_of):
    run = run_of(most=0)
    failed = failure(run)
    assert failed.kind is FailureKind.OUT_OF_MEMORY
    assert failed.reason == (
        "ran out of memory in batches of 32 (a step was estimated at 0 MB), and again in 4 micro-batches of 8; use a "
        "smaller batch_size or network, refuse such variants with space.limits.memory_mb, or run fewer trials at once "
        "(resources.max_concurrent)"
    )
    assert "OOM when allocating 8 images" in failed.details
    assert run.take_notes() == []
    assert run._training is None, "its memory is not freed"


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"most": 0, "batch_size": 1}, "in batches of 1 (a step was estimated at 0 MB), which cannot be cut smaller; "),
        (
            {"most": 8, "by_hand": True},
            "and cannot be trained in smaller ones: its train_step does not use the model's optimizer; ",
        ),
    ],
)
def test_batches_that_cannot_be_cut_end_the_trial_in_words(run_of, params, why):
    failed = failure(run_of(**params))
    assert failed.kind is FailureKind.OUT_OF_MEMORY
    assert why in failed.reason, failed.reason


def test_another_failure_of_the_second_try_is_what_it_is(run_of, monkeypatch):
    from trainables.training.training import Training

    def short_of_memory(training):
        raise MemoryError if training.num_micro_batches == 1 else RuntimeError("boom")

    monkeypatch.setattr(Training, "run_epoch", short_of_memory)
    run = run_of(most=32)
    failed = failure(run)
    assert (failed.kind, failed.reason) == (FailureKind.CODE_ERROR, "RuntimeError: boom")
    assert [note.text for note in run.take_notes()] == [NOTE]


def test_model_that_cannot_even_be_built_has_no_estimate(run_of, monkeypatch):
    def build_model(*_, **__):
        raise MemoryError

    monkeypatch.setattr("trainables.families.building.build_model", build_model)
    failed = failure(run_of(most=32))
    assert failed.reason.startswith("ran out of memory in batches of 32, and again in 4 micro-batches of 8; use")


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype("u1")), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]"), True),
        (tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (
            tf.errors.UnknownError(None, None, "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
            True,
        ),
        # As seen on an H200 that other processes had filled, in errors of two kinds.
        (tf.errors.InternalError(None, None, "Graph execution error:\n  (0) INTERNAL:  No BLAS for stream."), True),
        (tf.errors.InvalidArgumentError(None, None, "No DNN in stream executor.\n\t [[{{node conv}}]]"), True),
        (tf.errors.InternalError(None, None, "Dst tensor is not initialized."), False),
        (caused(RuntimeError("the layer failed"), MemoryError()), True),
        (ValueError("we ran out of memory cards"), False),
    ],
)
def test_too_little_memory_is_told_apart_from_other_errors(error, expected):
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize("are_graphs_alone", [False, True])
@pytest.mark.parametrize("is_building", [False, True])
def test_what_earlier_trials_left_is_let_go_before_batches_are_cut(is_building, are_graphs_alone, spec, monkeypatch):
    kept = TracedTrainings()
    variants = [Variant(family="sequential", params={"filters": filters}, seed=7) for filters in (4, 8)]
    earlier = TrialRun(trial="t0000", variant=variants[0], first_epoch=1, spec=spec, traced=kept)
    earlier.step()
    assert kept.holds_memory
    if not are_graphs_alone:
        earlier.leave()
    assert len(kept) == (0 if are_graphs_alone else 1)
    name = "__init__" if is_building else "run_epoch"
    whole = getattr(Training, name)

    def short_of_memory(training, *arguments, **named):
        if kept.holds_memory:
            raise MemoryError
        return whole(training, *arguments, **named)

    monkeypatch.setattr(Training, name, short_of_memory)
    run = TrialRun(trial="t0001", variant=variants[1], first_epoch=1, spec=spec, traced=kept)
    metrics(run, 1)
    assert run.take_notes() == []
    assert saved(run, epoch=1).num_micro_batches == 1
