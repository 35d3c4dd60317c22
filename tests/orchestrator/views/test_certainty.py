"""Intervals, ties, reference rows and the verdict in terminal, JSON and report; nothing of them for older runs."""

import json
import re
from io import StringIO

import pytest
from rich.console import Console

from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.references_file import write_references_file
from orchestrator.views.report import write_report
from orchestrator.views.terminal.status_json import status_json
from orchestrator.views.terminal.summary import print_status, print_summary

MAJORITY = {
    "name": "majority class",
    "is_blind": True,
    "images": {"validation": 5_000, "test": 500},
    "metrics": {"val_accuracy": 0.2, "test_accuracy": 0.25},
}
STRONG = {"name": "logistic regression on pixels", "is_blind": False, "metrics": {"val_accuracy": 0.8}}
#: The shares of the made-up study have four digits.
SHARES = {"metrics": ["accuracy"], "images": {"validation": 10_000, "test": 1_000}}


@pytest.fixture
def make_folder(tmp_path):
    def make(*rows, shares=SHARES):
        folder = RunFolder(tmp_path)
        environment = {"schema": 1, "sessions": [{"data": {"shares": shares}}]}
        folder.environment.write_text(json.dumps(environment))
        if rows:
            write_references_file(folder, {"dataset": "x", "rows": list(rows), "seconds": 1.0})
        return folder

    return make


def printed(state, folder, *, is_alive=None):
    target = Console(file=StringIO(), width=160, color_system=None)
    if is_alive is None:
        print_summary(target, state, folder=folder)
    else:
        print_status(target, state, folder=folder, is_alive=is_alive, now=0.0)
    return re.sub(r" +", " ", target.file.getvalue())


def page(state, folder):
    return write_report(folder, state=state).read_text(encoding="utf-8")


def test_terminal_shows_intervals_and_reference_rows_below_the_leaderboard(make_folder, make_sweep):
    folder = make_folder(MAJORITY)
    folder.export(rank=1, trial="t0003").mkdir(parents=True)
    text = printed(fold(make_sweep()), folder)
    assert "rank trial state best val_accuracy 95 % at epoch" in text
    assert " 1 t0003 completed 0.7852 0.777-0.793 9 9" in text
    assert (
        "reference val_accuracy test_accuracy \n majority class 0.2 (0.19-0.21) 0.25 (0.21-0.29)".replace("\n ", "\n")
        in text
    )
    assert "test_accuracy 0.812 (0.79-0.84), test_loss 0.6 (test split)" in text
    assert text.index("t0003") < text.index("majority class") < text.index("trials 4 completed")
    assert "verdict" not in text


def test_tied_ranks_are_shown_as_tied_in_terminal_report_and_json(make_folder, make_sweep, monkeypatch):
    folder = make_folder(shares={"metrics": ["accuracy"], "images": {"validation": 10_000, "test": 1_000}})
    state = fold(make_sweep())
    monkeypatch.setattr("orchestrator.results.image_shares.do_overlap", lambda first, other: other[1] > 0.72)
    assert " 1= t0003 completed" in printed(state, folder)
    tied = status_json(state, folder=folder, is_alive=False)["tied"]
    assert tied[0] == "t0003"
    assert len(tied) == len(re.findall(r'<td class="number">1=</td>', page(state, folder))) > 1


@pytest.mark.parametrize("is_alive", [None, False, True])
def test_study_that_does_not_beat_a_reference_says_so_first(make_folder, make_sweep, is_alive):
    folder, state = make_folder(MAJORITY, STRONG), fold(make_sweep())
    text = printed(state, folder, is_alive=is_alive)
    said = "no trial beats the logistic regression on pixels (0.8)"
    assert f"verdict {said}" in text
    assert text.index("verdict") < text.index("best val_accuracy")
    html = page(state, folder)
    assert f"<strong>{said[0].upper()}{said[1:]}.</strong>" in html
    assert html.index("<strong>No trial beats") < html.index("<h2>Leaderboard</h2>")
    assert status_json(state, folder=folder, is_alive=False)["verdict"] == said


def test_report_has_intervals_and_reference_rows(make_folder, make_sweep):
    html = page(fold(make_sweep()), make_folder(MAJORITY))
    assert "95 % interval" in html
    assert '<td class="number">0.777-0.793</td>' in html
    assert "<td>majority class</td>" in html
    assert '<td class="number">0.812 (0.79-0.84)</td>' in html
    assert "<strong>" not in html


def test_json_has_intervals_of_best_exports_and_references(make_folder, make_sweep):
    found = status_json(fold(make_sweep()), folder=make_folder(MAJORITY), is_alive=False)
    assert found["best"]["intervals"] == {"val_accuracy": pytest.approx([0.777, 0.793], abs=1e-3)}
    assert found["exports"][0]["intervals"] == {"test_accuracy": pytest.approx([0.787, 0.835], abs=1e-3)}
    (row,) = found["references"]
    assert (row["name"], row["metrics"]) == ("majority class", MAJORITY["metrics"])
    # Of as many images as the row was measured on.
    assert row["intervals"]["val_accuracy"] == pytest.approx([0.1891, 0.2113], abs=1e-4)
    assert row["intervals"].keys() == {"val_accuracy", "test_accuracy"}
    assert found["verdict"] == ""
    json.dumps(found)


def test_runs_that_kept_neither_show_none_of_it(tmp_path, make_sweep):
    folder, state = RunFolder(tmp_path), fold(make_sweep())
    assert "95 %" not in printed(state, folder)
    assert "95 %" not in page(state, folder)
    found = status_json(state, folder=folder, is_alive=False)
    assert not found.keys() & {"tied", "references", "verdict", "chance_notes"}
    assert "intervals" not in found["best"]


def test_hostile_reference_row_does_not_become_an_element(make_folder, make_sweep):
    hostile = {"name": "<img src=x>", "is_blind": True, "metrics": {"val_accuracy": 0.9, "<b>": 1.0}}
    html = page(fold(make_sweep()), make_folder(hostile))
    assert "<img src=x>" not in html
    assert "<b>" not in html
    assert "&lt;img src=x&gt;" in html
