"""convfleet as its users run it: a study file and `convfleet run study.yaml`; and what its journal and tables tell."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peers.prepare import data_section
from peers.shared import Job
from peers.variants import SEARCH_SPACE, family_space

NAME = "study"
#: More trials than any limit leaves time for.
MANY = 1000


def study(job: Job, *, params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the study file of a job: a grid where it lists variants, else a search with the defaults.

    Nothing is exported or compared with reference rows, because no peer does either: all keep the best epoch's
    checkpoint of every trial. params: the grid.
    """
    common = {
        "name": NAME,
        "seed": job.seed,
        "data": data_section(job.source, limit=job.limit),
        "export": {"top": 0},
        "references": False,
    }
    if job.variants:
        return {
            **common,
            "space": family_space(params),
            "search": {"algorithm": "grid", "trials": len(job.variants)},
            "schedule": {"algorithm": "none", "max_epochs": job.epochs},
        }
    return {
        **common,
        "space": family_space(SEARCH_SPACE),
        "search": {"algorithm": "tpe", "trials": MANY},
        "schedule": {"max_epochs": job.epochs},
    }


def command(job: Job, *, params: Mapping[str, Any]) -> list[str]:
    """Returns the command line, after writing the study file."""
    import yaml

    path = Path(job.folder) / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump(study(job, params=params), sort_keys=False), encoding="utf-8")
    # The same as the installed command, from whichever checkout PYTHONPATH names.
    program = [sys.executable, "-c", "from convfleet.__main__ import main; main()"]
    return [*program, "run", str(path), "--runs", str(Path(job.folder) / "runs")]


def run_folder(job: Job) -> Path:
    return Path(job.folder) / "runs" / NAME


def report_of(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns a journal's record in the words of the peers' reports; None where it is no report."""
    if record.get("type") != "epoch_reported":
        return None
    report = record["report"]
    return {
        "variant": int(record["trial"].removeprefix("t")),
        "epoch": report["epoch"],
        "val_accuracy": report["metrics"]["val_accuracy"],
        "parameters": int(report.get("cost", {}).get("parameters", 0)),
        "at": record["at"],
    }


def worker_shares(trials: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Returns the share of warm workers' time in train and validation steps, from rows of trials.parquet.

    A worker is warm from the end of its first trial on. `busy`: up to the end of each worker's own last trial;
    `whole`: up to the end of the study's last one, so that a wait for the others counts as lost, too.

    >>> row = {"worker_pid": 7, "train_seconds": 8.0, "overhead_seconds.validate": 1.0}
    >>> worker_shares([{**row, "started_at": 0.0, "ended_at": 30.0}, {**row, "started_at": 30.0, "ended_at": 40.0},
    ...                {**row, "worker_pid": 8, "started_at": 0.0, "ended_at": 45.0}])
    {'busy': 0.9, 'whole': 0.6}
    """
    ended = [row for row in trials if row["ended_at"] is not None]
    last = max((row["ended_at"] for row in ended), default=0.0)
    steps = busy = whole = 0.0
    for pid in {row["worker_pid"] for row in ended}:
        first, *others = sorted((row for row in ended if row["worker_pid"] == pid), key=lambda row: row["ended_at"])
        if others:
            steps += sum(row["train_seconds"] + row.get("overhead_seconds.validate", 0.0) for row in others)
            busy += others[-1]["ended_at"] - first["ended_at"]
            whole += last - first["ended_at"]
    return {"busy": steps / busy, "whole": steps / whole} if busy else {}


def efficiency(job: Job) -> dict[str, Any]:
    """Returns what a run's tables tell about where its workers' time went."""
    import pyarrow.parquet as pq

    trials = pq.read_table(run_folder(job) / "trials.parquet").to_pylist()
    epochs = pq.read_table(run_folder(job) / "epochs.parquet").to_pylist()
    times = [
        {**row, "started_at": row["started_at"].timestamp(), "ended_at": row["ended_at"].timestamp()}
        for row in trials
        if row["started_at"] is not None and row["ended_at"] is not None
    ]
    kinds = sorted(name for row in trials[:1] for name in row if name.startswith("overhead_seconds."))
    return {
        "worker_shares": worker_shares(times),
        "train_seconds": sum(row["train_seconds"] for row in epochs),
        "workers": len({row["worker_pid"] for row in trials}),
        **{name: sum(row[name] or 0.0 for row in trials) for name in kinds},
    }
