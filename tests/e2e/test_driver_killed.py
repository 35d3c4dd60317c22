"""A killed driver costs nothing; a run is extended, and another study takes over what it trained."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

#: What differs between two runs of the same trials: when, how fast and by whom.
NOT_COMPARED = ("_at", "_seconds", "worker_pid", "images_per_second", "latency_ms", "overhead_seconds", "workers_lost")


def rows(run: Path, table: str) -> list[dict[str, Any]]:
    found = pq.read_table(run / f"{table}.parquet").to_pylist()
    return [
        {key: value for key, value in row.items() if key != "at" and not any(word in key for word in NOT_COMPARED)}
        for row in found
    ]


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def test_killed_driver_is_resumed_with_nothing_lost_then_extended_then_reused(convfleet):
    convfleet.run("run", convfleet.write_study("calm"))
    study = convfleet.write_study("killed")
    process = convfleet.start("run", study)
    convfleet.wait_for("killed", "epoch_reported", 3, process)
    workers = {record["worker"]["worker_pid"] for record in convfleet.records("killed", "epoch_reported")}
    os.kill(process.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    process.wait()
    before = convfleet.reports("killed")
    status = convfleet.run("status", "runs/killed")
    assert f"pid {process.pid}, since" in status
    assert "; it died" in status

    output = convfleet.run("resume", "runs/killed")
    assert f"(pid {process.pid}) died; taking over" in output
    print(f"workers gone: {not any(map(is_running, workers))} after {time.monotonic() - killed_at:.1f} s")
    runs = convfleet.folder / "runs"
    assert before.items() <= convfleet.reports("killed").items()
    for table in ("trials", "epochs"):
        assert rows(runs / "killed", table) == rows(runs / "calm", table)
    assert not (runs / "killed" / ".driver.json").exists()

    trained = convfleet.reports("killed")
    output = convfleet.run("resume", "runs/killed", "--set", "seed=9", code=2)
    assert "runs/killed: seed: cannot change from 3 to 9: every random choice" in output
    change = ("--set", "search.trials=5", "--set", "schedule.max_epochs=4", "--set", "export.top=1")
    convfleet.run("resume", "runs/killed", *change)
    reports = convfleet.reports("killed")
    assert trained.items() <= reports.items()
    assert sorted(reports) == [(f"t{trial:04d}", epoch) for trial in range(5) for epoch in range(1, 5)]
    assert len(list((runs / "killed" / "exports").glob("1-*/model.keras"))) == 1
    assert "search.trials 4 -> 5" in convfleet.records("killed", "study_extended")[0]["change"]

    again = convfleet.write_study(
        "again",
        reuse="runs/killed",
        search={"algorithm": "random", "trials": 5},
        schedule={"algorithm": "none", "max_epochs": 4},
        export={"top": 1, "formats": ["keras"]},
    )
    output = convfleet.run("run", again)
    assert "runs/killed: 5 trials there, 5 taken over" in output
    assert convfleet.records("again", "trial_started") == []
    assert len(list((runs / "again" / "exports").glob("1-*/model.keras"))) == 1
    assert "5 trials were trained in" in convfleet.run("status", "runs/again")
