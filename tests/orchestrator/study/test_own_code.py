"""Losses, metrics and callbacks of a user's in a study file: found without running them, and part of what it is."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import load_study

CODE = """
import keras, helper

def focal(y_true, y_pred): ...

def short(y_true): ...

class Kappa(keras.metrics.Metric): ...

class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None): ...

class Batches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None): ...

def made(): ...

def wants(argument): ...
"""
STUDY = {"name": "s", "data": {"source": "digits"}, "space": {"family": "sequential", "params": {}}}


def write(folder: Path, **changes: Any) -> Path:
    (folder / "own.py").write_text(CODE, encoding="utf-8")
    (folder / "helper.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "s.yaml").write_text(yaml.safe_dump({**STUDY, **changes}), encoding="utf-8")
    return folder / "s.yaml"


def target(**settings: Any) -> dict[str, Any]:
    return {"source": "digits", "targets": {"label": settings}}


def space(**params: Any) -> dict[str, Any]:
    return {"family": "sequential", "params": params}


def complaint(study: Path) -> str:
    with pytest.raises(StudyFileError) as caught:
        load_study(study)
    return str(caught.value)


FOUND: dict[str, dict[str, Any]] = {
    "a loss": {"data": target(loss="own:focal")},
    "a metric": {"data": target(metrics=["accuracy", "own:Kappa", "own:focal"])},
    "a searched loss": {"space": space(loss={"choice": ["targets", "own:focal"]})},
    "a callback": {"callbacks": "own:Stop"},
    "callbacks": {"callbacks": ["own:Stop", "own:made"]},
}


@pytest.mark.parametrize("changes", [pytest.param(row, id=name) for name, row in FOUND.items()])
def test_own_code_is_found_and_its_hash_is_part_of_the_study(tmp_path: Path, changes: dict[str, Any]) -> None:
    study = write(tmp_path, **changes)
    spec = load_study(study)
    assert spec.code.startswith("own=")
    (tmp_path / "run").mkdir()
    expanded = tmp_path / "run" / "study.yaml"
    expanded.write_text(spec.to_yaml(), encoding="utf-8")
    assert load_study(expanded) == spec
    # A module that the named one imports counts as well.
    (tmp_path / "helper.py").write_text("x = 2\n", encoding="utf-8")
    told = complaint(expanded)
    assert f"code: the code of own in {tmp_path} is not what the run began with (got own=" in told
    assert load_study(study).study_id != spec.study_id


def test_a_study_without_own_code_has_none(tmp_path: Path) -> None:
    spec = load_study(write(tmp_path))
    assert (spec.code, spec.callbacks) == ("", ())
    given = {**STUDY, "code": "own=0123456789ab"}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    assert "code: the study names no loss, metric or callback of yours, got" in complaint(tmp_path / "s.yaml")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such name": (
        {"data": target(loss="own:fokal")},
        "data.targets.label.loss: {folder}/own.py has no function, class or object 'fokal'; did you mean 'focal'?",
    ),
    "no such module": ({"data": target(metrics=["mine:Kappa"])}, "data.targets.label.metrics: no module mine.py in"),
    "too few arguments": (
        {"space": space(loss="own:short")},
        "space.params.loss: {folder}/own.py, line 6: short must take (y_true, y_pred), got (y_true)",
    ),
    "a callback with an argument": (
        {"callbacks": ["own:wants"]},
        "callbacks: {folder}/own.py, line 18: wants must take ()",
    ),
    "batches": (
        {"callbacks": ["own:Batches"]},
        "callbacks: {folder}/own.py, line 14: Batches has on_train_batch_end, but an epoch runs compiled as a whole",
    ),
    "a name alone": ({"callbacks": ["Stop"]}, "callbacks: expected 'module:function', got 'Stop'; for example"),
    "smoothing": (
        {"data": target(loss="own:focal"), "space": space(label_smoothing=0.1)},
        "space.params.label_smoothing: it has no effect on a loss of your own; give it to that loss, or drop it",
    ),
    "an objective without a mode": (
        {"data": target(metrics=["own:Kappa"]), "objective": {"metric": "val_kappa"}},
        "objective.mode: which is better of val_kappa, a number of your own? write mode: max or mode: min",
    ),
    "a wrong name": (
        {"data": target(loss="fokal")},
        "data.targets.label.loss: a classification target has one of categorical_crossentropy",
    ),
}


@pytest.mark.parametrize(("changes", "message"), [pytest.param(*row, id=name) for name, row in REFUSED.items()])
def test_what_cannot_work_is_refused_before_anything_runs(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    assert message.format(folder=tmp_path) in complaint(write(tmp_path, **changes))


def test_a_metric_of_a_users_may_be_the_objective_and_is_never_the_usual_one(tmp_path: Path) -> None:
    data = target(metrics=["own:Kappa", "accuracy"])
    assert load_study(write(tmp_path, data=data)).objective.metric == "val_accuracy"
    spec = load_study(write(tmp_path, data=data, objective={"metric": "val_kappa", "mode": "max"}))
    assert (spec.objective.metric, spec.objective.mode) == ("val_kappa", "max")
