"""What MLflow's client reads of a run is what its journal has, each number once."""

import os
import shutil
from collections import Counter

import pytest
from tracked_runs import EXTENDED, FINISHED, values_of, write_run

from orchestrator.errors import TrackerError
from orchestrator.trackers import tracking
from orchestrator.trackers.following import once
from orchestrator.trackers.tracking import Tracking

# Before MLflow is imported: nothing of a test goes out.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow: pip install 'convfleet[mlflow]'")

#: MLflow's own, of what it imports.
pytestmark = pytest.mark.filterwarnings("ignore")

FEW = [record for record in FINISHED if getattr(record, "trial", "t0003") in ("t0001", "t0003", "t0005")]


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """The file of a store without runs: its tables take seconds to make."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(empty_store, tmp_path, monkeypatch):
    """A client of a store that the environment names, as users do."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    return mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def send(run):
    return once({"mlflow": lambda: Tracking(run, tracker="mlflow")})


def runs_of(store):
    """Returns all runs by their names; a name that comes twice is an error."""
    (experiment,) = [item for item in store.search_experiments() if item.name != "Default"]
    found = store.search_runs([experiment.experiment_id])
    assert max(Counter(item.info.run_name for item in found).values()) == 1
    return {item.info.run_name: item for item in found}


def told(store, metric):
    """Returns the values of a metric by trial and epoch; one that comes twice is an error."""
    rows = {}
    for name, run in runs_of(store).items():
        for item in store.get_metric_history(run.info.run_id, metric) if name.startswith("t0") else ():
            assert (name, item.step) not in rows
            rows[name, item.step] = item.value
    return rows


def test_a_study_is_a_run_and_its_trials_are_nested_runs(store, tmp_path):
    send(write_run(tmp_path / "run", FEW))
    runs = runs_of(store)
    study, best, infeasible = runs["cifar10-small"], runs["t0003"], runs["t0005"]
    assert set(runs) == {"cifar10-small", "t0001", "t0003", "t0005"}
    assert study.data.params["objective"] == "val_accuracy, max"
    assert study.data.metrics["best/val_accuracy"] == max(values_of(FEW, "val_accuracy").values())
    assert (study.info.status, study.data.tags["best_trial"]) == ("FINISHED", "t0003")
    assert best.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert best.data.params["filters"] == "8"
    assert best.data.metrics["test/accuracy"] == 0.812
    assert (best.info.status, best.data.tags["state"]) == ("FINISHED", "completed")
    assert (infeasible.info.status, infeasible.data.tags["state"]) == ("FAILED", "infeasible")
    assert infeasible.data.tags["reason"] == "five pooling steps leave no pixel of a 16x16 image"
    assert [item.path for item in store.list_artifacts(best.info.run_id, "exports/1-t0003")] == [
        "exports/1-t0003/manifest.json"
    ]


def test_every_value_is_read_back_with_its_epoch_and_its_time(store, tmp_path):
    send(write_run(tmp_path / "run", FEW))
    assert told(store, "val_accuracy") == values_of(FEW, "val_accuracy")
    times = [int(record.at * 1000) for record in FEW if getattr(record, "report", None) and record.trial == "t0003"]
    best = runs_of(store)["t0003"].info.run_id
    assert [item.timestamp for item in store.get_metric_history(best, "loss")] == times


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A client of a store of files, which takes a metric as often as it comes."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/files")
    return mlflow.MlflowClient(f"file://{tmp_path}/files")


@pytest.mark.parametrize("kind", ["store", "files"])
def test_a_call_that_dies_in_the_middle_and_one_without_a_cursor_double_nothing(kind, request, tmp_path, monkeypatch):
    store = request.getfixturevalue(kind)
    run = write_run(tmp_path / "run", FEW)
    log, calls = mlflow.MlflowClient.log_batch, []

    def dies(self, *arguments, **named):
        calls.append(arguments)
        if len(calls) == 5:
            raise OSError("the connection was cut")
        return log(self, *arguments, **named)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", dies)
    with pytest.raises(TrackerError, match="mlflow: the connection was cut"):
        send(run)
    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", log)
    send(run)
    run.tracker("mlflow").unlink()
    send(run)
    assert told(store, "val_accuracy") == values_of(FEW, "val_accuracy")


def test_an_extended_study_goes_on_in_the_same_runs(store, tmp_path):
    names = ("t0000", "t0003", "t0014")
    longer = [record for record in EXTENDED if getattr(record, "trial", "t0003") in names]
    run = write_run(tmp_path / "run", longer[: longer.index(FINISHED[-1]) + 1])
    send(run)
    before = {name: item.info.run_id for name, item in runs_of(store).items()}
    write_run(run.root, longer)
    send(run)
    after = {name: item.info.run_id for name, item in runs_of(store).items()}
    assert after.items() > before.items()
    assert set(after) - set(before) == {"t0014"}
    assert told(store, "val_accuracy") == values_of(longer, "val_accuracy")


def test_a_store_that_is_away_is_said_and_nothing_is_lost(store, tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", FEW)
    uri = os.environ["MLFLOW_TRACKING_URI"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackerError, match=r"mlflow: .*127\.0\.0\.1"):
        send(run)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    send(run)
    assert told(store, "loss") == values_of(FEW, "loss")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    assert tracking.tracker_problem("mlflow") == (
        "'mlflow' needs mlflow, which is not installed; pip install 'convfleet[mlflow]'"
    )
