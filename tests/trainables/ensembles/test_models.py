"""What of an ensemble TensorFlow does, with checkpoints of two small trials on digits: votes, averages, one export."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.checkpoints.state_names import validated_weights
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.ensembles.models import averaging
from trainables.ensembles.models.averaging import architecture_of, check_state, mean_weights, renew_statistics
from trainables.ensembles.models.combining import member_model, voting_model
from trainables.ensembles.models.exporting import export_ensemble
from trainables.ensembles.models.predicting import predict_checkpoints, predict_split
from trainables.ensembles.models.souping import Soup, choose_soup
from trainables.ensembles.requests import Candidate, EnsembleMember, EnsembleRequest, PredictionRequest, SoupRequest
from trainables.ensembles.scores import figures_of
from trainables.errors import ModelExportError
from trainables.exporting.loading import kept_checkpoint
from trainables.files.manifests import damage_of
from trainables.specs.data import DataSpec
from trainables.specs.export import ExportRequest
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

PARAMS = {"num_blocks": 1, "filters": 4, "batch_norm": True, "batch_size": 32}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two trials of one architecture and one of another, two epochs each, all checkpoints kept."""
    folder = tmp_path_factory.mktemp("trained")
    spec = DataSpec(source="digits", limit=300, cache_dir=str(folder / "cache"))
    worker = WorkerSpec(
        dataset=prepare_dataset(spec, 3),
        data=spec,
        split_seed=3,
        training=TrainingSpec(max_epochs=2, metric="val_accuracy", mode="max", kept_every=1),
        device=DeviceSpec(cpus=1),
        checkpoints=str(folder / "checkpoints"),
    )
    variants = {
        "t0000": Variant(family="sequential", params=PARAMS | {"learning_rate": 0.01, "dropout": 0.1}, seed=1),
        "t0001": Variant(family="sequential", params=PARAMS | {"learning_rate": 0.003, "dropout": 0.2}, seed=2),
        "t0002": Variant(family="sequential", params=PARAMS | {"filters": 6}, seed=3),
    }
    reports: dict[str, Any] = {}
    for name, variant in variants.items():
        run = TrialRun(trial=name, variant=variant, first_epoch=1, spec=worker)
        for epoch in (1, 2):
            reports[f"{name}-{epoch:04d}"] = run.step()
    candidates = {name: Candidate(trial=name[:5], variant=variants[name[:5]], epoch=int(name[6:])) for name in reports}
    return SimpleNamespace(
        worker=worker, reports=reports, candidates=candidates, folder=folder, data=open_dataset(worker.dataset)
    )


def members_of_names(trained: SimpleNamespace, **weights: float) -> list[EnsembleMember]:
    return [
        EnsembleMember(candidate=trained.candidates[name.replace("_", "-")], weight=share)
        for name, share in weights.items()
    ]


def labels_of(split: Any) -> np.ndarray:
    return np.asarray(split.labels["label"][split.indices])


def test_checkpoints_predict_what_their_reports_say_and_a_missing_one_is_a_problem(trained: SimpleNamespace) -> None:
    variant = trained.candidates["t0000-0001"].variant
    answer = predict_checkpoints(
        PredictionRequest(trial="t0000", variant=variant, epochs=[1, 2, 7], worker=trained.worker)
    )
    labels = labels_of(trained.data.validation)
    for epoch in (1, 2):
        found = figures_of(answer.outputs[epoch], labels, kind="classification")
        metrics = trained.reports[f"t0000-{epoch:04d}"].metrics
        assert found == pytest.approx(
            {"accuracy": metrics["val_accuracy"], "crossentropy": metrics["val_loss"]}, rel=1e-5
        )
    assert list(answer.problems) == [7]
    assert "epoch-0007: is missing" in answer.problems[7]


def test_a_voting_model_puts_out_the_weighted_mean_of_its_members(trained: SimpleNamespace) -> None:
    members, worker = members_of_names(trained, t0000_0002=0.5, t0000_0001=0.25, t0002_0002=0.25), trained.worker
    task = worker.dataset.task
    model = voting_model(members, worker=worker)
    found = predict_split(model, trained.data.validation, task=task)
    alone = [
        predict_split(member_model(member.candidate, worker=worker), trained.data.validation, task=task)
        for member in members
    ]
    np.testing.assert_allclose(found, 0.5 * alone[0] + 0.25 * alone[1] + 0.25 * alone[2], atol=1e-6)
    assert model.count_params() == sum(
        member_model(member.candidate, worker=worker).count_params() for member in members
    )


@pytest.fixture(scope="module")
def exported(trained: SimpleNamespace) -> SimpleNamespace:
    """An ensemble of two trials in two formats."""
    members = members_of_names(trained, t0000_0002=0.75, t0001_0002=0.25)
    single = trained.candidates["t0000-0002"]
    export = ExportRequest(
        study="s",
        rank=0,
        trial="ensemble-greedy",
        variant=single.variant,
        epoch=0,
        metrics={"val_accuracy": 0.5},
        formats=("keras", "onnx"),
        folder=str(trained.folder / "exports" / "ensemble-greedy"),
        worker=trained.worker,
    )
    answer = export_ensemble(EnsembleRequest(export=export, method="greedy", members=members, single=single))
    return SimpleNamespace(answer=answer, folder=Path(export.folder), members=members, single=single)


def test_an_exported_ensemble_is_one_verified_model_whose_manifest_lists_its_members(
    exported: SimpleNamespace,
) -> None:
    assert exported.answer.export.problems == ()
    assert damage_of(exported.folder) == ""
    manifest = json.loads((exported.folder / "manifest.json").read_text(encoding="utf-8"))
    listed = [(item["trial"], item["epoch"], item["weight"]) for item in manifest["ensemble"]["members"]]
    assert listed == [("t0000", 2, 0.75), ("t0001", 2, 0.25)]
    assert [item["variant"]["params"]["learning_rate"] for item in manifest["ensemble"]["members"]] == [0.01, 0.003]
    assert manifest["ensemble"]["best_single"] == {"trial": "t0000", "epoch": 2}
    assert (manifest["trial"], manifest["rank"], manifest["variant"]["family"]) == ("ensemble-greedy", 0, "ensemble")
    assert set(manifest["parity_max_difference"]) == {"keras", "onnx"}
    assert manifest["runtimes"]["onnx"]["max_difference"] < 1e-5
    assert [path.name for path in exported.folder.parent.iterdir()] == ["ensemble-greedy"], "no draft is left"


def test_figures_on_test_are_those_of_the_file_that_was_written(
    exported: SimpleNamespace, trained: SimpleNamespace
) -> None:
    task, test = trained.worker.dataset.task, trained.data.test
    file = keras.models.load_model(exported.folder / "model.keras", safe_mode=True)
    outputs = [predict_split(file, test, task=task)]
    outputs.append(predict_split(member_model(exported.single, worker=trained.worker), test, task=task))
    right = [found.argmax(axis=1) == labels_of(test) for found in outputs]
    for measured, hits in zip((exported.answer.ensemble, exported.answer.single), right, strict=True):
        assert measured.test_metrics["accuracy"] == pytest.approx(hits.mean())
        assert set(measured.latency_seconds) == {"1", "32"}
    assert exported.answer.only_right == (np.sum(right[0] & ~right[1]), np.sum(right[1] & ~right[0]))
    assert exported.answer.ensemble.num_parameters == 2 * exported.answer.single.num_parameters
    assert exported.answer.ensemble.size_bytes > exported.answer.single.size_bytes > 0


def test_training_settings_make_no_other_architecture_and_filters_do(trained: SimpleNamespace) -> None:
    found = {
        name: architecture_of(member_model(trained.candidates[f"{name}-0001"], worker=trained.worker))
        for name in ("t0000", "t0001", "t0002")
    }
    assert found["t0000"] == found["t0001"] != found["t0002"]


def test_the_mean_of_whole_numbers_is_the_first_ones() -> None:
    states = [{"model/0000": np.array([1, 7], np.uint32)}, {"model/0000": np.array([2, 8], np.uint32)}]
    np.testing.assert_array_equal(mean_weights(states)["model/0000"], [1, 7])


def small_model(*, is_frozen: bool = False) -> keras.Model:
    image = keras.Input((8, 8, 1), name="image")
    norm = keras.layers.BatchNormalization(name="norm", momentum=0.9, trainable=not is_frozen)
    features = norm(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(
        image, keras.layers.Dense(10, activation="softmax")(keras.layers.GlobalAveragePooling2D()(features))
    )


def test_statistics_become_those_of_the_training_images(
    trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(averaging, "_BATCH", 64)  # So that the last batch alone is not all of them.
    model, train = small_model(), trained.data.train
    assert renew_statistics(model, train, task=trained.worker.dataset.task, seed=3) == 1
    pixels = np.asarray(train.images[train.indices], np.float64) / 255
    norm = model.get_layer("norm")
    assert float(norm.moving_mean[0]) == pytest.approx(pixels.mean(), rel=1e-4)
    assert float(norm.moving_variance[0]) == pytest.approx(pixels.var(), rel=1e-2)
    assert norm.momentum == 0.9


def test_frozen_statistics_stay(trained: SimpleNamespace) -> None:
    model = small_model(is_frozen=True)
    assert renew_statistics(model, trained.data.train, task=trained.worker.dataset.task, seed=3) == 0
    assert float(model.get_layer("norm").moving_mean[0]) == 0.0


class Counts(keras.layers.Layer):
    """Keeps a number that no training changes by gradients."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, inputs: Any) -> Any:
        return inputs + 0 * self.seen


def test_numbers_that_nothing_is_known_of_are_not_averaged() -> None:
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(Counts(name="counts")(image))))
    states = [
        {f"model/{place:04d}": np.full(item.shape, number) for place, item in enumerate(model.variables)}
        for number in (0.0, 1.0)
    ]
    with pytest.raises(ModelExportError, match="counts/seen is neither trained nor of batch normalisation"):
        check_state(model, states)
    states[1]["model/0000"] = states[0]["model/0000"]
    check_state(model, states)


def soup_request(trained: SimpleNamespace, *names: str, size: int = 8) -> SoupRequest:
    candidates = [trained.candidates[name] for name in names]
    return SoupRequest(trial="soup", candidates=candidates, measure="accuracy", size=size, worker=trained.worker)


def test_a_soup_keeps_what_harms_nothing_and_takes_one_architecture_alone(trained: SimpleNamespace) -> None:
    answer = choose_soup(soup_request(trained, "t0002-0002", "t0000-0002", "t0000-0001", "t0001-0002"))
    assert answer.num_others == 1
    assert [step.candidate.name for step in answer.steps] == ["t0000-0002", "t0000-0001", "t0001-0002"]
    kept = [step.figures["accuracy"] for step in answer.steps if step.is_kept]
    assert kept == sorted(kept)
    left_out = [step for step in answer.steps if not step.is_kept]
    assert all(step.figures["accuracy"] < kept[-1] or step.figures["accuracy"] < kept[0] for step in left_out)
    assert answer.steps[0].figures["accuracy"] == pytest.approx(trained.reports["t0000-0002"].metrics["val_accuracy"])


def test_a_soup_is_no_larger_than_asked_for(trained: SimpleNamespace) -> None:
    answer = choose_soup(soup_request(trained, "t0000-0002", "t0000-0001", "t0001-0002", size=1))
    assert [step.candidate.name for step in answer.steps] == ["t0000-0002"]


def test_no_soup_of_different_architectures(trained: SimpleNamespace) -> None:
    answer = choose_soup(soup_request(trained, "t0000-0002", "t0002-0002"))
    assert (list(answer.steps), answer.num_others) == ([], 2)


def test_a_soup_has_the_mean_of_the_weights_and_statistics_of_its_own(trained: SimpleNamespace) -> None:
    candidates = [trained.candidates[name] for name in ("t0000-0001", "t0000-0002")]
    soup = Soup(candidates[0], worker=trained.worker, dataset=trained.data)
    soup.set_to(candidates)
    states = [
        validated_weights(
            kept_checkpoint(trained.worker, trial=item.trial, variant=item.variant, epoch=item.epoch).state
        )
        for item in candidates
    ]
    for place, variable in enumerate(soup.model.variables):
        mean = np.mean([state[f"model/{place:04d}"] for state in states], axis=0)
        is_same = np.allclose(variable.numpy(), mean, atol=1e-6)
        if "seed" not in variable.path:
            assert is_same != ("moving" in variable.path), variable.path
    assert soup.renewed == 1
