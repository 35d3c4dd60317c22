"""`convfleet predict` and `convfleet evaluate`: what they print, and what they end with."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import app as cli
from orchestrator.errors import InputError
from orchestrator.inference import evaluating, predicting
from orchestrator.inference.evaluating import evaluate_export, own_study
from orchestrator.inference.predicting import predict_images
from orchestrator.inference.words import answer_lines, score_lines
from trainables.errors import DataError

ANSWERS = {
    "export": "x",
    "format": "keras",
    "targets": {"label": "classification"},
    "predictions": [
        {
            "path": "a\x1b[31m.png",
            "class": "cat",
            "probability": 0.75,
            "top": [{"class": "cat", "probability": 0.75}, {"class": "dog", "probability": 0.25}],
        }
    ],
    "problems": [{"path": "none.png", "problem": "no such file or folder"}],
}


def share(value: float | None) -> dict[str, Any]:
    return {"value": value, "interval": [0.4, 0.9]} if value is not None else {"value": None}


CLASSES = [
    {"name": "cat", "total": 3, "answers": 2, "right": 2, "recall": share(2 / 3), "precision": share(1.0), "f1": 0.8},
    {"name": "dog", "total": 0, "answers": 1, "right": 0, "recall": share(None), "precision": share(0.0), "f1": 0.0},
]
SCORES: dict[str, Any] = {
    "format": "onnx",
    "data": {"where": "photos", "images": 3, "notes": []},
    "metrics": {"loss": 0.5, "accuracy": 2 / 3},
    "intervals": {"accuracy": [0.2077, 0.9385]},
    "left_out": ["loss mine:focal, by code that the export does not hold"],
    "targets": {
        "label": {
            "kind": "classification",
            "unit": "images",
            "classes": CLASSES,
            "confusion": [[2, 1], [0, 0]],
            "calibration": {"bins": [], "expected_error": 0.125},
        }
    },
    "training_images": {"compared": True, "shared": 2, "examples": ["photos/a.png"]},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """What child processes were asked for."""
    requests: list[Mapping[str, Any]] = []

    def answer(request: Mapping[str, Any], *, on_progress: Any) -> Any:
        requests.append(request)
        on_progress("predicting images", 1, 2)
        return SCORES if "split" in request else ANSWERS

    monkeypatch.setattr(predicting, "predict_in_process", answer)
    monkeypatch.setattr(evaluating, "evaluate_in_process", answer)
    return requests


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str, str]:
    monkeypatch.setattr(sys, "argv", ["convfleet", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_answers_are_printed_before_the_error_that_names_what_has_none(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(monkeypatch, capsys, "predict", "x", "photos", "none.png", "--top", "2", "--format", "onnx")
    assert asked == [{"export": "x", "format": "onnx", "paths": ["photos", "none.png"], "top": 2, "masks": None}]
    assert out == "image          label  probability\na\\x1b[31m.png  cat    0.75, dog 0.25\n"
    assert (code, err.splitlines()[-1]) == (2, "error: none.png: no such file or folder")


def test_json_has_answers_and_problems(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, "predict", "x", "photos", "--json")
    assert (code, json.loads(out)) == (2, ANSWERS)


def test_scores_are_printed_with_intervals_and_with_what_is_known_of_training_images(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("evaluate", "x", "--data", "photos", "--label", "animal", "--set", "data.image_column=file")
    code, out, _ = run(monkeypatch, capsys, *arguments, "--allow-missing-classes")
    place = {"path": "photos", "source": None, "label": "animal", "changes": {"image_column": "file"}}
    assert (asked[0]["data"], asked[0]["allows_missing"], asked[0]["study"]) == (place, True, None)
    assert code == 0
    assert out.splitlines() == [
        "3 images of photos, by onnx",
        "  loss 0.5",
        "  accuracy 0.6667 (0.21-0.94)",
        "  not computed: loss mine:focal, by code that the export does not hold",
        "",
        "label:",
        "class  images  recall              precision      f1",
        "cat    3       0.6667 (0.40-0.90)  1 (0.40-0.90)  0.8",
        "dog    0       -                   0 (0.40-0.90)  0",
        "expected calibration error 0.125",
        "",
        "is \\ taken for  cat  dog",
        "cat             2    1",
        "dog             0    0",
        "",
        "2 of 3 images are among those that the model was trained or validated on (photos/a.png): these figures say "
        "too much",
    ]


def test_regression_and_many_classes_have_lines_of_their_own() -> None:
    values = [{"mean_absolute_error": 0.5, "r2_score": 0.25}]
    numbers = {**SCORES, "targets": {"age": {"kind": "regression", "unit": "images", "values": values}}}
    assert "value  mean absolute error  r2 score" in score_lines(numbers)
    names = [f"c{place:02d}" for place in range(40)]
    confusion = [[5 * (row == column) + (row == 1 and column == 3) for column in range(40)] for row in range(40)]
    many = {**SCORES["targets"]["label"], "classes": [{**CLASSES[0], "name": name} for name in names]}
    lines = score_lines({**SCORES, "targets": {"label": {**many, "confusion": confusion}}})
    assert "... and 10 more; --json has all" in lines
    assert lines[lines.index("is   taken for  images") + 1] == "c01  c03        1"


def test_several_targets_have_a_column_each() -> None:
    targets = {"seen": "multilabel", "age": "regression", "where": "mask"}
    answer = {
        "seen": {"flags": [], "top": []},
        "age": {"values": [4.5, 1.0]},
        "where": {"pixels": [{"class": "cell", "share": 0.25}]},
    }
    found = {"targets": targets, "predictions": [{"path": "a.png", "targets": answer}]}
    assert answer_lines(found) == [
        "image  seen  age     where: shares of pixels",
        "a.png  none  4.5, 1  cell 25.0%",
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict_images("x", []), "images: expected files or folders, got none"),
        (lambda: predict_images("x", ["a"], top=0), "top: expected a number from 1, got 0"),
        (lambda: evaluate_export("x", split="test"), "data: source, split, label and set say how other images"),
        (
            lambda: evaluate_export("x", "d", overrides=["image_column=f"]),
            "--set image_column=f: expected a key of",
        ),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_error_of_the_child_process_is_one_of_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: Any, *, on_progress: Any) -> Any:
        raise DataError("x: no such folder")

    monkeypatch.setattr(predicting, "predict_in_process", refuse)
    monkeypatch.setattr(evaluating, "evaluate_in_process", refuse)
    for call in (lambda: predict_images("x", ["a"]), lambda: evaluate_export("x", "d")):
        with pytest.raises(InputError, match=r"^x: no such folder$"):
            call()


def test_study_of_an_export_is_that_of_its_run_folder(tmp_path: Path) -> None:
    export = tmp_path / "run" / "exports" / "1-t0001"
    export.mkdir(parents=True)
    assert own_study(export) is None
    study = tmp_path / "run" / "study.yaml"
    study.write_text("name: demo\nseed: 5\ndata: {source: digits}\nspace: cnn-small\n", encoding="utf-8")
    found = own_study(export)
    assert found is not None
    assert (found["seed"], found["data"]["source"]) == (5, "digits")
    assert own_study(tmp_path / "run") is None
    study.write_text("name: [", encoding="utf-8")
    assert own_study(export) is None
