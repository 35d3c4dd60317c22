"""A study that is steered while it runs: all of it is in the journal, and a resume goes on from there."""

import json

import pytest
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.errors import InputError
from orchestrator.journal.file import read_journal
from orchestrator.journal.study_state import fold
from orchestrator.journal.trial import TrialState

pytestmark = pytest.mark.slow

#: A trial takes seconds, which the commands need.
EPOCHS = 60
ADDED = {"num_blocks": 1, "filters": 4, "learning_rate": 0.0011, "batch_size": 8}


def asked(*words):
    """Returns what a command prints; this process has imported it, and the study does not wait for it."""
    result = CliRunner().invoke(app, list(map(str, words)))
    assert (result.exit_code, result.exception) == (0, None)
    return result.stdout


def refused(*words):
    result = CliRunner().invoke(app, list(map(str, words)))
    assert isinstance(result.exception, InputError)
    return str(result.exception)


def test_running_study_is_steered_paused_and_resumed(joined):
    study = joined.write_study(
        "steered",
        space={
            "family": "sequential",
            "params": {
                "num_blocks": 1,
                "filters": {"choice": [4, 8]},
                "learning_rate": {"float": [1e-3, 1e-1], "log": True},
                "batch_size": 8,
            },
        },
        search={"algorithm": "random", "trials": 3},
        schedule={"algorithm": "median", "max_epochs": EPOCHS, "grace_epochs": EPOCHS - 1, "min_rivals": 1},
        resources={"max_concurrent": 1},
    )
    run, process = joined.folder / "runs" / "steered", joined.start("run", study)
    joined.wait_for("steered", "epoch_reported", 1, process)
    assert "no trial has the name 't0070'" in refused("stop", run, "t0070")
    assert "params.filters: " in refused("add", run, "--param", "filters=5", "--param", "learning_rate=0.01")
    assert json.loads(asked("add", run, "--params", json.dumps(ADDED), "--json"))["is_done"]
    assert "t0000 ends after its next report" in asked("stop", run, "t0000")
    joined.wait_for("steered", "trial_proposed", 2, process)
    assert "early stopping lets t0001 go on" in asked("keep", run, "t0001")
    asked("note", run, "t0001", "added by hand")
    asked("star", run, "t0001")
    assert "the study pauses now" in asked("pause", run)
    assert "convfleet resume runs/steered" in joined.finish(process, code=130)

    before = joined.records("steered")
    assert (before[-1]["type"], before[-1]["reason"]) == ("study_paused", "paused from outside")
    paused = fold(read_journal(run / "journal.jsonl"))
    assert paused.trials["t0000"].reason.startswith("stopped by hand after epoch ")
    assert dict(paused.trials["t0001"].variant.params) == ADDED
    assert "while it is paused" not in asked("note", run, "while it is paused")
    shown = json.loads(asked("status", run, "--json"))
    assert (shown["state"], shown["steering"]["kept"], shown["steering"]["starred"]) == ("paused", ["t0001"], ["t0001"])
    assert [note["text"] for note in shown["steering"]["notes"]] == ["added by hand", "while it is paused"]

    joined.run("resume", "runs/steered")
    records = joined.records("steered")
    assert records[: len(before)] == before
    state = fold(read_journal(run / "journal.jsonl"))
    assert state.finished is not None
    assert [trial.steering.is_asked for trial in state.trials.values()] == [False, True, False]
    assert (state.trials["t0001"].state, state.trials["t0001"].epoch) == (TrialState.COMPLETED, EPOCHS)
    assert sum(len(trial.reports) for trial in state.trials.values()) == len(joined.reports("steered"))
    assert asked("star", run, "t0001", "--undo") == "t0001 has no star\n"
    assert "finished" in asked("status", run)
