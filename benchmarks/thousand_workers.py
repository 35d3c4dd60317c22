"""What a driver does with a thousand workers: `python benchmarks/thousand_workers.py --workers 10 100 1000`.

The driver is the real one: Ray Tune's loop, its object references, results and errors, searcher, scheduler, listener,
journal, tables, checkpoint keeper, progress. Of the fleet, what is simulated are the processes: all workers are
coroutines of one actor, which sleep for as long as an epoch takes, fail, are taken away and come back
(benchmarks/simulated_fleet). At the end each report is looked for in the journal and in the tables.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from simulated_fleet.load import Load

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--every", type=float, default=5.0, help="seconds of an epoch; 0: as fast as the driver can")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the workers of a row report")
    parser.add_argument("--reports", type=int, help="instead of --seconds: how many reports a row has")
    parser.add_argument("--schedule", choices=("none", "asha", "hyperband", "pasha", "median"), default="asha")
    parser.add_argument("--grace", type=int, default=9, help="epochs after which early stopping judges first")
    parser.add_argument("--search", choices=("random", "tpe"), default="random")
    parser.add_argument("--failures", type=float, default=0.0005, help="share of epochs that end their trial")
    parser.add_argument("--preemptions", type=float, default=0.001, help="share that lose their worker")
    parser.add_argument("--start", type=float, default=2.0, help="seconds until a new worker is ready")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="print where the time of Ray Tune's thread goes")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.every and options.reports is None:
        parser.error("--every 0: say how many reports there are, such as --reports 6000")
    if options.one:
        print("\n" + json.dumps(measure(options)))
        return
    rows = []
    for workers in options.workers:
        rows.append(in_own_process(options, workers=workers))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print_table(options.workers, rows)


def in_own_process(options: argparse.Namespace, *, workers: int) -> dict[str, Any]:
    """Returns what the driver of so many workers did, in a process that ran no other."""
    command = [sys.executable, __file__, "--one", "--workers", str(workers)]
    for name in ("every", "seconds", "reports", "schedule", "grace", "search"):
        command += [f"--{name}", str(value)] if (value := getattr(options, name)) is not None else []
    for name in ("failures", "preemptions", "start", "seed"):
        command += [f"--{name}", str(getattr(options, name))]
    command += ["--profile"] if options.profile else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    *before, last = done.stdout.splitlines()
    if options.profile:
        print("\n".join(before), file=sys.stderr, flush=True)
    return json.loads(last)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs one row's study."""
    from simulated_fleet.one_run import run

    (workers,) = options.workers
    load = Load(
        workers=workers,
        epoch_seconds=options.every,
        failures=options.failures,
        preemptions=options.preemptions,
        start_seconds=options.start,
        seed=options.seed,
    )
    reports = options.reports or round(workers * options.seconds / options.every)
    asked = {"search": options.search, "schedule": options.schedule, "grace": options.grace}
    return run(load, reports=reports, asked=asked, is_profiled=options.profile)


def print_table(workers: list[int], rows: list[dict[str, Any]]) -> None:
    """Prints one row a fleet."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="a driver and its fleet", caption="lags in seconds: median, 99 %, longest")
    names = ("reports a second", "cores", "CPU ms a report", "memory MB")
    for name in ("workers", *names, "journal lag", "table lag", "reports", "lost", "twice"):
        table.add_column(name, justify="right")
    for count, row in zip(workers, rows, strict=True):
        lags = [", ".join(f"{value:.3g}" for value in row[name]) for name in ("journal lag", "table lag")]
        lost = row["lost"]
        cells = [f"{row[name]:.3g}" for name in names]
        missing = lost["lost"] + lost["not in tables"]
        twice = lost["recorded twice"] + lost["twice in tables"]
        table.add_row(f"{count:,}", *cells, *lags, f"{lost['recorded']:,}", f"{missing}", f"{twice}")
    console = Console(width=170)
    for row in rows:
        console.print(row["load"], row["counts"], row["lost"], sep="; ")
    console.print(table)


if __name__ == "__main__":
    main()
