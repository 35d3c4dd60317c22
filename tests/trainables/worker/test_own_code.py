"""Trials with losses, metrics and callbacks of a user's: trained, failed with the user's line, gone on, exported."""

import itertools
import json
import sys
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainables.data.cache.prepare import prepare_dataset
from trainables.exporting.export import export_model
from trainables.reports import EpochReport, FailureKind, NoteKind
from trainables.specs.data import DataSpec
from trainables.specs.export import ExportRequest
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.user_code import forget_modules, source_of
from trainables.worker.trial_run import TrialRun

OWN = """
import keras
import tensorflow as tf
from keras import ops

@tf.function
def doubled(number):
    return number * FACTOR

def brier(y_true, y_pred):
    return ops.sum((ops.one_hot(ops.cast(y_true, "int32"), 10) - y_pred) ** 2, axis=-1)

class Sureness(keras.metrics.Mean):
    def __init__(self):
        super().__init__(name="sureness")

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(ops.max(y_pred, axis=-1))

class Counting(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        doubled(tf.constant(epoch))
        if epoch == 2:
            logs["val_f1"]
"""

FACTORS = itertools.count(2)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def worker(tmp_path):
    """A study on digits with all three of a user's."""
    # AutoGraph rewrites a function once, and takes equal ones of two modules for one.
    own = OWN.replace("FACTOR", str(next(FACTORS)))
    (tmp_path / "own.py").write_text(own, encoding="utf-8")
    label = {"loss": "own:brier", "metrics": ["accuracy", "own:Sureness"]}
    data = DataSpec(source="digits", limit=120, cache_dir=str(tmp_path / "cache"), targets={"label": label})
    training = TrainingSpec(
        max_epochs=5,
        metric="val_sureness",
        mode="max",
        study_dir=str(tmp_path),
        code=source_of(["own"], folder=tmp_path),
        callbacks=("own:Counting",),
    )
    return WorkerSpec(
        dataset=prepare_dataset(data, 3),
        data=data,
        split_seed=3,
        training=training,
        device=DeviceSpec(cpus=1),
        checkpoints=str(tmp_path / "checkpoints"),
    )


@pytest.fixture
def trial(worker, variant_of):
    """Starts the trial from an epoch."""

    def start(*, first_epoch=1):
        return TrialRun(trial="t0000", variant=variant_of(), first_epoch=first_epoch, spec=worker)

    return start


def test_a_trial_goes_on_with_callbacks_made_anew_and_fails_with_the_users_line(trial):
    first = trial()
    assert all(isinstance(first.step(), EpochReport) for _ in range(2))
    assert first.take_notes() == []
    second = trial(first_epoch=3)
    outcome = second.step()
    assert outcome.kind is FailureKind.CODE_ERROR
    assert outcome.reason == "own.py:24: KeyError: val_f1"
    (note,) = second.take_notes()
    assert note.kind is NoteKind.CALLBACKS
    assert note.text.startswith(
        "callbacks were made anew after epoch 2, and called with the reports of the epochs so far"
    )


def test_functions_of_users_leave_no_file_behind(trial, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    begun = set(sys.modules)
    assert isinstance(trial().step(), EpochReport)
    assert any(name.startswith("__autograph_generated_file") for name in set(sys.modules) - begun)
    assert not [path for path in (tmp_path / "temporary").rglob("*") if path.is_file()]


def test_changed_code_ends_the_trial_as_other_data_does(trial, tmp_path):
    (tmp_path / "own.py").write_text(f"{OWN}# changed\n", encoding="utf-8")
    outcome = trial().step()
    assert outcome.kind is FailureKind.DATA_ERROR
    assert ": its code in" in outcome.reason


def test_an_export_has_the_users_numbers_and_loads_without_the_users_module(trial, worker, tmp_path):
    run = trial()
    report = run.step()
    request = ExportRequest(
        study="s",
        rank=1,
        trial="t0000",
        variant=run.variant,
        epoch=1,
        metrics=report.metrics,
        formats=("keras", "saved_model"),
        folder=str(tmp_path / "export"),
        worker=worker,
    )
    result = export_model(request)
    assert result.problems == ()
    assert json.loads((tmp_path / "export" / "manifest.json").read_text())["test_metrics"] == result.test_metrics
    forget_modules(tmp_path)
    (tmp_path / "own.py").unlink()
    model = keras.models.load_model(tmp_path / "export" / "model.keras")
    images, labels = split_of(worker.dataset)
    predicted = model.predict(images, verbose=0)
    served = tf.saved_model.load(str(tmp_path / "export" / "saved_model"))
    np.testing.assert_allclose(predicted, served.serve(images), atol=1e-5)
    brier = np.sum((np.eye(10)[labels] - predicted) ** 2, axis=-1).mean()
    expected = {"loss": brier, "sureness": predicted.max(axis=-1).mean()}
    assert {name: result.test_metrics[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert "own" not in sys.modules


def split_of(dataset):
    """Returns images and labels of the test split."""
    from trainables.data.cache.dataset import open_dataset

    test = open_dataset(dataset).test
    return np.asarray(test.images[test.indices], np.float32), np.asarray(test.labels["label"][test.indices])
