"""The commands that ask something of a study, on runs that no driver is at work on."""

import json
import shutil

import pytest
from made_exports import REAL_RUN
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.errors import InputError


@pytest.fixture
def run(tmp_path):
    shutil.copytree(REAL_RUN, tmp_path / "finished")
    return str(tmp_path / "finished")


def printed(*words):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words))
    assert (result.exit_code, result.exception) == (0, None)
    return result.stdout


def refused(*words):
    result = CliRunner().invoke(app, list(words))
    assert isinstance(result.exception, InputError)
    return str(result.exception)


def test_stars_and_notes_are_seen_in_the_status_of_a_finished_study(run):
    before = json.loads(printed("status", run, "--json"))
    assert "steering" not in before
    assert printed("star", run, "t0002") == "t0002 has a star\n"
    assert json.loads(printed("star", run, "t0003", "--json")) == {
        "is_done": True,
        "is_waiting": False,
        "text": "t0003 has a star",
    }
    assert printed("star", run, "t0003", "--undo") == "t0003 has no star\n"
    assert printed("note", run, "t0002", "slow, but steady") == "the note about t0002 is in the journal\n"
    assert printed("note", run, "to be written up") == "the note about the study is in the journal\n"
    assert printed("tag", run, "baseline", "for the paper") == "the study has the tags baseline, for the paper\n"
    assert printed("tag", run, "baseline", "--undo") == "the study has the tags for the paper\n"
    after = json.loads(printed("status", run, "--json"))
    assert after.pop("steering")["starred"] == ["t0002"]
    assert after == before
    lines = printed("status", run).splitlines()
    assert "stars   t0002" in lines
    assert "tags    for the paper" in lines
    assert [line.rpartition(": ")[2] for line in lines if line.startswith("note ")] == [
        "slow, but steady",
        "to be written up",
    ]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("stop", "RUN", "t0000"),
            "trial: t0000 has ended already (completed after epoch 6); only a trial that has not",
        ),
        (("keep", "RUN", "t0000", "--undo"), "trial: t0000 has ended already (completed after epoch 6); only a trial"),
        (
            ("star", "RUN", "t00002"),
            "trial: no trial has the name 't00002'; the study has t0000 to t0005; did you mean",
        ),
        (("tag", "RUN", "a,b"), "tags: each must have no comma, which stands between tags, got 'a,b'; give each tag"),
        (("pause", "RUN"), "no driver is at work on this run: there is nothing to pause"),
        (("add", "RUN", "--param", "filters=4"), "no driver is at work on this run: resume the study, then add"),
        (("add", "RUN"), "--param: expected at least one value, got none; for example --param filters=16"),
        (("add", "RUN", "--param", "filters"), "--param filters: expected NAME=VALUE, for example --param filters=16"),
        (("add", "RUN", "--params", "[1]"), "--params: expected a JSON object such as '{\"filters\": 16}', got [1]"),
        (("add", "RUN", "--params", "{"), "--params: expected a JSON object such as '{\"filters\": 16}', got none"),
        (
            ("note", "RUN", "t0001", "two", "words"),
            "expected a trial and a text, or a text alone, got 3 words; put the",
        ),
        (("note", "RUN", "t0099", "x"), "trial: no trial has the name 't0099'; the study has t0000 to t0005"),
        (("stop", "s3://bucket/runs/x", "t0001"), "s3://bucket/runs/x: a URI names a run in a storage, and a driver"),
        (("pause", "runs/no-such-run"), "runs/no-such-run: no such run folder; give a folder such as runs/quickstart"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(run, words, problem):
    assert refused(*(run if word == "RUN" else word for word in words)).startswith(problem)
