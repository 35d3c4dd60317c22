"""Advice in the summary, `status`, JSON and report; nothing of it where there is none, and for older runs."""

import json
import re
from io import StringIO

import pytest
from made_studies import Curve, study_of
from rich.console import Console

from orchestrator.runs.paths import RunFolder
from orchestrator.views.report import write_report
from orchestrator.views.terminal.status_json import status_json
from orchestrator.views.terminal.summary import print_status, print_summary

TRAINED_BY_HEART = study_of(
    [
        Curve(validation=[0.5, 0.6 - rank / 100, 0.5], training=[0.9, 0.99, 1.0], params={"learning_rate": rate})
        for rank, rate in enumerate([0.01] * 3 + [0.001] * 7)
    ]
)
SAID = [
    "training is right and validation is wrong (t0000: accuracy 1, val_accuracy 0.6): try data.augment, dropout, "
    "weight_decay or a smaller model; more images help most",
    "learning_rate: the best 3 trials are at the upper end 0.01 of its range; widen it",
]
STUDY = """
space: {family: sequential, params: {learning_rate: {float: [1.0e-4, 1.0e-2], log: true}, number: {choice: [0, 1]}}}
"""


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path)
    shares = {"metrics": ["accuracy"], "images": {"validation": 1000}}
    run.environment.write_text(json.dumps({"sessions": [{"data": {"shares": shares}}]}))
    run.study.write_text(STUDY)
    return run


def printed(state, folder, *, is_alive=None):
    target = Console(file=StringIO(), width=160, color_system=None)
    if is_alive is None:
        print_summary(target, state, folder=folder)
    else:
        print_status(target, state, folder=folder, is_alive=is_alive, now=0.0)
    return target.file.getvalue()


@pytest.mark.parametrize("is_alive", [None, False, True])
def test_terminal_ends_with_advice_beside_what_is_next(folder, is_alive):
    text = printed(TRAINED_BY_HEART, folder, is_alive=is_alive)
    assert re.findall(r"^advice  (.+)$", text, re.MULTILINE) == SAID
    assert text.index("tables ") < text.index("advice ")
    assert is_alive or text.index("advice ") < text.index("next ")


def test_json_has_the_sentences(folder):
    assert status_json(TRAINED_BY_HEART, folder=folder, is_alive=False)["advice"] == SAID


def test_report_has_a_section_of_advice(folder):
    page = write_report(folder, state=TRAINED_BY_HEART).read_text(encoding="utf-8")
    assert "<h2>Advice</h2>" in page
    assert all(f"<li>{sentence}</li>" in page for sentence in SAID)


def test_good_study_has_none_and_says_nothing_of_it(folder):
    good = study_of([Curve(validation=[0.9, 0.95 + number / 1000, 0.94]) for number in range(10)])
    assert "\nadvice " not in printed(good, folder)
    assert status_json(good, folder=folder, is_alive=False)["advice"] == []
    assert "Advice" not in write_report(folder, state=good).read_text(encoding="utf-8")


def test_runs_of_versions_that_kept_no_numbers_of_images_have_none(folder):
    folder.environment.write_text(json.dumps({"sessions": [{"data": {}}]}))
    assert "\nadvice " not in printed(TRAINED_BY_HEART, folder)
    assert "advice" not in status_json(TRAINED_BY_HEART, folder=folder, is_alive=False)
    assert "Advice" not in write_report(folder, state=TRAINED_BY_HEART).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "content", ["", "[", "space: 3", "- 1", "space: {family: nowhere, params: {x: {int: [9, 1]}}}"]
)
def test_study_file_that_cannot_be_read_leaves_out_what_its_ranges_say(folder, content):
    folder.study.write_text(content)
    assert status_json(TRAINED_BY_HEART, folder=folder, is_alive=False)["advice"] == SAID[:1]
    folder.study.unlink()
    assert status_json(TRAINED_BY_HEART, folder=folder, is_alive=False)["advice"] == SAID[:1]
