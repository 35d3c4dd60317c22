"""A killed driver costs nothing; a run is extended, and another study takes over what it trained."""

import os
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

#: What differs between two runs of the same trials: when, how fast and by whom.
NOT_COMPARED = (
    "_at",
    "_seconds",
    "worker_pid",
    "images_per_second",
    "latency_ms",
    "overhead_seconds",
    "workers_lost",
    "moves",
    "worker_memory",
)
#: Longer than it takes to kill a driver after its first reports.
MAX_EPOCHS = 40
#: Two trials, one after the other in one worker process.
SHORT = {
    "search": {"algorithm": "random", "trials": 2},
    "schedule": {"algorithm": "none", "max_epochs": MAX_EPOCHS},
    "resources": {"max_concurrent": 1},
}


def rows(run: Path, table: str) -> list[dict[str, Any]]:
    found = pq.read_table(run / f"{table}.parquet").to_pylist()
    return [
        {key: value for key, value in row.items() if key != "at" and not any(word in key for word in NOT_COMPARED)}
        for row in found
    ]


@pytest.fixture(scope="module")
def calm(make_joined, tmp_path_factory):
    """A finished run that nothing disturbed, and its tables."""
    convfleet = make_joined(tmp_path_factory.mktemp("calm"))
    convfleet.run("run", convfleet.write_study("calm", **SHORT))
    run = convfleet.folder / "runs" / "calm"
    return convfleet, {table: rows(run, table) for table in ("trials", "epochs")}


def test_killed_driver_costs_nothing_and_the_tables_end_as_undisturbed(convfleet, calm):
    process = convfleet.start("run", convfleet.write_study("killed", **SHORT))
    convfleet.wait_for("killed", "epoch_reported", 3, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = convfleet.reports("killed")
    status = convfleet.run("status", "runs/killed")
    assert f"pid {process.pid}, since" in status
    assert "; it died" in status

    output = convfleet.run("resume", "runs/killed")
    assert f"(pid {process.pid}) died; taking over" in output
    assert before.items() <= convfleet.reports("killed").items()
    run = convfleet.folder / "runs" / "killed"
    assert {table: rows(run, table) for table in ("trials", "epochs")} == calm[1]
    assert not (run / ".driver.json").exists()


def test_finished_run_is_extended_and_then_taken_over_by_another_study(calm):
    convfleet, _ = calm
    runs, trained = convfleet.folder / "runs", convfleet.reports("calm")
    output = convfleet.run("resume", "runs/calm", "--set", "seed=9", code=2)
    assert "runs/calm: seed: cannot change from 3 to 9: every random choice" in output
    change = ("--set", "search.trials=3", "--set", f"schedule.max_epochs={MAX_EPOCHS + 1}", "--set", "export.top=1")
    output = convfleet.run("resume", "runs/calm", *change)
    assert "extended: search.trials 2 -> 3, schedule.max_epochs 40 -> 41, export.top 0 -> 1" in output
    reports = convfleet.reports("calm")
    assert trained.items() <= reports.items()
    assert sorted(reports) == [(f"t{trial:04d}", epoch) for trial in range(3) for epoch in range(1, MAX_EPOCHS + 2)]
    assert len(list((runs / "calm" / "exports").glob("1-*/model.keras"))) == 1

    again = convfleet.write_study(
        "again",
        reuse="runs/calm",
        search={"algorithm": "random", "trials": 3},
        schedule={"algorithm": "none", "max_epochs": MAX_EPOCHS + 1},
        export={"top": 1, "formats": ["keras"]},
    )
    output = convfleet.run("run", again)
    assert "runs/calm: 3 trials there, 3 taken over" in output
    assert convfleet.records("again", "trial_started") == []
    assert len(list((runs / "again" / "exports").glob("1-*/model.keras"))) == 1
    assert "3 trials were trained in" in convfleet.run("status", "runs/again")
