"""A trial goes on, and is exported, only as the model that it was trained as."""

from dataclasses import replace
from pathlib import Path

import pytest

from trainables.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from trainables.checkpoints.weights import load_validated, reduce_to_weights
from trainables.data.cache.prepare import prepare_dataset
from trainables.errors import ModelExportError
from trainables.reports import EpochReport, Failure, FailureKind
from trainables.specs.data import DataSpec
from trainables.specs.export import ExportRequest
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

pytestmark = pytest.mark.usefixtures("one_thread")

#: A function whose model follows from what is neither a parameter nor a file.
NETS = """
import os, keras
from keras import layers
def build(params, input_shape, targets):
    image = keras.Input(input_shape)
    features = layers.Dense(8, activation=os.environ.get("THE_ACTIVATION", "relu"))(layers.Flatten()(image / 255.0))
    return keras.Model(image, layers.Dense(targets[0].size, activation="softmax")(features))
"""
DIFFERENCE = "layer 3 of 5, Dense: activation was 'relu' and is 'elu' now; restore what the function reads (a file, "


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    spec = DataSpec(source="digits", limit=100, cache_dir=str(tmp_path_factory.mktemp("cache")))
    return spec, prepare_dataset(spec, 3)


@pytest.fixture
def spec(data, tmp_path):
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    return WorkerSpec(
        dataset=data[1],
        data=data[0],
        split_seed=3,
        training=TrainingSpec(max_epochs=3, metric="val_accuracy", mode="max", study_dir=str(tmp_path)),
        device=DeviceSpec(cpus=1),
        checkpoints=str(tmp_path / "checkpoints"),
    )


@pytest.fixture
def variant(variant_of):
    return replace(variant_of("custom"), params={"function": "nets:build", "batch_size": 32})


def step(spec, variant, *, first_epoch):
    return TrialRun(trial="t0001", variant=variant, first_epoch=first_epoch, spec=spec).step()


def test_a_trial_whose_function_builds_another_model_ends_with_what_differs(spec, variant, monkeypatch):
    assert isinstance(step(spec, variant, first_epoch=1), EpochReport)
    assert isinstance(step(spec, variant, first_epoch=2), EpochReport)
    monkeypatch.setenv("THE_ACTIVATION", "elu")
    failure = step(spec, variant, first_epoch=3)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.DATA_ERROR
    assert failure.reason.startswith(
        "function 'nets:build' builds another model than that of t0001's checkpoint epoch-"
    )
    assert DIFFERENCE in failure.reason
    monkeypatch.delenv("THE_ACTIVATION")
    assert isinstance(step(spec, variant, first_epoch=3), EpochReport)


def test_a_checkpoint_of_before_goes_on_without_the_comparison(spec, variant, monkeypatch):
    step(spec, variant, first_epoch=1)
    folder = Path(spec.checkpoints) / "t0001"
    checkpoint = load_checkpoint(folder / "epoch-0001", variant_id=variant.variant_id)
    assert checkpoint.model is not None
    save_checkpoint(folder, replace(checkpoint, model=None))
    monkeypatch.setenv("THE_ACTIVATION", "elu")
    assert isinstance(step(spec, variant, first_epoch=2), EpochReport)


def test_an_export_of_another_model_is_refused_with_what_differs(spec, variant, monkeypatch, tmp_path):
    from trainables.exporting.export import export_model

    report = step(spec, variant, first_epoch=1)
    folder = Path(spec.checkpoints) / "t0001"
    # Also where the weights alone are left.
    reduce_to_weights(folder, epoch=1, variant_id=variant.variant_id)
    assert load_validated(folder, epoch=1, variant_id=variant.variant_id).model is not None
    request = ExportRequest(
        study="s", rank=1, trial="t0001", variant=variant, epoch=1, metrics=report.metrics, formats=("keras",),
        folder=str(tmp_path / "exports"), worker=spec,
    )  # fmt: skip
    monkeypatch.setenv("THE_ACTIVATION", "elu")
    with pytest.raises(ModelExportError, match="builds another model now: layer 3 of 5, Dense: activation was 'relu'"):
        export_model(request)
    monkeypatch.delenv("THE_ACTIVATION")
    assert export_model(request).problems == ()


def test_families_of_convfleet_keep_no_signature(training_of, variant_of):
    assert training_of(variant_of()).signature is None
