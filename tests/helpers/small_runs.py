"""Small runs to be disturbed: the real command line, real Ray, digits, no early stopping, so numbers must be equal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from orchestrator.errors import OrchestratorError  # noqa: E402
from orchestrator.journal.file import read_journal  # noqa: E402
from orchestrator.journal.study_state import StudyState, fold  # noqa: E402

COMMAND = (sys.executable, "-c", "from orchestrator.cli.app import main; main()")
#: Longer than any of these commands takes on the slowest of machines: what takes longer hangs.
HANGS_SECONDS = 1200

STUDY: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "data": {"source": "digits"},
    "space": {
        "family": "sequential",
        "params": {
            "num_blocks": 1,
            "filters": {"choice": [4, 8]},
            "learning_rate": {"float": [1e-3, 1e-1], "log": True},
        },
    },
    "search": {"algorithm": "random", "trials": 3},
    "schedule": {"algorithm": "none", "max_epochs": 6},
    "resources": {"cpus": 1},
    "export": {"top": 1, "formats": ["keras"]},
    "references": False,
}

Rows = dict[tuple[str, int], dict[str, float]]


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    code: int
    output: str
    errors: str
    seconds: float

    @property
    def last_words(self) -> str:
        lines = [line for line in self.errors.splitlines() if line.strip()]
        return lines[-1] if lines else ""


@dataclass
class Commands:
    """Runs commands in a folder, with a data cache of their own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    #: Options that make `run`, `resume` and `export` join a Ray.
    address: tuple[str, ...] = ()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CONVFLEET_CACHE": str(self.folder / "cache"),
            "COLUMNS": "200",
            **self.environment,
        }
        joins = self.address if arguments[0] in {"run", "resume", "export"} else ()
        return subprocess.Popen(
            [*COMMAND, *arguments, *joins],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str], *, since: float) -> Ended:
        try:
            output, errors = process.communicate(timeout=HANGS_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            return Ended(code=-1, output=output, errors=f"{errors}\nHANGS", seconds=time.monotonic() - since)
        return Ended(code=process.returncode, output=output, errors=errors, seconds=time.monotonic() - since)

    def run(self, *arguments: str) -> Ended:
        since = time.monotonic()
        return self.finish(self.start(*arguments), since=since)

    def write_study(self, **changes: Any) -> str:
        (self.folder / "small.yaml").write_text(yaml.safe_dump({**STUDY, **changes}), encoding="utf-8")
        return "small.yaml"


def state_of(run: Path) -> StudyState:
    """Returns what a run's journal tells; an empty state where there is none, or none that can be read."""
    try:
        return fold(read_journal(run / "journal.jsonl"))
    except OrchestratorError:
        return StudyState()


def rows_of(state: StudyState) -> Rows:
    return {
        (trial.name, report.epoch): dict(report.metrics) for trial in state.trials.values() for report in trial.reports
    }


def variants_of(state: StudyState) -> dict[str, str]:
    return {trial.name: trial.variant.variant_id for trial in state.trials.values()}


def wait_until(is_there: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    """Returns whether something came to be before the process ended."""
    end = time.monotonic() + HANGS_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if is_there():
            return True
        time.sleep(0.02)
    return False


def complaints_of(ended: Ended) -> list[str]:
    """Returns what no command may do, whatever was done to its files."""
    found = []
    if "Traceback" in ended.errors or "Traceback" in ended.output:
        found.append(f"traceback: {ended.last_words}")
    if ended.code not in (0, 1, 2):
        found.append(f"exit code {ended.code}: {ended.last_words}")
    if ended.code in (1, 2) and "error:" not in ended.errors:
        found.append("fails without a word")
    return found
