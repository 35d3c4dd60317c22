"""`convfleet analyze` shows a run that is finished, running or empty, and refuses what is no run."""

import json
import sys

import pytest
from known_effects import by_learning_rate, curves_of, made_records

from orchestrator.cli import app as cli
from orchestrator.journal.file import Journal
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study


@pytest.fixture
def analyze(tmp_path, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["convfleet", "analyze", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def write_run(tmp_path):
    def write(records):
        folder = RunFolder(tmp_path / "runs" / "made")
        folder.root.mkdir(parents=True)
        folder.study.write_text(load_study("quickstart").to_yaml(), encoding="utf-8")
        with Journal(folder.journal) as journal:
            for record in records:
                journal.append(record)
        return folder

    return write


@pytest.fixture
def records():
    return made_records(curves_of(by_learning_rate, count=40))


def test_a_run_is_shown_for_people_and_for_scripts(analyze, write_run, records):
    write_run(records)
    code, text, error = analyze("runs/made")
    assert (code, error) == (0, "")
    assert "learning_rate" in text
    code, text, _ = analyze("runs/made", "--json")
    assert code == 0
    assert json.loads(text)["importance"]["parameters"][0]["name"] == "learning_rate"


def test_a_run_that_is_running_is_shown(analyze, write_run, records):
    # The last trial has reported once.
    folder = write_run(records[:-5])
    with driver_lock(folder):
        code, text, _ = analyze("runs/made", "--json")
    assert code == 0
    assert json.loads(text)["num_trials"] == 39


def test_a_run_without_trials_says_so(analyze, write_run, records):
    write_run(records[:1])
    code, text, _ = analyze("runs/made")
    assert code == 0
    assert "too few: 0 trials with a value, at least 20 are needed" in text
    assert "No trial has reported yet." in text
    assert "No trial was stopped early." in text


def test_a_run_whose_journal_is_empty_says_so(analyze, write_run):
    write_run([])
    code, text, error = analyze("runs/made")
    assert (code, text) == (2, "")
    assert "its journal has no record yet, so there is nothing to show" in error


def test_what_is_no_run_is_refused(analyze):
    code, text, error = analyze("runs/made")
    assert (code, text) == (2, "")
    assert error.startswith("error: runs/made: no such run folder; give a folder such as runs/quickstart")
