"""Runs that earlier versions wrote open for ever: each is kept as that version left it, with what it made of a copy.

`finished` and `interrupted` were trained by commit 94e788f, one trial at a time (`study.yaml` in them); `expected`
holds what that commit's own `status`, `export` and `resume` said. A later version may add keys; it may not change one.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator import open_run
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.specs.data import DataSpec

KEPT = Path(__file__).parent
VERSIONS = sorted(path.name for path in KEPT.iterdir() if (path / "expected").is_dir())
RUNS = ("finished", "interrupted")
#: What training gives again on another processor, whose kernels add up in another order. On the same one it is equal.
ANOTHER_PROCESSOR = 0.05

pytestmark = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture
def copy_of(tmp_path):
    """Copies a kept run below the command line's folder and returns where it is."""

    def copy(version: str, run: str) -> Path:
        return shutil.copytree(KEPT / version / run, tmp_path / "runs" / run)

    return copy


def expected(version: str, name: str) -> Any:
    return json.loads((KEPT / version / "expected" / f"{name}.json").read_text(encoding="utf-8"))


def without_places(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "folder"}


def with_keys_of(known: Any, said: Any) -> Any:
    """Returns what a document says under the keys that it had: later versions say more, as how many trials wait."""
    if isinstance(known, dict) and isinstance(said, dict):
        return {key: with_keys_of(value, said[key]) for key, value in known.items()}
    if isinstance(known, list) and isinstance(said, list) and len(known) == len(said):
        return [with_keys_of(*pair) for pair in zip(known, said, strict=True)]
    return said


@pytest.mark.parametrize("run", RUNS)
def test_status_says_what_it_said(version, run, convfleet, copy_of):
    copy_of(version, run)
    said = without_places(json.loads(convfleet.run("status", f"runs/{run}", "--json")))
    known = without_places(expected(version, f"{run}-status"))
    assert with_keys_of(known, said) == known


@pytest.mark.parametrize("run", RUNS)
def test_report_shows_every_trial_and_the_best_value(version, run, convfleet, copy_of):
    folder = copy_of(version, run)
    convfleet.run("report", f"runs/{run}")
    page = (folder / "report.html").read_text(encoding="utf-8")
    result = open_run(folder)
    assert set(result.trials["trial"].to_pylist()) <= set(result.state.trials)
    assert all(name in page for name in result.state.trials)
    # The leaderboard holds trials that have ended.
    assert run != "finished" or f"{expected(version, f'{run}-status')['best']['value']:.4g}" in page


@pytest.mark.slow
def test_exported_model_loads_and_predicts_as_its_manifest_says(version, copy_of):
    folder = copy_of(version, "finished")
    result = open_run(folder)
    study = (folder / "study.yaml").read_text(encoding="utf-8")
    assert "source: digits" in study
    data = DataSpec(source="digits", limit=400, validation_fraction=0.2, test_fraction=0.2)
    test = open_dataset(prepare_dataset(data, 7)).test
    for rank in (1, 2):
        manifest = json.loads(next(folder.glob(f"exports/{rank}-*/manifest.json")).read_text(encoding="utf-8"))
        model = result.load_model(rank=rank)
        scores = model.predict(np.asarray(test.images[test.indices], dtype="float32"), verbose=0)
        accuracy = float(np.mean(scores.argmax(axis=1) == np.asarray(test.labels["label"])[test.indices]))
        assert accuracy == pytest.approx(manifest["test_metrics"]["accuracy"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_export_gives_the_same_models_again(version, run, joined, copy_of):
    copy_of(version, run)
    again = json.loads(joined.run("export", f"runs/{run}", "--json"))
    known = expected(version, f"{run}-export")
    assert [(item["rank"], item["trial"]) for item in again] == [(item["rank"], item["trial"]) for item in known]
    for item, before in zip(again, known, strict=True):
        assert item["test_accuracy"] == pytest.approx(before["test_accuracy"], abs=1e-6)
        assert item["test_loss"] == pytest.approx(before["test_loss"], rel=1e-4)


@pytest.mark.slow
def test_resume_of_a_finished_run_changes_no_result(version, convfleet, copy_of):
    folder = copy_of(version, "finished")
    journal = (folder / "journal.jsonl").read_bytes()
    said = without_places(json.loads(convfleet.run("resume", "runs/finished", "--json")))
    known = without_places(expected(version, "finished-resume"))
    assert with_keys_of(known, said) == known
    assert (folder / "journal.jsonl").read_bytes().startswith(journal)


@pytest.mark.slow
def test_resume_of_an_interrupted_run_goes_on_as_it_did(version, joined, copy_of):
    folder = copy_of(version, "interrupted")
    recorded = pd.read_parquet(folder / "epochs.parquet")
    joined.run("resume", "runs/interrupted")
    known = expected(version, "interrupted-tables")
    trials, epochs = pd.read_parquet(folder / "trials.parquet"), pd.read_parquet(folder / "epochs.parquet")
    # What was recorded is equal to the last bit.
    metrics = ["loss", "accuracy", "val_loss", "val_accuracy"]
    kept = epochs.merge(recorded[["trial", "epoch"]], on=["trial", "epoch"])
    pd.testing.assert_frame_equal(kept[["trial", "epoch", *metrics]], recorded[["trial", "epoch", *metrics]])
    # The trial in training went on from its checkpoint, and the search with the same proposals.
    same = ["trial", "variant_id"]
    assert trials[same].to_dict("records") == [{key: item[key] for key in same} for item in known["trials"]]
    by_epoch = {(item["trial"], item["epoch"]): item for item in known["epochs"]}
    for row in epochs[epochs["trial"] == "t0000"].to_dict("records"):
        for metric in metrics:
            assert row[metric] == pytest.approx(by_epoch["t0000", row["epoch"]][metric], abs=ANOTHER_PROCESSOR)
    assert set(trials["state"]) <= {"completed", "stopped"}
