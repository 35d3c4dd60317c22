"""Targets, image inputs, objective and families of a study fit together, or one line says why not."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import parse_study
from orchestrator.study.spec import StudySpec

TWO = {"ink": {"kind": "regression"}, "digit": {"column": "label", "metrics": ["accuracy", "auc"]}}


def study(*, family: object = "multitask", **sections: Any) -> StudySpec:
    data = {"source": "digits", "targets": TWO}
    return parse_study({"name": "s", "data": data, "space": {"family": family}, **sections}, base=Path())


@pytest.mark.parametrize(
    ("objective", "metric", "mode"),
    [
        ({}, "val_ink_mae", "min"),
        ({"metric": "val_ink_mae"}, "val_ink_mae", "min"),
        ({"metric": "val_ink_loss"}, "val_ink_loss", "min"),
        ({"metric": "val_digit_accuracy"}, "val_digit_accuracy", "max"),
        ({"metric": "val_digit_auc"}, "val_digit_auc", "max"),
        ({"metric": "digit_loss"}, "digit_loss", "min"),
        ({"metric": "val_loss"}, "val_loss", "min"),
        ({"metric": "val_digit_auc", "mode": "min"}, "val_digit_auc", "min"),
    ],
)
def test_the_objective_may_be_any_heads_metric_and_knows_which_way_is_better(
    objective: dict[str, str], metric: str, mode: str
) -> None:
    found = study(objective=objective).objective
    assert (found.metric, found.mode) == (metric, mode)


def targets(**entries: Any) -> dict[str, Any]:
    return {"data": {"source": "digits", "targets": entries}}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"objective": {"metric": "val_accuracy"}}, "objective.metric: must be one of val_ink_mae, val_ink_loss"),
        ({"objective": {"metric": "val_ink_mse"}}, "got 'val_ink_mse'; did you mean 'val_ink_mae'?"),
        ({"objective": {"metric": "test_ink_mae"}}, "objective.metric: must not be a test metric"),
        ({"objective": {"metric": "val_ink_mae", "mode": "max"}}, "objective.mode: val_ink_mae is better when it is "
         "smaller, got 'max': the study would look for the worst variant; drop it"),
        ({"objective": {"metric": "val_loss", "mode": "max"}}, "objective.mode: val_loss is better when it is smaller"),
        ({"family": "sequential"}, "space.family: 'sequential' predicts one target, but data.targets has 2: ink, "
         "digit; use family multitask"),
        ({"family": {"choice": ["multitask", "residual"]}}, "space.family: 'residual' predicts one target"),
        (targets(ink={"knd": "regression"}), "data.targets.ink.knd: unknown key, got 'regression'; did"),
        (targets(ink={"kind": "regresion"}), "data.targets.ink.kind: must be one of classification, multilabel"),
        (targets(ink={"kind": "regression", "loss": "mse"}), "data.targets.ink.loss: a regression target has one"),
        (targets(ink={"metrics": ["mae"]}), "data.targets.ink.metrics: a classification target has some of"),
        (targets(ink={"metrics": ["auc", "auc"]}), "data.targets.ink.metrics: expected each once, got"),
        (targets(ink={"metrics": "auc"}), "data.targets.ink.metrics: must be a list, got 'auc'; for example"),
        (targets(ink={"weight": 0}), "data.targets.ink.weight: must be greater than 0, got 0; for example"),
        (targets(ink=5), "data.targets.ink: must be a mapping with keys such as kind, column, loss, weight"),
        (targets(iink={}), "data.targets: iink: source 'digits' has the label columns label, ink, quadrants"),
        ({"data": {"source": "digits", "targets": ["ink"]}}, "data.targets: must be a mapping with keys such as kind"),
        ({"data": {"source": "digits", "inputs": "left"}}, "data.inputs: must be a list, got 'left'; for"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_with_its_path_and_the_way_out(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(**sections)
    lines = [line for line in str(caught.value).splitlines() if message in line]
    assert len(lines) == 1, str(caught.value)
    assert lines[0].startswith("study: ")


def test_families_of_one_image_are_refused_where_examples_have_two(tmp_path: Path) -> None:
    (tmp_path / "pairs.npz").touch()
    data = {"source": "npz", "path": "pairs.npz", "inputs": ["left", "right"]}
    with pytest.raises(StudyFileError, match=r"'functional' takes one image, but data.inputs has 2: left, right; use"):
        parse_study({"name": "s", "data": data, "space": {"family": "functional"}}, base=tmp_path)
    found = parse_study({"name": "s", "data": data, "space": {"family": "multitask"}}, base=tmp_path)
    assert found.data.input_names == ("left", "right")


def test_an_expanded_study_of_several_targets_is_read_back_as_the_same() -> None:
    import yaml

    spec = study(objective={"metric": "val_ink_mae"})
    again = parse_study(yaml.safe_load(spec.to_yaml()), base=Path())
    assert again.study_id == spec.study_id
    assert again.data.targets == spec.data.targets
