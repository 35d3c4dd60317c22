"""A tiny study ends with an ensemble; the command makes another; plain Keras loads what was written."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_lines import CommandLine

from orchestrator.driver.api import open_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(make_joined: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run of three trials whose study asks for an ensemble, and the command line that made it."""
    joined: CommandLine = make_joined(tmp_path_factory.mktemp("ensembles"))
    study = joined.write_study(
        "votes",
        data={"source": "digits", "limit": 400},
        search={"algorithm": "random", "trials": 3},
        schedule={"algorithm": "none", "max_epochs": 2},
        export={"top": 0, "formats": ["keras", "saved_model"], "ensemble": "greedy"},
    )
    printed = joined.run("run", study)
    return SimpleNamespace(joined=joined, root=joined.folder / "runs" / "votes", printed=printed)


def test_a_study_that_asks_for_it_ends_with_an_ensemble_in_its_journal_and_its_status(run: SimpleNamespace) -> None:
    state = open_run(run.root).state
    ensemble = state.ensembles["greedy"]
    assert {member["trial"] for member in ensemble.members} <= set(state.trials)
    status = json.loads(run.joined.run("status", "runs/votes", "--json"))
    assert status["ensembles"][0]["members"] == list(ensemble.members)
    assert "exports/ensemble-greedy" in run.printed


def test_plain_keras_and_tensorflow_load_an_ensemble_and_predict_alike(
    run: SimpleNamespace, told_by_plain_keras: Any
) -> None:
    assert told_by_plain_keras(run.root / "exports" / "ensemble-greedy")[-1] == "output_0 True"


def test_an_ensemble_that_was_damaged_is_made_again_as_the_run_is_resumed(
    run: SimpleNamespace, told_by_plain_keras: Any
) -> None:
    folder = run.root / "exports" / "ensemble-greedy"
    model = folder / "model.keras"
    model.write_bytes(model.read_bytes()[:-100])
    assert f"{model.name}" in run.joined.run("resume", "runs/votes")
    assert told_by_plain_keras(folder)[-1] == "output_0 True"


def test_the_command_reads_the_kept_predictions_and_prints_one_json_document(run: SimpleNamespace) -> None:
    kept = {path: path.stat().st_mtime_ns for path in (run.root / "ensembles" / "predictions").iterdir()}
    ended = run.joined.run("ensemble", "runs/votes", "--size", "8", "--format", "keras", "--json")
    found = json.loads(ended)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert kept
    assert len(found["steps"]) == 8
    best = open_run(run.root).leaderboard(1).to_pylist()[0]
    assert found["single"]["trial"] == best["trial"]
    assert found["single"]["validation"]["accuracy"] == pytest.approx(best["best_val_accuracy"])
    assert found["ensemble"]["validation"]["accuracy"] >= found["single"]["validation"]["accuracy"]
    assert Path(found["folder"]).name == "ensemble-greedy"
