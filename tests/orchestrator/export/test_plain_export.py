"""Exports of models of classes: plain Keras loads them, with none of the code that made them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import orchestrator
from orchestrator.cluster.processes import TaskAnswer
from orchestrator.errors import ExportError
from orchestrator.export import tasks
from search_spaces import Variant
from trainables.checkpoints.early_notes import EarlyNotes
from trainables.data.cache.prepare import prepare_dataset
from trainables.errors import ModelExportError
from trainables.files.manifests import MANIFEST, damage_of
from trainables.reports import EpochReport
from trainables.specs.data import DataSpec
from trainables.specs.dataset import DatasetInfo
from trainables.specs.export import ExportRequest
from trainables.specs.task import Task
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

STUDIES = Path(orchestrator.__file__).parent / "studies"
TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)

#: A layer with weights of its own: no graph of Keras's layers can hold it.
OWN_WEIGHTS = """
import keras
from keras import layers

class Scaled(layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        return inputs * self.factor

def build(params, input_shape, targets):
    image = keras.Input(input_shape)
    features = layers.Flatten()(Scaled()(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(10, activation="softmax")(features))
"""

PLAIN_KERAS = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("orchestrator", "trainables", "search_spaces", "custom_model", "nets"):
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Blocker())
import keras, numpy as np, tensorflow as tf
images = np.load("images.npy")
for folder in sys.argv[1:]:
    model = keras.models.load_model(folder + "/model.keras")
    served = tf.saved_model.load(folder + "/saved_model")
    np.savez(folder + "/plain.npz", keras=model.predict(images, verbose=0), saved_model=served.serve(images))
    print("loaded", folder, model.count_params())
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataSpec, DatasetInfo]:
    spec = DataSpec(source="digits", limit=200, cache_dir=str(tmp_path_factory.mktemp("cache")))
    return spec, prepare_dataset(spec, 3)


@pytest.fixture
def request_of(data: tuple[DataSpec, DatasetInfo], tmp_path: Path) -> Callable[..., ExportRequest]:
    """Trains a variant for an epoch and returns the request to export it."""

    def make(variant: Variant, *, study_dir: Path = STUDIES, formats: tuple[str, ...]) -> ExportRequest:
        worker = WorkerSpec(
            dataset=data[1],
            data=data[0],
            split_seed=3,
            training=TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max", study_dir=str(study_dir)),
            device=DeviceSpec(cpus=1),
            checkpoints=str(tmp_path / "checkpoints"),
        )
        report = TrialRun(trial=variant.family, variant=variant, first_epoch=1, spec=worker).step()
        assert isinstance(report, EpochReport), report
        return ExportRequest(
            study="s",
            rank=1,
            trial=variant.family,
            variant=variant,
            epoch=1,
            metrics=report.metrics,
            formats=formats,
            folder=str(tmp_path / "exports" / variant.family),
            worker=worker,
        )

    return make


@pytest.mark.slow
def test_models_of_classes_load_in_plain_keras_and_predict_what_their_checkpoints_do(
    request_of: Callable[..., ExportRequest], tmp_path: Path
) -> None:
    from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint
    from trainables.exporting.export import export_model
    from trainables.exporting.loading import restored_model

    params: dict[str, dict[str, Any]] = {
        "subclassed": {"filters": 8, "num_blocks": 3, "dropout": 0.1, "l2": 1e-4, "ema_momentum": 0.5},
        "sequential": {"filters": 4, "num_blocks": 2},
        "custom": {"function": "custom_model:build", "width": 6},
    }
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    folders, expected, counts = [], [], []
    for family, own in params.items():
        variant = Variant(family=family, params=own, seed=1)
        request = request_of(variant, formats=("keras", "saved_model"))
        folders.append(export_model(request).folder)
        checkpoint = checkpoint_folder(Path(request.worker.checkpoints) / family, epoch=1)
        loaded = load_checkpoint(checkpoint, variant_id=variant.variant_id)
        model = restored_model(variant, loaded, task=TASK, study_dir=str(STUDIES))
        expected.append(model.predict(images, verbose=0))
        auxiliary = getattr(model, "auxiliary", None)
        counts.append(model.count_params() - (auxiliary.count_params() if auxiliary else 0))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", PLAIN_KERAS, *folders]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("loaded")]
    assert told == [[folder, str(count)] for folder, count in zip(folders, counts, strict=True)]
    for folder, wanted in zip(folders, expected, strict=True):
        with np.load(f"{folder}/plain.npz") as plain:
            for name in ("keras", "saved_model"):
                np.testing.assert_allclose(plain[name], wanted, atol=1e-5, err_msg=f"{folder} {name}")


def test_a_kill_while_an_export_is_replaced_leaves_it_whole(
    request_of: Callable[..., ExportRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainables.exporting.export import export_model

    variant = Variant(family="sequential", params={"filters": 4, "num_blocks": 1}, seed=1)
    request = request_of(variant, formats=("keras",))
    folder, delete = Path(export_model(request).folder), shutil.rmtree

    def killed(path: Any, **options: Any) -> None:
        if Path(path) == folder:
            (folder / "model.keras").unlink()
            raise KeyboardInterrupt
        delete(path, **options)

    monkeypatch.setattr(shutil, "rmtree", killed)
    with suppress(KeyboardInterrupt):
        export_model(request)
    assert damage_of(folder) == ""
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "no draft is left"


@pytest.mark.slow
def test_what_plain_keras_cannot_load_is_refused_in_words_and_exported_as_a_saved_model(
    request_of: Callable[..., ExportRequest], tmp_path: Path
) -> None:
    from trainables.exporting.export import export_model

    (tmp_path / "nets.py").write_text(OWN_WEIGHTS, encoding="utf-8")
    variant = Variant(family="custom", params={"function": "nets:build"}, seed=1)
    request = request_of(variant, study_dir=tmp_path, formats=("keras", "saved_model"))
    result = export_model(request)
    folder = Path(result.folder)
    described = {MANIFEST, "model_card.md", "model_card.html", "worst_mistakes.png"}
    assert {path.name for path in folder.iterdir()} - described == {"saved_model"}
    (problem,) = result.problems
    for words in (
        "custom: model.keras: plain Keras cannot load nets.Scaled",
        "make the model of keras.layers",
        "--format",
    ):
        assert words in problem
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["formats_left_out"] == {"keras": problem}
    assert manifest["parity_max_difference"].keys() == {"saved_model"}
    (figures,) = manifest["test_figures"].values()
    assert sum(map(sum, figures["confusion"])) == manifest["splits"]["test"] == figures["mistakes"]["images"]
    assert figures["mistakes"]["file"] == "worst_mistakes.png"
    shutil.rmtree(folder)
    with pytest.raises(ModelExportError) as caught:
        export_model(replace(request, formats=("keras",)))
    shown = tasks._outcome(TaskAnswer(request=request, error=caught.value))
    assert (type(shown), str(shown)) == (ExportError, problem)
    assert list(folder.parent.iterdir()) == []


AUGMENTING = """
import keras
from keras import layers

def build(params, input_shape, targets):
    image = keras.Input(input_shape)
    features = layers.RandomFlip("horizontal")(layers.Rescaling(1 / 255)(image))
    features = layers.RandomRotation(0.1)(layers.RandomContrast(0.5)(features))
    features = layers.Resizing(6, 6)(features)
    features = layers.BatchNormalization()(layers.Conv2D(4, 3)(features))
    features = layers.Dropout(0.5)(layers.GaussianNoise(0.3)(features))
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.Flatten()(features)))
"""


@pytest.mark.slow
def test_layers_that_act_in_training_do_nothing_in_any_format(
    request_of: Callable[..., ExportRequest], tmp_path: Path
) -> None:
    import tensorflow as tf

    from trainables.exporting.export import export_model

    (tmp_path / "nets.py").write_text(AUGMENTING, encoding="utf-8")
    variant = Variant(family="custom", params={"function": "nets:build"}, seed=1)
    result = export_model(request_of(variant, study_dir=tmp_path, formats=("keras", "saved_model")))
    assert result.problems == ()
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype(np.float32)
    wanted = keras.models.load_model(f"{result.folder}/model.keras").predict(images, verbose=0)
    served = tf.saved_model.load(f"{result.folder}/saved_model")
    for _ in range(2):
        np.testing.assert_allclose(np.asarray(served.serve(images)), wanted, atol=1e-5)


@pytest.mark.slow
def test_what_cannot_be_exported_is_noted_before_the_first_epoch(
    request_of: Callable[..., ExportRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainables.training.training import Training

    (tmp_path / "nets.py").write_text(OWN_WEIGHTS, encoding="utf-8")
    variant = Variant(family="custom", params={"function": "nets:build"}, seed=1)
    request = request_of(variant, study_dir=tmp_path, formats=("keras",))
    seen: list[list[str]] = []
    told: list[list[str]] = []
    worker = replace(request.worker, formats=("keras", "saved_model"), checkpoints=str(tmp_path / "others"))
    early = EarlyNotes(tmp_path / "others")
    run = TrialRun(trial="t0001", variant=variant, first_epoch=1, spec=worker)
    epoch = Training.run_epoch

    def run_epoch(training: Training) -> EpochReport:
        seen.append([note.text for note in run._notes])
        told.append(early.since_last())
        return epoch(training)

    monkeypatch.setattr(Training, "run_epoch", run_epoch)
    plain = Variant(family="custom", params={"function": "plain:build"}, seed=1)
    (tmp_path / "plain.py").write_text(AUGMENTING, encoding="utf-8")
    assert isinstance(run.step(), EpochReport)
    other = TrialRun(trial="t0002", variant=plain, first_epoch=1, spec=worker)
    assert isinstance(other.step(), EpochReport)
    # Both files of it can be made: all there is to say is of its batch normalisation.
    (slow,) = [note.text for note in other.take_notes()]
    assert slow.startswith("batch normalisation has a momentum of 0.99: after the 2 steps")
    (note,) = seen[0]
    # The driver can read each while the first epoch of its trial is at work.
    assert told == [[note], [slow]]
    assert note.startswith("model.keras of this model cannot be exported: plain Keras cannot load nets.Scaled; make")


@pytest.mark.slow
def test_weights_alone_are_exported_like_the_checkpoint_they_were_and_evicted_ones_say_so(
    request_of: Callable[..., ExportRequest],
) -> None:
    from trainables.checkpoints.weights import reduce_to_weights, reduced_epochs
    from trainables.exporting.export import export_model

    variant = Variant(family="sequential", params={"filters": 4, "ema_momentum": 0.5}, seed=1)
    request = request_of(variant, formats=("keras",))
    whole = export_model(request)
    trial = Path(request.worker.checkpoints) / "sequential"
    reduce_to_weights(trial, epoch=1, variant_id=variant.variant_id)
    assert [path.name for path in trial.iterdir()] == ["weights-0001"]
    assert reduced_epochs(trial) == [1]
    assert export_model(request).test_metrics == whole.test_metrics

    shutil.rmtree(trial)
    with pytest.raises(ModelExportError, match=r"its best checkpoint cannot be exported: .*epoch-0001: is missing"):
        export_model(request)
    words = "its checkpoints were deleted to keep storage.checkpoint_budget_gb"
    with pytest.raises(ModelExportError, match=f"sequential: {words}; export fewer models with --top"):
        export_model(replace(request, evicted=f"{words}; an export trains it again"))


#: A prediction that calls Python, behind a batch normalisation as Keras makes it.
CALLING = """
import keras, tensorflow as tf
from keras import layers

class Calling(layers.Layer):
    def call(self, inputs):
        doubled = tf.numpy_function(lambda array: array * 2.0, [inputs], tf.float32)
        doubled.set_shape(inputs.shape)
        return doubled
    def compute_output_shape(self, shape):
        return shape

def build(params, input_shape, targets):
    image = keras.Input(input_shape)
    features = layers.Flatten()(layers.BatchNormalization()(Calling()(layers.Rescaling(1 / 255)(image))))
    return keras.Model(image, layers.Dense(10, activation="softmax")(features))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("judged_after", "num_steps"), [(1, 4), (2, 8), (0, 12)])
def test_what_no_saved_model_holds_and_averages_too_slow_are_noted_before_the_first_epoch(
    data: tuple[DataSpec, DatasetInfo], tmp_path: Path, judged_after: int, num_steps: int
) -> None:
    (tmp_path / "nets.py").write_text(CALLING, encoding="utf-8")
    variant = Variant(family="custom", params={"function": "nets:build", "batch_size": data[1].num_train // 4}, seed=1)
    spec = TrainingSpec(
        max_epochs=3, metric="val_accuracy", mode="max", study_dir=str(tmp_path), judged_after=judged_after
    )
    worker = WorkerSpec(
        dataset=data[1], data=data[0], split_seed=3, training=spec, device=DeviceSpec(cpus=1),
        checkpoints=str(tmp_path / "checkpoints"), formats=("keras", "saved_model"),
    )  # fmt: skip
    run = TrialRun(trial="t0001", variant=variant, first_epoch=1, spec=worker)
    assert isinstance(run.step(), EpochReport)
    keras_note, served_note, slow_note = [note.text for note in run.take_notes()]
    assert keras_note.startswith("model.keras of this model cannot be exported: plain Keras cannot load nets.Calling")
    assert served_note.startswith("saved_model of this model cannot be exported: its prediction calls Python")
    assert f"a momentum of 0.99: after the {num_steps} steps until a trial is first judged" in slow_note
    if judged_after == 1:
        from trainables.exporting.export import export_model

        request = ExportRequest(
            study="s", rank=1, trial="t0001", variant=variant, epoch=1, metrics={}, formats=("saved_model",),
            folder=str(tmp_path / "exports"), worker=worker,
        )  # fmt: skip
        with pytest.raises(ModelExportError, match=r"^t0001: saved_model: its prediction calls Python"):
            export_model(request)
