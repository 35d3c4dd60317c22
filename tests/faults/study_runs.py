"""Small real studies for fault tests: run as users run them, looked at through what they leave on disk."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).parents[2]
_CONVFLEET = (sys.executable, "-c", "from orchestrator.cli import main; main()")
_TIMEOUT_SECONDS = 900

STUDY: Mapping[str, Any] = {
    "seed": 5,
    "data": {"source": "digits", "limit": 300},
    "space": {
        "family": "sequential",
        "params": {
            "num_blocks": {"int": [1, 2]},
            "filters": {"choice": [4, 8]},
            "dropout": 0.2,
            "learning_rate": {"float": [1e-3, 1e-1], "log": True},
        },
    },
    "search": {"algorithm": "random", "trials": 6},
    "schedule": {"algorithm": "none", "max_epochs": 10},
    "resources": {"cpus": 2, "retries": 100},
    "export": {"top": 0},
}
#: What two runs of one study may differ in.
_OF_THE_MOMENT = (
    "seconds",
    "at",
    "node",
    "pid",
    "images_per_second",
    "latency_ms",
    "memory_mb",
    "workers_lost",
    "notes",
)


@dataclass
class StudyRun:
    """One run folder and the command lines that work on it, one at a time.

    Args:
        folder: Where studies, runs and the cache lie.
        name: The study's.
        changes: Sections that replace those of STUDY.
        address: The Ray cluster to join; None: this machine alone.
    """

    folder: Path
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    process: "subprocess.Popen[str] | None" = None

    @property
    def root(self) -> Path:
        return self.folder / "runs" / self.name

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Starts `run`, or `resume` where there is a run; or what the arguments say."""
        if not arguments:
            study = self.folder / f"{self.name}.yaml"
            study.write_text(yaml.safe_dump({"name": self.name, **STUDY, **self.changes}), encoding="utf-8")
            has_begun = (self.root / "journal.jsonl").is_file()
            arguments = ("resume", f"runs/{self.name}") if has_begun else ("run", study.name)
            if self.address is not None:
                arguments += ("--address", self.address)
        self.process = subprocess.Popen(
            [*_CONVFLEET, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "CONVFLEET_CACHE": str(self.folder / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return self.process

    def finish(self, *arguments: str) -> str:
        """Works until the study is finished, and returns what was printed."""
        if self.process is None or arguments:
            self.start(*arguments)
        assert self.process is not None
        output, _ = self.process.communicate(timeout=_TIMEOUT_SECONDS)
        code, self.process = self.process.returncode, None
        assert code == 0, f"exit code {code}\n{output}"
        assert "Traceback" not in output, output
        return output

    def kill(self) -> bool:
        """Kills the driver, and it alone, as the system would; returns whether it was still at work."""
        assert self.process is not None
        was_alive = self.process.poll() is None
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        self.process = None
        return was_alive

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        path = self.root / "journal.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        records = [json.loads(line) for line in lines]
        return [record for record in records if kind in (None, record["type"])]

    def wait_for_reports(self, count: int) -> bool:
        """Waits until so many reports are in the journal; returns False if the command ended before."""
        end = time.monotonic() + _TIMEOUT_SECONDS
        while len(self.records("epoch_reported")) < count:
            if self.process is None or self.process.poll() is not None:
                return False
            assert time.monotonic() < end, f"fewer than {count} reports"
            time.sleep(0.02)
        return True

    def check_reports(self) -> None:
        """Asserts that every report is in the journal once, in order, and that nothing failed."""
        told: dict[str, int] = {}
        for record in self.records("epoch_reported"):
            epoch = record["report"]["epoch"]
            assert epoch == told.get(record["trial"], 0) + 1, f"{record['trial']} reports epoch {epoch} out of order"
            told[record["trial"]] = epoch
        assert self.records("trial_failed") == []

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Returns the rows of both tables, without what two runs of one study may differ in."""
        found = [pq.read_table(self.root / name).to_pylist() for name in ("trials.parquet", "epochs.parquet")]
        return tuple([_lasting(row) for row in rows] for rows in found)  # type: ignore[return-value]


def _lasting(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not any(part in name for part in _OF_THE_MOMENT)}
