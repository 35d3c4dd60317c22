"""The command `track`: what it refuses, and what it says."""

import json

import pytest
from tracked_runs import FINISHED, ListTracker, values_of, write_run
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.errors import InputError, TrackerError
from orchestrator.trackers import tracking
from orchestrator.trackers.tracking import TrackerFacts


@pytest.fixture
def kept(monkeypatch):
    """A tracker `wandb` that is a list."""
    made = ListTracker()
    facts = {"wandb": TrackerFacts(make=lambda _: made, package="json")}
    monkeypatch.setattr(tracking, "TRACKERS", facts)
    monkeypatch.setattr("orchestrator.trackers.following.TRACKERS", facts)
    return made


def call(*words):
    return CliRunner().invoke(app, ["track", *words])


def test_all_that_is_wrong_is_said_at_once():
    result = call("s3://b/r", "--to", "mlfow", "--dir", "x", "--follow")
    assert isinstance(result.exception, InputError)
    assert str(result.exception).splitlines() == [
        "--to: must be one of tensorboard, mlflow, wandb, got 'mlfow'; did you mean 'mlflow'?",
        "--dir: only TensorBoard writes a folder, got 'x' without --to tensorboard",
        "--follow: needs the run folder that a driver writes, got 's3://b/r'; call it on that machine",
    ]


def test_a_missing_package_is_named_with_the_line_that_brings_it(monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    result = call(str(tmp_path), "--to", "mlflow", "--to", "wandb")
    assert isinstance(result.exception, InputError)
    assert str(result.exception).splitlines() == [
        f"--to: {name!r} needs {name}, which is not installed; pip install 'convfleet[{name}]'"
        for name in ("mlflow", "wandb")
    ]


def test_it_says_how_far_the_tracker_is(kept, tmp_path):
    run = write_run(tmp_path / "run")
    first, again = call(str(run.root), "--to", "wandb"), call(str(run.root), "--to", "wandb", "--json")
    assert first.stdout.splitlines() == [
        f"wandb: has {len(FINISHED)} records of the journal, {len(kept.epochs)} epochs of them new",
        "place   a list",
    ]
    assert json.loads(again.stdout)[0]["new_records"] == 0


def test_following_a_run_without_a_driver_ends_when_all_of_it_is_sent(kept, tmp_path):
    result = call(str(write_run(tmp_path / "run").root), "--to", "wandb", "--follow")
    assert (result.exit_code, len(kept.epochs)) == (0, len(values_of(FINISHED, "loss")))


def test_a_tracker_that_is_away_ends_the_call_with_its_sentence_and_the_next_makes_up_for_it(kept, tmp_path):
    run = write_run(tmp_path / "run")
    kept.fails_after = 30
    result = call(str(run.root), "--to", "wandb")
    assert isinstance(result.exception, TrackerError)
    assert str(result.exception) == "list: does not answer"
    kept.fails_after = None
    assert call(str(run.root), "--to", "wandb").exit_code == 0
    assert sorted(kept.epochs) == sorted(values_of(FINISHED, "loss"))
