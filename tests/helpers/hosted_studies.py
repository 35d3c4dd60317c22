"""A study of some real trials that is driven on one of several hosts."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hosts import SHARED, Hosts, wait_until

#: Epochs of a quarter of a second: trials outlast the time that a node takes to join.
STUDY: dict[str, Any] = {
    "seed": 3,
    "data": {"source": "digits"},
    "space": {
        "family": "residual",
        "params": {"filters": {"choice": [16, 24]}, "learning_rate": {"float": [0.001, 0.01]}},
    },
    "search": {"algorithm": "random", "trials": 3},
    "schedule": {"algorithm": "none", "max_epochs": 40},
    "export": {"top": 1, "formats": ["keras"]},
    "references": False,
}


class HostedStudy:
    """A study whose driver runs on a host, at work from the beginning.

    Args:
        hosts: The hosts, whose /mnt/shared has the study and its run.
        name: The study's.
        *options: Of `convfleet run`.
        host: Where the driver runs.
        **changes: Sections that replace those of the study.
    """

    def __init__(self, hosts: Hosts, name: str, *options: str, host: str = "head", **changes: Any) -> None:
        self.hosts, self.name = hosts, name
        self.folder = hosts.shared / "runs" / name
        (hosts.shared / f"{name}.yaml").write_text(yaml.safe_dump({**STUDY, **changes, "name": name}))
        self._log = (hosts.folder / f"{name}.log").open("a")
        self._start(f"run {name}.yaml", *options, host=host)

    def resume(self, *options: str, host: str = "head") -> None:
        """Goes on with the study on a host."""
        self._start(f"resume runs/{self.name}", *options, host=host)

    def kill(self) -> None:
        """Kills the driver, and what it started."""
        for pid in self.hosts.pids("head", "convfleet r"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(60)

    @property
    def said(self) -> str:
        """All that drivers have printed."""
        return Path(self._log.name).read_text()

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Returns the journal's records of a kind."""
        path = self.folder / "journal.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [record for record in map(json.loads, lines) if record["type"] == kind]

    def has_reported(self, trial: str, epoch: int) -> bool:
        """Returns whether a trial has come to an epoch; fails if the driver has ended."""
        assert self.process.poll() is None, self.said
        reports = self.records("epoch_reported")
        return any(record["trial"] == trial and record["report"]["epoch"] >= epoch for record in reports)

    def wait_for(self, trial: str, epoch: int) -> None:
        """Waits until a trial has come to an epoch."""
        wait_until(lambda: self.has_reported(trial, epoch), seconds=200, what=f"{trial}, epoch {epoch}: {self.said}")

    def end(self, *, seconds: float = 300) -> None:
        """Waits until the driver has ended well."""
        assert self.process.wait(seconds) == 0, self.said

    def rows(self) -> dict[tuple[str, int], dict[str, float]]:
        """Returns the metrics by (trial, epoch), after checking that each is there once."""
        found: dict[tuple[str, int], dict[str, float]] = {}
        for record in self.records("epoch_reported"):
            key = record["trial"], record["report"]["epoch"]
            assert key not in found, f"{key} is there twice"
            found[key] = record["report"]["metrics"]
        return found

    def exports(self) -> list[Path]:
        """Returns the exports, after checking that each has its model."""
        found = sorted((self.folder / "exports").glob("[1-9]-*"))
        assert all((path / "model.keras").exists() for path in found)
        return found

    def _start(self, command: str, *options: str, host: str) -> None:
        line = " ".join(["exec convfleet", command, *options])
        self.process = self.hosts.popen(host, line, cwd=SHARED, stdout=self._log)
