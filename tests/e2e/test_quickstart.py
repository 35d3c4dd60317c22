"""The packaged quickstart, run once as users run it, watched while it runs, and examined afterwards."""

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from orchestrator import open_run
from orchestrator.history.fleet_timeline import fleet_timeline
from orchestrator.history.rung_table import rung_table
from orchestrator.journal.reading import load_state
from orchestrator.results.from_state import spent
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.specs.data import DataSpec

pytestmark = pytest.mark.slow


def look_inside(run: Path) -> tuple[int, int, int] | None:
    """Returns (rows of trials.parquet, sum of its epochs, rows of epochs.parquet), read by pandas and DuckDB."""
    if not (run / "trials.parquet").exists():
        return None
    # Given a path, pandas opens it twice and DuckDB four times, and a later one may be a newer file: opened here, once.
    with (run / "trials.parquet").open("rb") as trials, (run / "epochs.parquet").open("rb") as epochs:
        trials_file, epochs_file = (f"'/proc/self/fd/{file.fileno()}'" for file in (trials, epochs))
        query = f"select count(*), coalesce(sum(epochs), 0) from read_parquet({trials_file})"
        ((count, num_epochs),) = duckdb.sql(query).fetchall()
        ((rows,),) = duckdb.sql(f"select count(*) from read_parquet({epochs_file})").fetchall()
        assert (len(pd.read_parquet(trials)), len(pd.read_parquet(epochs))) == (count, rows)
    return int(count), int(num_epochs), int(rows)


@pytest.fixture(scope="module")
def quickstart(make_command_line, tmp_path_factory):
    """Runs the quickstart and notes what a bystander saw meanwhile."""
    command_line = make_command_line(tmp_path_factory.mktemp("quickstart"))
    run = command_line.folder / "runs" / "quickstart"
    process = command_line.start("run", "quickstart")
    looks, maps, statuses = [], [], []
    while process.poll() is None:
        if (look := look_inside(run)) is not None:
            looks.append(look)
            maps.append(Path(f"/proc/{process.pid}/maps").read_text())
            if len(statuses) < 2:
                statuses.append(json.loads(command_line.run("status", "runs/quickstart", "--json")))
        time.sleep(0.5)
    output = command_line.finish(process)
    return SimpleNamespace(command_line=command_line, run=run, output=output, looks=looks, maps=maps, statuses=statuses)


def test_quickstart_trains_two_families_in_worker_processes_and_stops_some_early(quickstart):
    trials = pd.read_parquet(quickstart.run / "trials.parquet")
    assert len(trials) >= 12
    assert set(trials["family"]) == {"sequential", "residual"}
    assert set(trials["state"]) == {"completed", "stopped"}
    assert (trials.loc[trials["state"] == "stopped", "reason"].str.contains("asha")).all()
    session = quickstart.command_line.records("quickstart", "session_started")[0]
    assert session["driver_pid"] not in set(trials["worker_pid"])
    assert (trials["cpus"] == 1).all()


def test_everything_in_a_run_folder_is_its_owners_alone(quickstart):
    run = quickstart.run
    found = [run, *run.rglob("*")]
    assert {"journal.jsonl", "trials.parquet", "report.html", "manifest.json", "model.keras"} <= {p.name for p in found}
    assert any(path.parent.parent.parent == run / "checkpoints" for path in found)
    assert [str(path) for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_tables_can_be_read_while_the_sweep_runs_and_never_run_ahead_of_each_other(quickstart):
    assert len(quickstart.looks) >= 3
    for num_trials, num_epochs, num_rows in quickstart.looks:
        assert num_rows >= num_epochs  # epochs.parquet is written first
        assert num_trials <= 16
    assert quickstart.looks == sorted(quickstart.looks)


def test_tables_agree_with_the_journal_and_with_each_other(quickstart):
    trials = pq.read_table(quickstart.run / "trials.parquet").to_pylist()
    epochs = pq.read_table(quickstart.run / "epochs.parquet").to_pylist()
    reports = quickstart.command_line.reports("quickstart")
    assert {(row["trial"], row["epoch"]): row["val_accuracy"] for row in epochs} == {
        key: metrics["val_accuracy"] for key, metrics in reports.items()
    }
    assert len(trials) == len(quickstart.command_line.records("quickstart", "trial_proposed"))
    for row in trials:
        own = [metrics["val_accuracy"] for (trial, _), metrics in reports.items() if trial == row["trial"]]
        assert row["epochs"] == len(own)
        assert row["best_val_accuracy"] == max(own)
    seen_by_pandas = pd.read_parquet(quickstart.run / "trials.parquet")["best_val_accuracy"].tolist()
    seen_by_duckdb = duckdb.sql(f"select best_val_accuracy from '{quickstart.run}/trials.parquet'").fetchall()
    assert seen_by_pandas == [value for (value,) in seen_by_duckdb] == [row["best_val_accuracy"] for row in trials]


def test_driver_never_maps_tensorflow(quickstart):
    assert len(quickstart.maps) >= 3
    assert any("ray" in text for text in quickstart.maps)
    assert not any("tensorflow" in text for text in quickstart.maps)


def test_the_wall_time_is_accounted_for_from_the_command_to_the_end_of_ray(quickstart):
    shown = quickstart.command_line.run("status", "runs/quickstart", "--timeline")
    parts = json.loads(quickstart.command_line.run("status", "runs/quickstart", "--timeline", "--json"))["timeline"]
    assert {part["name"] for part in parts} >= {
        "the command and the study are read",
        "images are read",
        "Ray starts",
        "to the first report",
        "from the first report to the last",
        "models are exported",
        "Ray ends",
        "tables and report",
    }
    # Most seconds belong to a part, whatever else the machine does.
    end = gaps = 0.0
    for part in parts:
        gaps += max(0.0, part["begin"] - end)
        end = max(end, part["end"])
        assert part["name"] in shown
    assert gaps < 0.3 * end
    assert "wall time" in (quickstart.run / "report.html").read_text(encoding="utf-8")


def test_status_while_it_runs_says_so(quickstart):
    assert [status["state"] for status in quickstart.statuses] == ["running"] * len(quickstart.statuses)
    assert quickstart.statuses


def test_output_is_plain_when_piped_and_ends_with_where_things_are(quickstart):
    assert "\x1b" not in quickstart.output
    for text in ("epoch 1/12", "stopped after epoch", "rank", "report.html", "trials.parquet", "convfleet export"):
        assert text in quickstart.output


def test_report_is_one_page_that_names_the_best_trial(quickstart):
    page = (quickstart.run / "report.html").read_text(encoding="utf-8")
    best = open_run(quickstart.run).leaderboard(1).to_pylist()[0]
    assert best["trial"] in page
    assert 'src="http' not in page


def test_what_happened_is_told_of_real_workers_to_the_second(quickstart):
    state, spec = load_state(RunFolder(quickstart.run)), load_study(quickstart.run / "study.yaml")
    timeline = fleet_timeline(state)
    assert {lane.pid for lane in timeline.lanes} == {trial.worker["worker_pid"] for trial in state.trials.values()}
    # Clocks of one machine agree, so that what reports account for fits between the records.
    assert timeline.cut_seconds < 0.5
    assert timeline.seconds["train"] == pytest.approx(spent(state)[0])
    table = rung_table(state, spec=spec)
    told = {(item.trial, item.reason) for entry in table.entries for item in entry.decisions}
    assert {(trial.name, trial.stop.reason) for trial in state.trials.values() if trial.stop} <= told
    page = (quickstart.run / "report.html").read_text(encoding="utf-8")
    assert all(f"<h2>{title}" in page for title in ("Rungs", "Workers over time", "Mistakes of"))


def test_best_export_is_accurate_and_its_files_are_those_of_its_manifest(quickstart):
    from trainables.files.manifests import fingerprints

    (folder,) = (quickstart.run / "exports").glob("1-*")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["test_metrics"]["accuracy"] >= 0.96
    assert manifest["files"] == fingerprints(folder)
    assert set(manifest["parity_max_difference"]) == {"keras", "saved_model"}
    assert manifest["outputs"][0]["class_names"] == [str(digit) for digit in range(10)]


PLAIN_KERAS = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("orchestrator", "trainables", "search_spaces"):
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Blocker())
import keras, numpy as np, tensorflow as tf
data = np.load(sys.argv[2])
model = keras.models.load_model(sys.argv[1] + "/model.keras")
print("evaluate", model.evaluate(data["images"], data["labels"], verbose=0, return_dict=True)["accuracy"])
print("predict", float(np.mean(model.predict(data["images"], verbose=0).argmax(1) == data["labels"])))
loaded = tf.saved_model.load(sys.argv[1] + "/saved_model")
print("serve", float(np.mean(np.argmax(loaded.serve(tf.constant(data["images"])), 1) == data["labels"])))
"""


def test_plain_keras_gets_the_manifests_test_accuracy_without_convfleet(quickstart, tmp_path, cache_folder):
    (folder,) = (quickstart.run / "exports").glob("1-*")
    spec = DataSpec(source="digits", validation_fraction=0.15, test_fraction=0.2, cache_dir=str(cache_folder))
    test = open_dataset(prepare_dataset(spec, 7)).test
    images = np.asarray(test.images[test.indices], dtype=np.float32)
    np.savez(tmp_path / "test.npz", images=images, labels=np.asarray(test.labels["label"][test.indices]))
    result = subprocess.run(
        [sys.executable, "-c", PLAIN_KERAS, str(folder), str(tmp_path / "test.npz")],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = json.loads((folder / "manifest.json").read_text())["test_metrics"]["accuracy"]
    found = dict(line.split() for line in result.stdout.splitlines() if line.startswith(("eval", "pred", "serve")))
    assert found.keys() == {"evaluate", "predict", "serve"}, result.stderr
    assert "UserWarning" not in result.stderr
    assert [float(value) for value in found.values()] == pytest.approx([expected] * 3, abs=1e-6)


def test_python_api_reads_the_run_and_loads_the_best_model(quickstart):
    result = open_run(quickstart.run)
    assert result.trials.num_rows == 16
    assert result.leaderboard(3)["rank"].to_pylist() == [1, 2, 3]
    model = result.load_model(rank=1)
    assert model.predict(np.zeros((1, 8, 8, 1), np.float32), verbose=0).shape == (1, 10)


def test_export_command_ships_more_models_in_another_format(quickstart, make_joined):
    joined = make_joined(quickstart.command_line.folder)
    before = {path.parent.name for path in (joined.folder / "runs" / "quickstart" / "exports").glob("*/saved_model")}
    assert sorted(name.partition("-")[0] for name in before) == ["1", "2"]
    output = joined.run("export", "runs/quickstart", "--top", "3", "--format", "keras", "--json")
    exported = json.loads(output)
    assert [item["rank"] for item in exported] == [1, 2, 3]
    for item in exported:
        folder = quickstart.command_line.folder / item["folder"]
        # The picture is of mistakes, which a model need not make.
        assert {path.name for path in folder.iterdir()} - {"worst_mistakes.png"} == {
            "model.keras",
            "manifest.json",
            "model_card.md",
            "model_card.html",
            # What it was exported in before stays.
            *(["saved_model"] if folder.name in before else []),
        }
        assert item["test_accuracy"] > 0.9
