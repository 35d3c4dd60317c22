"""What `convfleet plan` says beside what studies then take: `python benchmarks/plan_accuracy.py --data FOLDER`.

Plans each study and runs it right after, one after the other, in a folder of its own: the quickstart without early
stopping, the quickstart with `asha`, and with `--data`, a folder with CIFAR-10's two Parquet files, `cifar10` of 2,000
images with `asha`. A study takes the time from its command to the end of its last trial, which is what a plan says.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "from orchestrator.cli.app import main; main()"
#: The records that a trial ends with; one that completes does so with its last epoch.
ENDS = ("epoch_reported", "trial_stopped", "trial_failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A study, as a user names it.

    Args:
        study: A packaged study.
        overrides: What `--set` gets.
    """

    study: str
    overrides: tuple[str, ...]

    @property
    def title(self) -> str:
        """The study and its overrides that are no paths."""
        return " ".join([self.study, *(text for text in self.overrides if not text.startswith("data."))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A plan and the run that followed.

    Args:
        p50: Planned seconds that half of the simulated studies took at most.
        p90: Nine of ten.
        seconds: What the run took.
        begin: Planned seconds before the first trial.
        begun: What passed before its first trial began.
    """

    p50: float
    p90: float
    seconds: float
    begin: float
    begun: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="The folder of CIFAR-10's Parquet files.")
    parser.add_argument("--seeds", type=int, default=1, help="Each is a plan and a run of every study.")
    parser.add_argument("--first-seed", type=int, default=7, help="A study's seed; 7 is that of the packaged ones.")
    options = parser.parse_args()
    told: list[tuple[Case, int, Compared]] = []
    with tempfile.TemporaryDirectory(prefix="plan-accuracy-") as folder:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for case in cases(options.data):
                compared = compare(case, seed=seed, work=Path(folder) / f"{len(told)}")
                told.append((case, seed, compared))
                print(f"{case.title}, seed {seed}: {compared}", flush=True)
    show(told)


def cases(data: Path | None) -> list[Case]:
    """Returns the studies."""
    found = [
        Case(study="quickstart", overrides=("search.trials=24", "schedule.algorithm=none")),
        Case(study="quickstart", overrides=("search.trials=30", "schedule.algorithm=asha")),
    ]
    if data is not None:
        files = [f"data.{split}={data.resolve() / f'cifar10-{split}.parquet'}" for split in ("train", "test")]
        source = ("data.source=parquet", "data.name=null", *files, "data.limit=2000")
        found.append(Case(study="cifar10", overrides=(*source, "search.trials=12")))
    return found


def compare(case: Case, *, seed: int, work: Path) -> Compared:
    """Returns what was planned and what a run took.

    Args:
        case: The study.
        seed: Its seed.
        work: A folder of its own.
    """
    work.mkdir(parents=True)
    overrides = [part for text in (*case.overrides, f"seed={seed}") for part in ("--set", text)]
    plan = json.loads(command("plan", case.study, *overrides, "--json", work=work))
    began = time.time()
    command("run", case.study, *overrides, "--runs", str(work / "runs"), work=work)
    [journal] = (work / "runs").glob("*/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    ended = max(record["at"] for record in records if record["type"] in ENDS)
    first = min(record["at"] for record in records if record["type"] == "trial_started")
    wall = plan["forecasts"][0]["wall_seconds"]
    return Compared(
        p50=wall["p50"], p90=wall["p90"], seconds=ended - began, begin=plan["begin_seconds"], begun=first - began
    )


def command(*arguments: str, work: Path) -> str:
    """Returns what a command printed.

    Raises:
        SystemExit: With its last words, if it failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONVFLEET_CACHE": str(work / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environment, cwd=work, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"convfleet {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def show(told: list[tuple[Case, int, Compared]]) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    columns = ("study", "seed", "p50, s", "p90, s", "took, s", "planned / took", "first trial: planned, s", "took, s")
    table = Table(*columns, title="plans and the runs that followed")
    for case, seed, item in told:
        numbers = [f"{value:.0f}" for value in (item.p50, item.p90, item.seconds)]
        begins = [f"{value:.1f}" for value in (item.begin, item.begun)]
        table.add_row(case.title, str(seed), *numbers, f"{item.p50 / item.seconds:.2f}", *begins)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
