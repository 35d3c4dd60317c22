"""An analysis has the same numbers in the terminal, in JSON, in Python and in the report."""

import json
import re
from dataclasses import asdict
from html import unescape

import plotly.graph_objects as go
import pytest
from known_effects import by_learning_rate, curves_of, made, made_records, mirrored

from orchestrator.analysis.analysis import analysis_json, analysis_of
from orchestrator.cli.console import make_console
from orchestrator.driver.result import StudyResult
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.text import number
from orchestrator.views.report import write_report
from orchestrator.views.terminal.analysis_view import print_analysis

FIGURES = re.compile(r'<script type="application/json" data-figure="(\w+)">(.*?)</script>', re.DOTALL)
EMPTY_SAVINGS = {
    "num_stopped": int,
    "epochs": int,
    "core_seconds": float,
    "patience_epochs": int,
    "best_trial": str,
    "num_compared": int,
    "num_close": int,
    "noise": str,
}


@pytest.fixture(scope="module", params=["max", "min"])
def state(request):
    records = made_records(curves_of(by_learning_rate, count=50, stopped=0.4))
    return fold(records if request.param == "max" else mirrored(records))


@pytest.fixture(scope="module")
def analysis(state):
    return analysis_of(state)


@pytest.fixture(scope="module")
def told(analysis):
    return analysis_json(analysis)


@pytest.fixture
def terminal(analysis, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    print_analysis(make_console(), analysis)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def page(state, tmp_path_factory):
    html = write_report(RunFolder(tmp_path_factory.mktemp("run")), state=state).read_text(encoding="utf-8")
    figures = {name: json.loads(data) for name, data in FIGURES.findall(html)}
    text = unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)))
    return " ".join(text.split()), figures


def test_terminal_and_report_say_what_json_says(told, terminal, page):
    flat, (text, _) = " ".join(terminal.split()), page
    for item in told["importance"]["parameters"]:
        ends = f"{item['share']:.2f} {item['low']:.2f} to {item['high']:.2f} {item['num_trials']}"
        assert f"{item['name']} {ends}" in flat
        assert f"{item['name']} {ends}" in text
    for place, effect in enumerate(told["effects"]):
        for part in effect["bins"]:
            ends = f"{number(part['low'])} to {number(part['high'])} {number(part['best'])} {part['num_trials']}"
            row = f"{part['label']} {number(part['mean'])} {ends}"
            assert f"{effect['parameter']} {row}" in text
            assert place >= 3 or row in flat
    for step in told["best_so_far"][-10:]:
        row = f"{step['trial']} {step['epoch']} {number(step['value'])} {step['num_trials']} {step['num_epochs']}"
        assert row in flat
        assert row in text
    savings = told["savings"]
    for sentence in (
        f"{savings['num_stopped']} trials were stopped early: {savings['epochs']} epochs",
        f"{savings['num_close']} of {savings['num_compared']} stopped trials were then as good as the best trial",
        *told["notes"],
    ):
        assert sentence in flat
        assert sentence in text


def test_figures_of_the_report_have_the_numbers_of_json(told, page):
    _, figures = page
    assert {"importance", "effects", "pair", "progress"} <= set(figures)
    for figure in figures.values():
        go.Figure(figure)
    (bars,) = figures["importance"]["data"]
    shares = {item["name"]: item["share"] for item in told["importance"]["parameters"] if item["share"] is not None}
    assert dict(zip(bars["y"], bars["x"], strict=True)) == shares
    for trace, effect in zip(figures["effects"]["data"], told["effects"], strict=False):
        assert trace["y"] == [part["mean"] for part in effect["bins"]]
    assert figures["pair"]["data"][0]["z"] == told["pair"]["means"]
    assert figures["progress"]["data"][0]["y"] == [step["value"] for step in told["best_so_far"]]


def test_python_has_the_numbers_of_json(state, told, tmp_path):
    result = StudyResult(folder=RunFolder(tmp_path), state=state)
    assert result.analysis() == told
    shares = [(row["parameter"], row["share"], row["low"]) for row in result.importance().to_pylist()]
    assert shares == [(item["name"], item["share"], item["low"]) for item in told["importance"]["parameters"]]
    assert asdict(result.savings()) == told["savings"]
    steps = [{**step, "trials": step["num_trials"], "epochs": step["num_epochs"]} for step in told["best_so_far"]]
    for step in steps:
        del step["num_trials"], step["num_epochs"]
    assert result.best_so_far().to_pylist() == steps
    means = [(row["parameter"], row["value"], row["mean"], row["trials"]) for row in result.effects().to_pylist()]
    assert means == [
        (effect["parameter"], part["label"], part["mean"], part["num_trials"])
        for effect in told["effects"]
        for part in effect["bins"]
    ]


def test_the_keys_of_the_json_stay():
    told = analysis_json(analysis_of(made(curves_of(by_learning_rate, count=60, stopped=0.4))))
    assert json.loads(json.dumps(told, allow_nan=False)) == {**told, "effects": told["effects"]}
    assert shape(told) == {
        "study": str,
        "objective": {"metric": str, "mode": str},
        "num_trials": int,
        "epoch": int,
        "notes": [str],
        "importance": {
            "reason": str,
            "explained": float,
            "model": str,
            "parameters": [
                {
                    "name": str,
                    "share": float,
                    "low": float,
                    "high": float,
                    "num_trials": int,
                    "is_conditional": bool,
                    "reason": str,
                }
            ],
        },
        "effects": [
            {
                "parameter": str,
                "is_ordered": bool,
                "is_conditional": bool,
                "bins": [
                    {
                        "label": str,
                        "values": [float],
                        "num_trials": int,
                        "mean": float,
                        "low": float,
                        "high": float,
                        "best": float,
                    }
                ],
            }
        ],
        "pair": {
            "parameters": [str],
            "rows": [str],
            "columns": [str],
            "means": [[float]],
            "num_trials": [[int]],
        },
        "best_so_far": [
            {
                "trial": str,
                "epoch": int,
                "value": float,
                "num_trials": int,
                "num_epochs": int,
                "seconds": float,
                "core_seconds": float,
            }
        ],
        "savings": EMPTY_SAVINGS,
    }


def shape(content):
    """Returns the kinds of a JSON document's values: of a list those of its first."""
    if isinstance(content, dict):
        return {name: shape(value) for name, value in content.items()}
    return [shape(content[0])] if isinstance(content, list) else type(content)


def test_without_numbers_all_views_say_why(tmp_path, capsys):
    state = made(curves_of(by_learning_rate, count=5))
    reason = "oo few: 5 trials with a value, at least 20 are needed"
    print_analysis(make_console(), analysis_of(state))
    assert reason in capsys.readouterr().out
    assert reason in write_report(RunFolder(tmp_path), state=state).read_text(encoding="utf-8")
    assert StudyResult(folder=RunFolder(tmp_path), state=state).importance().num_rows == 0


def test_hostile_names_and_values_do_not_become_elements(tmp_path):
    hostile = "<img src=x>"
    curves = curves_of(by_learning_rate, count=40)
    for place, curve in enumerate(curves):
        curve.params[hostile] = f"{hostile}{place % 3}"
    html = write_report(RunFolder(tmp_path), state=made(curves)).read_text(encoding="utf-8")
    assert "&lt;img src=x&gt;0" in html
    assert "<img" not in html.replace(html[html.index("<script>/**") : html.rindex("<script>")], "")
