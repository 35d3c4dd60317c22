"""Kills workers, drivers and nodes of real studies at random moments: `python tests/faults/kills.py`.

    python tests/faults/kills.py --workers 30 --drivers 30 --nodes 5 --seed 1

Each study then goes on to its end, and what it reported is compared, row by row, with an undisturbed run.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from small_runs import Commands, complaints_of, rows_of, state_of, variants_of, wait_until

MAX_EPOCHS, NUM_TRIALS = 20, 6
NUM_REPORTS = NUM_TRIALS * MAX_EPOCHS
CHANGES: dict[str, Any] = {
    "search": {"algorithm": "random", "trials": NUM_TRIALS},
    "schedule": {"algorithm": "none", "max_epochs": MAX_EPOCHS},
    "resources": {"cpus": 2, "retries": 100},
    "export": {"top": 0},
}
#: A driver starts, reads the data and has its first reports within this time, and may die anywhere in it.
_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was done to a study, and what of it differs from an undisturbed run."""

    what: str
    num_done: int
    num_studies: int
    num_reports: int
    num_differing: int


@dataclass
class Run:
    """A study in its run folder, and the command that is at work on it."""

    commands: Commands
    name: str
    address: str | None = None
    process: "subprocess.Popen[str] | None" = None

    @property
    def root(self) -> Path:
        return self.commands.folder / "runs" / self.name

    @property
    def num_reports(self) -> int:
        return len(state_of(self.root).report_order)

    def start(self) -> "subprocess.Popen[str]":
        """Runs the study, or resumes it."""
        arguments = ["resume", f"runs/{self.name}"]
        if not (self.root / "journal.jsonl").is_file():
            # Its driver died before it began, and another would take a folder beside this one.
            shutil.rmtree(self.root, ignore_errors=True)
            arguments = ["run", self.commands.write_study(name=self.name, **CHANGES)]
        if self.address is not None:
            arguments += ["--address", self.address]
        self.process = self.commands.start(*arguments)
        return self.process

    def wait_for_reports(self, count: int) -> bool:
        """Waits until so many reports are in the journal; returns False if the command ended before."""
        assert self.process is not None
        return wait_until(lambda: self.num_reports >= count, self.process)

    def finish(self) -> None:
        """Works until the study is finished."""
        process = self.process or self.start()
        ended = self.commands.finish(process, since=time.monotonic())
        self.process = None
        assert ended.code == 0, f"{self.name}: exit code {ended.code}\n{ended.output}\n{ended.errors}"
        assert complaints_of(ended) == []

    def kill(self) -> bool:
        """Kills the driver, and it alone, as the system would; returns whether it was still at work."""
        assert self.process is not None
        was_alive = self.process.poll() is None
        self.process.kill()
        self.process.communicate()
        self.process = None
        return was_alive


def undisturbed(folder: Path, commands: Commands | None = None) -> Run:
    """Returns a finished run that nobody disturbed; commands of another Ray may make it."""
    Run(commands or Commands(folder), "calm").finish()
    return Run(Commands(folder), "calm")


def kill_workers(folder: Path, *, count: int, generator: random.Random, calm: Run) -> Outcome:
    """Kills so many workers, each at a random moment of its work."""
    num_done = number = num_differing = num_reports = num_lost = 0
    while num_done < count:
        run = Run(calm.commands, f"workers-{number}")
        run.start()
        number += 1
        while num_done < count:
            known = run.num_reports
            if not run.wait_for_reports(known + generator.randint(1, 6)):
                break
            time.sleep(generator.random() * 0.3)
            pids = _working_pids(run)
            if not pids:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(generator.choice(pids), signal.SIGKILL)
                num_done += 1
        differing, reports = _finish(run, calm)
        num_lost += sum(len(trial.losses) for trial in state_of(run.root).trials.values())
        num_differing, num_reports = num_differing + differing, num_reports + reports
    assert num_lost > 0, "no worker was lost"
    return _outcome("worker processes killed", num_done, number, num_reports, num_differing)


def kill_drivers(folder: Path, *, count: int, generator: random.Random, calm: Run) -> Outcome:
    """Kills so many drivers: while they start, while they train, and while they end."""
    num_done = number = num_differing = num_reports = 0
    while num_done < count:
        run = Run(calm.commands, f"drivers-{number}")
        number += 1
        while num_done < count:
            process = run.start()
            if generator.random() < 0.5:
                known = run.num_reports
                run.wait_for_reports(min(NUM_REPORTS, known + generator.randint(1, NUM_REPORTS // 4)))
                time.sleep(generator.random() * 0.3)
            else:
                _wait(process, generator.uniform(0.5, _START_SECONDS))
            if not run.kill():
                break
            num_done += 1
        differing, reports = _finish(run, calm)
        num_differing, num_reports = num_differing + differing, num_reports + reports
    return _outcome("drivers killed", num_done, number, num_reports, num_differing)


def kill_nodes(folder: Path, *, count: int, generator: random.Random, calm: Run) -> Outcome:
    """Kills so many nodes of a local Ray cluster under a study, each replaced by a fresh one."""
    from ray.cluster_utils import Cluster

    environment = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": tempfile.mkdtemp(prefix="cf")}
    os.environ.update(environment)
    num_done = number = num_differing = num_reports = 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        while num_done < count:
            run = Run(calm.commands, f"nodes-{number}", address=cluster.address)
            number += 1
            run.start()
            while num_done < count:
                known = run.num_reports
                if not run.wait_for_reports(known + generator.randint(1, 8)):
                    break
                node = nodes.pop(generator.randrange(len(nodes)))
                # As if its plug was pulled: its raylet and with it, a moment later, its workers.
                cluster.remove_node(node, allow_graceful=False)
                nodes.append(cluster.add_node(num_cpus=1))
                num_done += 1
            differing, reports = _finish(run, calm)
            num_differing, num_reports = num_differing + differing, num_reports + reports
    finally:
        cluster.shutdown()
        for name in environment:
            os.environ.pop(name)
    return _outcome("nodes killed", num_done, number, num_reports, num_differing)


def _finish(run: Run, calm: Run) -> tuple[int, int]:
    """Lets a study end and returns how many rows differ from the undisturbed run's, and how many reports there are."""
    if run.process is not None or state_of(run.root).finished is None:
        run.finish()
    ours, theirs = state_of(run.root), state_of(calm.root)
    assert ours.finished is not None, f"{run.name}: not finished"
    assert variants_of(ours) == variants_of(theirs), f"{run.name}: other variants"
    assert len(ours.report_order) == len(set(ours.report_order)), f"{run.name}: a report is doubled"
    rows, calm_rows = rows_of(ours), rows_of(theirs)
    differing = [key for key in rows.keys() | calm_rows.keys() if rows.get(key) != calm_rows.get(key)]
    for key in sorted(differing):
        print(f"{run.name}: {key} differs\n  {rows.get(key)}\n  {calm_rows.get(key)}")
    return len(differing), len(rows)


def _working_pids(run: Run) -> list[int]:
    """Returns the processes that unfinished trials were last heard of from, where they are alive."""
    trials = state_of(run.root).unfinished
    return [
        pid
        for pid in sorted({trial.worker["worker_pid"] for trial in trials if "worker_pid" in trial.worker})
        if "ray::" in _command_of(pid)
    ]


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:
        return ""


def _wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.05)


def _outcome(what: str, num_done: int, num_studies: int, num_reports: int, num_differing: int) -> Outcome:
    return Outcome(
        what=what, num_done=num_done, num_studies=num_studies, num_reports=num_reports, num_differing=num_differing
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--drivers", type=int, default=30)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--folder", type=Path, default=None, help="Where runs are kept; default: a temporary folder.")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="convfleet-kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}, runs in {folder}", flush=True)
    generator = random.Random(options.seed)
    calm = undisturbed(folder)
    outcomes = []
    for kill, count in ((kill_workers, options.workers), (kill_drivers, options.drivers), (kill_nodes, options.nodes)):
        if count:
            outcomes.append(kill(folder, count=count, generator=generator, calm=calm))
            print(outcomes[-1], flush=True)
    print("\n| what | how many | studies | reports | rows that differ from an undisturbed run |\n|---|---|---|---|---|")
    for item in outcomes:
        print(f"| {item.what} | {item.num_done} | {item.num_studies} | {item.num_reports} | {item.num_differing} |")
    sys.exit(any(item.num_differing for item in outcomes))


if __name__ == "__main__":
    main()
