"""The wall time of `convfleet run`, whole and in parts, of several checkouts in turn.

    python benchmarks/command_times.py --checkout . --checkout ../older --rounds 5

Runs one study with the code of each checkout, round after round, each in a folder of its own and with one cache of
decoded images a checkout, filled by a run that is not counted. `first report` is from the command to the first epoch in
the journal, `to prompt` from the last epoch to the end of the command: exports, tables, report, Ray's end. Medians, and
in parentheses the ratio to the last checkout. A second table has the same seconds as a timeline, side by side, by the
records of the journal; `convfleet status --timeline` tells more of one run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

#: The console script, also as older checkouts have it.
PROGRAM = """
try:
    from convfleet.__main__ import main
except ImportError:
    from orchestrator.cli import main
main()
"""
COLUMNS = ("whole", "first report", "to prompt")
TIMELINE = (
    "command to session",
    "to first trial",
    "to first report",
    "to last report",
    "to last export",
    "to the prompt",
)
KINDS = ("session_started", "trial_started", "model_exported")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", action="append", type=Path, required=True, help="A folder with the code.")
    parser.add_argument("--study", default="quickstart", help="A packaged study, or a file.")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="As `convfleet run --set`.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    study = str(Path(options.study).resolve()) if Path(options.study).is_file() else options.study
    arguments = [study, *(part for override in options.overrides for part in ("--set", override))]
    told: dict[Path, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="command-times-") as folder:
        for number in range(options.rounds + 1):
            for place, checkout in enumerate(options.checkout):
                seconds = measure(checkout.resolve(), arguments, folder=Path(folder) / str(place), number=number)
                if number:
                    told[checkout].append(seconds)
    show(told, title=f"{options.study}, seconds, medians of {options.rounds}")


def measure(checkout: Path, arguments: list[str], *, folder: Path, number: int) -> dict[str, float]:
    """Returns the seconds of one command by part.

    Args:
        checkout: The folder with the code.
        arguments: What `convfleet run` gets.
        folder: Where the checkout's cache and runs are.
        number: Which round it is: each has run folders of its own.
    """
    runs = folder / f"runs-{number}"
    environment = {**os.environ, "PYTHONPATH": str(checkout), "CONVFLEET_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", PROGRAM, "run", *arguments, "--runs", str(runs)]
    runs.mkdir(parents=True)
    began = time.time()
    # Not from the checkout: Python would look for the code in the current folder first.
    subprocess.run(command, env=environment, cwd=runs, check=True, capture_output=True)
    ended = time.time()
    (journal,) = runs.glob("*/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    reports = [record["at"] for record in records if record["type"] == "epoch_reported"]
    at = {kind: [record["at"] for record in records if record["type"] == kind] for kind in KINDS}
    marks = [began, *(min(at[kind], default=reports[0]) for kind in KINDS[:2]), reports[0], reports[-1]]
    marks += [max(at["model_exported"], default=reports[-1]), ended]
    parts = {name: after - before for name, before, after in zip(TIMELINE, marks, marks[1:], strict=False)}
    return {"whole": ended - began, "first report": reports[0] - began, "to prompt": ended - reports[-1], **parts}


def show(told: dict[Path, list[dict[str, float]]], *, title: str) -> None:
    """Prints the medians of each checkout and their ratios to those of the last one."""
    from rich.console import Console
    from rich.table import Table

    medians = {
        checkout: {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        for checkout, rows in told.items()
    }
    last = list(medians.values())[-1]
    table = Table("checkout", *COLUMNS, title=title)
    for checkout, row in medians.items():
        table.add_row(str(checkout), *(f"{row[name]:.1f} ({row[name] / last[name]:.2f})" for name in COLUMNS))
    timeline = Table("part", *map(str, medians), title="timeline, seconds")
    for name in TIMELINE:
        timeline.add_row(name, *(f"{row[name]:.2f}" for row in medians.values()))
    console = Console(width=120)
    console.print(table)
    console.print(timeline)


if __name__ == "__main__":
    main()
