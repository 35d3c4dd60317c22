"""Several objectives in a study file: how they are read, written and refused, and what one objective stays."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from orchestrator import load_study
from orchestrator.cli import app as cli
from orchestrator.errors import JournalError
from orchestrator.journal.record_checks import check_record
from orchestrator.journal.records import JOURNAL_SCHEMA, StudyOpened, record_from_json, record_to_json
from orchestrator.pareto.goals import Goal
from orchestrator.study.spec import StudySpec

STUDY = {"name": "demo", "data": {"source": "digits"}, "space": {"family": "sequential", "params": {"filters": 8}}}


def also(section: str) -> str:
    return f"{yaml.safe_dump(STUDY)}{section}\n"


def study(objective: object) -> StudySpec:
    return load_study({**STUDY, "objective": objective})


ACCURACY = "{metric: val_accuracy}"
OBJECTIVES = [
    ("none", also("objective: []"), "objective", "got 0 in []", "name the metric alone"),
    (
        "four",
        also(f"objective: [{ACCURACY}, {{metric: val_loss}}, {{metric: parameters}}, {{metric: memory_mb}}]"),
        "objective",
        "got 4",
        "space.limits bounds costs",
    ),
    ("twice", also(f"objective: [{ACCURACY}, {ACCURACY}]"), "objective[1].metric", "'val_accuracy'", "name each once"),
    ("cost alone", also("objective: {metric: latency_ms}"), "objective.metric", "'latency_ms'", "val_accuracy first"),
    (
        "cost first",
        also(f"objective: [{{metric: parameters}}, {ACCURACY}]"),
        "objective[0].metric",
        "'parameters'",
        "{metric: parameters} after it",
    ),
    (
        "second test metric",
        also(f"objective: [{ACCURACY}, {{metric: test_loss}}]"),
        "objective[1].metric",
        "'test_loss'",
        "never steers",
    ),
    (
        "second metric",
        also(f"objective: [{ACCURACY}, {{metric: latnecy_ms}}]"),
        "objective[1].metric",
        "'latnecy_ms'",
        "did you mean 'latency_ms'?",
    ),
    (
        "slow is better",
        also(f"objective: [{ACCURACY}, {{metric: latency_ms, mode: max}}]"),
        "objective[1].mode",
        "'max'",
        "drop it",
    ),
    (
        "second mode",
        also(f"objective: [{ACCURACY}, {{metric: latency_ms, mode: low}}]"),
        "objective[1].mode",
        "'low'",
        "max, min",
    ),
    (
        "second ties",
        also(f"objective: [{ACCURACY}, {{metric: val_loss, ties: loss}}]"),
        "objective[1].ties",
        "'loss'",
        "write it there",
    ),
    ("a word", also(f"objective: [{ACCURACY}, latency_ms]"), "objective[1]", "'latency_ms'", "{metric: latency_ms}"),
    ("no metric", also(f"objective: [{ACCURACY}, {{mode: min}}]"), "objective[1].metric", "got nothing", "add metric"),
    ("lone reference", also("objective: {reference: 0.1}"), "objective.reference", "got 0.1", "write a list"),
    ("list of one", also("objective: [{reference: 0.1}]"), "objective.reference", "got 0.1", "write a list"),
    ("rule", also("export: {choose: fastest}"), "export.choose", "'fastest'", "then least latency_ms"),
    (
        "rule's condition",
        also('export: {choose: "val_accuracy is good then least latency_ms"}'),
        "export.choose",
        "'val_accuracy is good'",
        "val_accuracy >= 0.9 joined by and",
    ),
    (
        "rule's metric",
        also('export: {choose: "val_acuracy >= 0.9 then least latency_ms"}'),
        "export.choose",
        "'val_acuracy'",
        "did you mean 'val_accuracy'?",
    ),
]


@pytest.mark.parametrize("row", [row[1:] for row in OBJECTIVES], ids=[row[0] for row in OBJECTIVES])
def test_a_mistake_is_one_line_with_path_value_and_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], row: tuple[str, ...]
) -> None:
    text, place, received, fix = row
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["convfleet", "validate", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).splitlines()
    assert ended.value.code == 2
    assert [line.startswith(f"error: {path}: {place}: ") for line in lines] == [True], lines
    assert received in lines[0]
    assert fix in lines[0]


def test_a_list_has_the_main_objective_first_and_costs_are_better_when_smaller() -> None:
    objective = study([{}, {"metric": "latency_ms"}, {"metric": "val_loss", "reference": 2}]).objective
    assert (objective.metric, objective.mode) == ("val_accuracy", "max")
    assert objective.goals == (
        Goal(metric="val_accuracy", mode="max"),
        Goal(metric="latency_ms", mode="min"),
        Goal(metric="val_loss", mode="min", reference=2),
    )


def test_a_list_of_one_is_the_mapping_that_it_has() -> None:
    one, listed = study({"metric": "val_loss"}), study([{"metric": "val_loss"}])
    assert listed == one
    assert yaml.safe_load(one.to_yaml())["objective"] == {"metric": "val_loss", "mode": "min", "ties": "auto"}
    assert listed.to_yaml() == one.to_yaml()
    assert listed.study_id == one.study_id


def test_the_expanded_study_has_the_list_again_and_its_own_id() -> None:
    spec = study([{}, {"metric": "parameters", "reference": 9000}])
    again = load_study(yaml.safe_load(spec.to_yaml()))
    assert again.objective == spec.objective
    assert again.objective.goals == spec.objective.goals
    assert again.study_id == spec.study_id
    others = [
        study({}),
        study([{}, {"metric": "parameters"}]),
        study([{}, {"metric": "latency_ms", "reference": 9000}]),
    ]
    assert spec.study_id not in {other.study_id for other in others}


def opened(**fields: object) -> StudyOpened:
    known = {"schema": JOURNAL_SCHEMA, "study": "s", "seed": 0, "metric": "val_accuracy", "mode": "max"}
    return StudyOpened(**known, max_epochs=3, num_trials=2, at=1.0, **fields)


def test_a_journal_of_one_objective_has_no_key_that_earlier_versions_lack() -> None:
    one = record_to_json(opened())
    assert "objectives" not in one
    assert record_from_json(one) == opened()
    assert opened().goals == (Goal(metric="val_accuracy", mode="max"),)


def test_a_journal_of_several_objectives_has_them_all() -> None:
    goals = study([{}, {"metric": "parameters", "reference": 9000}]).objective.goals
    header = opened(objectives=[goal.to_json() for goal in goals])
    again = record_from_json(json.loads(json.dumps(record_to_json(header))))
    assert isinstance(again, StudyOpened)
    assert again.goals == goals


MAIN = {"metric": "val_accuracy", "mode": "max"}


@pytest.mark.parametrize(
    "objectives",
    [
        [MAIN],
        [{"metric": "val_loss", "mode": "min"}, MAIN],
        [MAIN, MAIN],
        [MAIN, {"metric": "parameters"}],
        [MAIN, {"metric": "parameters", "mode": "min", "reference": "far"}],
        [MAIN, "parameters"],
    ],
)
def test_a_header_whose_objectives_cannot_be_is_no_record(objectives: list[object]) -> None:
    check_record(opened(objectives=[MAIN, {"metric": "parameters", "mode": "min"}]))
    with pytest.raises(JournalError, match="objectives: expected two objectives or three"):
        check_record(opened(objectives=objectives))
