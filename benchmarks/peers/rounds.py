"""One peer, one round: its process, what it must have done, and how it is told."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from peers import convfleet_run
from peers.measuring import Measured, measure
from peers.shared import Job
from peers.tables import Outcome

ROOT = Path(__file__).parents[2]
#: Lines of a failed peer's output that are shown.
LAST_LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who takes part.

    Args:
        module: What runs in its process; empty: convfleet's command line.
        settings: What of the job is this peer's own.
    """

    module: str
    settings: Mapping[str, Any]


class Reports:
    """The epochs that a peer has told so far, from its file or from convfleet's journal."""

    def __init__(self, path: Path, *, read: Callable[[Mapping[str, Any]], dict[str, Any] | None]) -> None:
        self._path, self._read, self._offset = path, read, 0
        self.all: list[dict[str, Any]] = []

    def refresh(self) -> list[dict[str, Any]]:
        """Returns all reports, after reading the whole lines that are new."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._offset += len(whole) + len(newline)
            told = (self._read(json.loads(line)) for line in whole.splitlines())
            self.all += [report for report in told if report is not None]
        return self.all


def machine() -> dict[str, Any]:
    """Returns what was measured on, and with which versions."""
    names = ("tensorflow", "keras", "ray", "optuna", "keras-tuner", "numpy")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.processor() or platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names if find_spec(name.replace("-", "_"))},
    }


def environment(work: Path) -> dict[str, str]:
    """Returns what every process gets, without settings of the caller's that change what is compared."""
    changed = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "RAY_ADDRESS")
    return {
        **{name: value for name, value in os.environ.items() if name not in changed},
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")]),
        "CONVFLEET_CACHE": str(work / "cache"),
        # What is killed leaves its files here, and another Ray on this machine is none of the benchmark's.
        "RAY_TMPDIR": str(work),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def run_module(module: str, job: Job, *, work: Path, limit_seconds: float) -> Measured:
    """Runs one of the benchmark's own modules.

    Raises: RuntimeError: with its last words, if it fails.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", module, str(job.write(folder / "job.json"))]
    log = folder / "output.txt"
    measured = measure(command, log=log, environment=environment(work), limit_seconds=limit_seconds)
    if measured.exit_code != 0:
        raise RuntimeError(f"{module} ended with {measured.exit_code}: {last_words(log)}")
    return measured


def run_peer(
    peer: Peer,
    job: Job,
    *,
    work: Path,
    params: Mapping[str, Any],
    limit_seconds: float,
    target: float | None = None,
) -> tuple[Measured, Reports, str]:
    """Returns what a peer took, what it told, and its last words.

    target: Its process is stopped as soon as a trial reports this validation accuracy.
    """
    folder = Path(job.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = replace(job, **peer.settings)
    if peer.module:
        command = [sys.executable, "-m", peer.module, str(job.write(folder / "job.json"))]
        reports = Reports(Path(job.reports), read=dict)
    else:
        command = convfleet_run.command(job, params=params)
        journal = convfleet_run.run_folder(job) / "journal.jsonl"
        reports = Reports(journal, read=convfleet_run.report_of)

    def is_met() -> bool:
        return target is not None and any(report["val_accuracy"] >= target for report in reports.refresh())

    log = folder / "output.txt"
    measured = measure(command, log=log, environment=environment(work), limit_seconds=limit_seconds, until=is_met)
    reports.refresh()
    return measured, reports, last_words(log)


def complaint(reports: Reports, *, num_variants: int, epochs: int, parameters: list[int]) -> str:
    """Returns what a peer did not do that it should have, or an empty string.

    parameters: What each variant's model has in convfleet's family.
    """
    told = {(report["variant"], report["epoch"]) for report in reports.all}
    wanted = {(variant, epoch) for variant in range(num_variants) for epoch in range(1, epochs + 1)}
    if told != wanted or len(reports.all) != len(wanted):
        return f"told {len(reports.all)} reports of {len(told)} epochs where {len(wanted)} were asked for"
    counts = {report["variant"]: report["parameters"] for report in reports.all if report["epoch"] == 1}
    unlike = [variant for variant, count in enumerate(parameters) if counts[variant] != count]
    if unlike:
        first = unlike[0]
        return f"variant {first} has {counts[first]:,} parameters, in convfleet's family {parameters[first]:,}"
    return ""


def last_words(log: Path) -> str:
    """Returns the last lines of a peer's output."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:])


def outcome(
    peer: str, number: int, measured: Measured, *, problem: str, details: Mapping[str, Any] | None = None
) -> Outcome:
    """Returns a finished round."""
    return Outcome(
        peer=peer,
        round=number,
        wall_seconds=measured.wall_seconds,
        cpu_seconds=measured.cpu_seconds,
        problem=problem,
        details=details,
    )
