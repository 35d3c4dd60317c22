"""Studies whose files name trackers: each epoch arrives while they run, and a tracker that is away costs nothing."""

import json

import pytest

pytestmark = pytest.mark.slow
TINY = {
    "space": {"family": "sequential", "params": {"num_blocks": 1, "filters": {"choice": [4, 6, 8]}}},
    "search": {"algorithm": "random", "trials": 2},
    "schedule": {"algorithm": "none", "max_epochs": 2},
    "resources": {"max_concurrent": 1},
    "export": {"top": 0},
}


def sent(joined, study: str, tracker: str) -> int:
    """Returns how many records of a run's journal a tracker has."""
    path = joined.folder / "runs" / study / "trackers" / f"{tracker}.json"
    return json.loads(path.read_text())["records"] if path.exists() else 0


def test_tracker_of_the_study_file_has_the_whole_run_and_another_one_comes_with_an_extension(joined):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard: pip install 'convfleet[tensorboard]'")
    pytest.importorskip("mlflow", reason="needs the extra mlflow: pip install 'convfleet[mlflow]'")
    joined.run("run", joined.write_study("tracked", **TINY, track={"to": "tensorboard"}))
    assert sent(joined, "tracked", "tensorboard") == len(joined.records("tracked")) > 0
    assert list((joined.folder / "runs" / "tracked" / "tensorboard").glob("t0001/*tfevents*"))
    # Nothing listens there.
    joined.environment["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    process = joined.start(
        "resume", "runs/tracked", "--set", "search.trials=3", "--set", "track.to=[mlflow, tensorboard]"
    )
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert len(joined.reports("tracked")) == 6
    assert sent(joined, "tracked", "tensorboard") == len(joined.records("tracked"))
    assert sent(joined, "tracked", "mlflow") == 0
    assert "`convfleet track runs/tracked --to mlflow --to tensorboard` sends the rest" in output + errors
    (extension,) = joined.records("tracked", "study_extended")
    assert "track.to" in extension["change"]
