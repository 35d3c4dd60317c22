"""Kills workers, drivers and nodes of real studies at random moments: `python tests/faults/kills.py`.

    python tests/faults/kills.py --workers 30 --drivers 30 --nodes 5 --seed 1

Each study then goes on to its end, and its tables are compared, row by row, with an undisturbed run's.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from study_runs import STUDY, StudyRun

MAX_EPOCHS = STUDY["schedule"]["max_epochs"]
NUM_REPORTS = STUDY["search"]["trials"] * MAX_EPOCHS
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


def undisturbed(folder: Path) -> StudyRun:
    """Returns a finished run that nobody disturbed."""
    run = StudyRun(folder, "calm")
    run.finish()
    return run


def kill_workers(folder: Path, *, count: int, generator: random.Random, calm: StudyRun) -> Outcome:
    """Kills so many workers, each at a random moment of its work."""
    num_done = number = num_differing = num_reports = 0
    while num_done < count:
        run = StudyRun(folder, f"workers-{number}")
        run.start()
        number += 1
        while num_done < count:
            known = len(run.records("epoch_reported"))
            if not run.wait_for_reports(known + generator.randint(1, 6)):
                break
            time.sleep(generator.random() * 0.3)
            pids = _working_pids(run)
            if not pids:
                break
            os.kill(generator.choice(pids), signal.SIGKILL)
            num_done += 1
        differing, reports = _finish(run, calm)
        assert run.records("worker_lost"), "no worker was lost"
        num_differing, num_reports = num_differing + differing, num_reports + reports
    return _outcome("worker processes killed", num_done, number, num_reports, num_differing)


def kill_drivers(folder: Path, *, count: int, generator: random.Random, calm: StudyRun) -> Outcome:
    """Kills so many drivers: while they start, while they train, and while they end."""
    num_done = number = num_differing = num_reports = 0
    while num_done < count:
        run = StudyRun(folder, f"drivers-{number}")
        number += 1
        while num_done < count:
            process = run.start()
            if generator.random() < 0.5:
                known = len(run.records("epoch_reported"))
                run.wait_for_reports(min(NUM_REPORTS, known + generator.randint(1, NUM_REPORTS // 4)))
                time.sleep(generator.random() * 0.3)
            else:
                _wait(process, generator.uniform(0.5, _START_SECONDS))
            if not run.kill():
                break
            num_done += 1
            run.check_reports()
        differing, reports = _finish(run, calm)
        num_differing, num_reports = num_differing + differing, num_reports + reports
    return _outcome("drivers killed", num_done, number, num_reports, num_differing)


def kill_nodes(folder: Path, *, count: int, generator: random.Random, calm: StudyRun) -> Outcome:
    """Kills so many nodes of a local Ray cluster under a study, each replaced by a fresh one."""
    from ray.cluster_utils import Cluster

    environment = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": tempfile.mkdtemp(prefix="cf", dir="/tmp")}
    os.environ.update(environment)
    num_done = number = num_differing = num_reports = 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        while num_done < count:
            run = StudyRun(folder, f"nodes-{number}", address=cluster.address)
            number += 1
            run.start()
            while num_done < count:
                known = len(run.records("epoch_reported"))
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


def _finish(run: StudyRun, calm: StudyRun) -> tuple[int, int]:
    """Lets a study end and returns how many rows differ from the undisturbed run's, and how many reports there are."""
    if run.process is not None or not run.records("study_finished"):
        run.finish()
    run.check_reports()
    (trials, epochs), (calm_trials, calm_epochs) = run.rows(), calm.rows()
    pairs = [*zip(trials, calm_trials, strict=True), *zip(epochs, calm_epochs, strict=True)]
    for ours, theirs in pairs:
        if ours != theirs:
            print(f"{run.name}: differs\n  {ours}\n  {theirs}")
    return sum(ours != theirs for ours, theirs in pairs), len(epochs)


def _working_pids(run: StudyRun) -> list[int]:
    """Returns the processes that trials were last heard of from, where they are alive."""
    last = {record["trial"]: record["worker"]["worker_pid"] for record in run.records("epoch_reported")}
    alive = [pid for pid in sorted(set(last.values())) if Path(f"/proc/{pid}").exists()]
    return [pid for pid in alive if "ray::" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")]


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
