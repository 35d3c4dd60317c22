"""A lost best checkpoint is trained again: the model is exported as an undisturbed run exports it, or not at all."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_lines import CommandLine

from orchestrator.driver.api import open_run

pytestmark = pytest.mark.slow

EPOCHS = 6


@pytest.fixture(scope="module")
def joined_here(make_joined: Any, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A command line in a folder with an undisturbed run of three trials."""
    joined: CommandLine = make_joined(tmp_path_factory.mktemp("lost"))
    study = joined.write_study(
        "calm",
        data={"source": "digits", "limit": 300},
        space={
            "family": "sequential",
            "params": {"filters": {"choice": [4, 8]}, "learning_rate": {"float": [1e-3, 1e-1]}, "dropout": 0.2},
        },
        search={"algorithm": "random", "trials": 3},
        schedule={"algorithm": "none", "max_epochs": EPOCHS},
        export={"top": 1, "formats": ["keras"]},
    )
    joined.run("run", study)
    return joined


@pytest.fixture
def run(joined_here: CommandLine, request: pytest.FixtureRequest) -> Any:
    """A copy of that run: its name, folder, and best trial with its best epoch."""
    root = joined_here.folder / "runs" / request.node.name
    shutil.copytree(joined_here.folder / "runs" / "calm", root)
    state = open_run(root).state
    (export,) = state.exports
    trial = state.trials[export.trial]
    best = trial.best_report(**state.header.ranking)
    assert best is not None
    return root, trial.name, best.epoch


def lose(root: Path, trial: str, epoch: int) -> None:
    for folder in (root / "checkpoints" / trial).glob(f"*-{epoch:04d}"):
        shutil.rmtree(folder)


def metrics_of(root: Path) -> Any:
    (manifest,) = root.glob("exports/1-*/manifest.json")
    return json.loads(manifest.read_text(encoding="utf-8"))["test_metrics"]


def test_export_gives_the_very_model_again(joined_here: CommandLine, run: Any) -> None:
    root, trial, epoch = run
    lose(root, trial, epoch)
    shutil.rmtree(root / "exports")
    said = joined_here.run("export", f"runs/{root.name}")
    assert f"{trial}: its checkpoint of epoch {epoch} is missing; trained again from " in said
    assert metrics_of(root) == metrics_of(joined_here.folder / "runs" / "calm")
    assert (root / "checkpoints" / trial / f"epoch-{epoch:04d}").is_dir()
    (note,) = [note for note in open_run(root).state.trials[trial].notes if note.kind == "checkpoint_trained_again"]
    assert note.text.startswith(f"its checkpoint of epoch {epoch} is missing; trained again from ")


def test_resume_makes_the_export_that_a_finished_study_lacks(joined_here: CommandLine, run: Any) -> None:
    root, trial, epoch = run
    lose(root, trial, epoch)
    shutil.rmtree(root / "exports")
    said = joined_here.run("resume", f"runs/{root.name}")
    assert f"{trial}: its checkpoint of epoch {epoch} is missing; trained again from " in said
    assert metrics_of(root) == metrics_of(joined_here.folder / "runs" / "calm")
    # What it has, it does not make again.
    before = open_run(root).state.num_records
    assert "exporting" not in joined_here.run("resume", f"runs/{root.name}")
    assert open_run(root).state.num_records == before


def test_resume_ends_with_the_error_as_long_as_the_export_cannot_be_made(joined_here: CommandLine, run: Any) -> None:
    root, trial, _ = run
    shutil.rmtree(root / "exports")
    checkpoints = root / "checkpoints" / trial
    shutil.rmtree(checkpoints)
    # No worker can write there.
    checkpoints.write_text("in the way")
    said = joined_here.run("resume", f"runs/{root.name}", code=1)
    assert f"{trial}: its best checkpoint cannot be exported: " in said
    assert "it cannot be trained again: " in said
    checkpoints.unlink()
    joined_here.run("resume", f"runs/{root.name}")
    assert metrics_of(root) == metrics_of(joined_here.folder / "runs" / "calm")
