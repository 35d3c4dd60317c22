"""What a trial costs the driver, by the number of trials: `python benchmarks/driver_scale.py`.

Runs studies whose trials train nothing and report made-up numbers at once, through all that a real study goes through
on the driver's side: Ray, Ray Tune's loop, searcher, scheduler, recorder, journal, tables, checkpoint keeper, progress.
Each study runs in a process of its own; small ones several times, of which the median counts. CPU seconds are those of
the driver's process. Where other work shares the cores, CPU seconds grow, too: a loop that is timed all along tells by
how much, and ratios are of CPU time over that loop's. `--profile` prints where the time of Ray Tune's thread goes.
"""

import argparse
import cProfile
import hashlib
import json
import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
SAMPLE_SECONDS = 0.25
PACE_STEPS = 20_000
#: Studies of fewer trials run as often as makes so many, but at most five times.
SMALL_TRIALS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--search", choices=("random", "tpe"), default="random")
    parser.add_argument("--schedule", choices=("none", "asha", "hyperband", "pasha", "median"), default="none")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)))
        return
    rows = []
    for number in options.trials:
        num_runs = max(1, min(5, SMALL_TRIALS // number))
        rows.append([figures(in_own_process(options, num_trials=number)) for _ in range(num_runs)])
    print_table(options.trials, rows)


def in_own_process(options: argparse.Namespace, *, num_trials: int) -> dict[str, Any]:
    """Returns what a study of so many trials cost, in a process that ran no other."""
    command = [sys.executable, __file__, "--one", "--trials", str(num_trials), "--search", options.search]
    command += ["--schedule", options.schedule, "--epochs", str(options.epochs)]
    command += ["--profile"] if options.profile else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    *profile, last = done.stdout.splitlines()
    if profile:
        print("\n".join(profile), file=sys.stderr, flush=True)
    return json.loads(last)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs one study and returns what it cost."""
    from rich.console import Console

    from orchestrator import run_study
    from orchestrator.tuning import experiment
    from orchestrator.views.terminal.progress import make_progress

    (num_trials,) = options.trials
    folder = Path(tempfile.mkdtemp(prefix="convfleet-scale-"))
    samples: list[tuple[float, ...]] = []
    profile = cProfile.Profile() if options.profile else None

    class Measured(experiment.Tuning):
        def __init__(self, *args: Any, recorder: Any, **named: Any) -> None:
            super().__init__(*args, recorder=recorder, trainable=no_op(), **named)
            threading.Thread(target=sample, args=(recorder, samples), daemon=True).start()

        def _fit(self) -> None:
            if profile is None:
                super()._fit()
            else:
                profile.runcall(super()._fit)

    with (
        (folder / "progress.txt").open("w") as lines,
        make_progress(Console(file=lines, width=150)) as progress,
        mock.patch.object(experiment, "Tuning", Measured),
    ):
        result = run_study(study(options, folder=folder), runs=folder / "runs", progress=progress)
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    root = result.folder.root
    names = ("trials", "seconds", "cpu", "rss", "pace")
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and path != result.folder.report)
    return {
        "num_trials": num_trials,
        "samples": {name: [row[at] for row in samples] for at, name in enumerate(names)},
        "folder_bytes": size,
        "status": status_seconds(root),
    }


def study(options: argparse.Namespace, *, folder: Path) -> Any:
    """Returns a study with a dozen parameters, as real ones have."""
    from orchestrator.study.loading import parse_study

    params = {
        "num_blocks": {"int": [1, 4]},
        "filters": {"choice": [8, 16, 32]},
        "kernel_size": {"choice": [3, 5]},
        "dense_units": {"choice": [0, 64]},
        "dropout": {"float": [0, 0.5]},
        "batch_norm": {"choice": [True, False]},
        "optimizer": {"choice": ["adam", "sgd"]},
        "learning_rate": {"float": [1e-4, 1e-1], "log": True},
        "momentum": {"float": [0.8, 0.99], "when": {"optimizer": "sgd"}},
        "batch_size": {"choice": [32, 64, 128]},
    }
    return parse_study(
        {
            "name": "scale",
            "data": {"source": "digits", "limit": 300, "cache_dir": str(folder / "cache")},
            "space": {"family": "sequential", "params": params},
            "search": {"algorithm": options.search, "trials": options.trials[0]},
            "schedule": {"algorithm": options.schedule, "max_epochs": options.epochs},
            "resources": {"cpus": 2},
            "export": {"top": 0},
        },
        base=folder,
    )


def no_op() -> type:
    """Returns a trainable that reports made-up metrics at once."""
    from trainables.reports import EpochReport
    from trainables.worker.adapter import VariantTrainable, worker_facts

    class NoOp(VariantTrainable):
        def _take(self, config: dict[str, Any]) -> None:
            self._name, self._epoch = config["trial"], config["first_epoch"]
            digest = hashlib.sha256(json.dumps(config["variant"], sort_keys=True).encode()).digest()
            self._height = digest[0] / 256

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._take(new_config)
            return True

        def step(self) -> dict[str, Any]:
            value = self._height * (1 - 0.5**self._epoch)
            report = EpochReport(
                epoch=self._epoch,
                metrics={"accuracy": value, "loss": 1 - value, "val_accuracy": value, "val_loss": 1 - value},
                train_seconds=1e-3,
                images_per_second=1e5,
                overhead_seconds={"validate": 1e-3, "checkpoint": 1e-3},
                is_last=self._epoch == self._spec.training.max_epochs,
                cost={"parameters": 1e5, "multiply_adds": 1e6, "memory_mb": 10.0, "latency_ms": 1.0},
            )
            self._epoch += 1
            told = {"trial": self._name, "worker": worker_facts(self._spec), "notes": [], "report": report.to_json()}
            return {**told, **report.metrics, "epoch": report.epoch, "done": report.is_last}

        def cleanup(self) -> None:
            pass

    return NoOp


def sample(recorder: Any, samples: list[tuple[float, ...]]) -> None:
    """Notes, again and again, how many trials there are, what this process has used so far, and the cores' pace."""
    page = resource.getpagesize()
    while True:
        rss = int(Path("/proc/self/statm").read_text().split()[1]) * page
        began = time.thread_time()
        for _ in range(PACE_STEPS):
            pass
        pace = time.thread_time() - began
        samples.append((len(recorder.state.trials), time.monotonic(), time.process_time(), rss, pace))
        time.sleep(SAMPLE_SECONDS)


def status_seconds(root: Path) -> tuple[float, float]:
    """Returns what `convfleet status` takes, its imports included: seconds, and CPU seconds; the best of three."""
    command = [sys.executable, "-c", "from orchestrator.cli.app import main; main()", "status", str(root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = []
    for _ in range(3):
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        found.append((time.monotonic() - began, cpu))
    return min(found)


def figures(found: dict[str, Any]) -> dict[str, float]:
    """Returns one run's columns of the table."""
    total = found["num_trials"]
    return {
        "ms": 1e3 * per_trial(found, "seconds", first=0.1, last=1),
        "CPU ms": 1e3 * per_trial(found, "cpu", first=0.1, last=1),
        "last / first 10 %": paced(found, first=0.9, last=1) / paced(found, first=0.01, last=0.1),
        "paced": paced(found, first=0.1, last=1),
        "with end": 1e3 * (found["samples"]["cpu"][-1] - found["samples"]["cpu"][0]) / total,
        "memory kB": per_trial(found, "rss", first=0.2, last=1) / 1e3,
        "folder kB": found["folder_bytes"] / total / 1e3,
        "status s": found["status"][0],
        "status CPU s": found["status"][1],
    }


def per_trial(found: dict[str, Any], name: str, *, first: float, last: float) -> float:
    """Returns how much something grew for each trial between two shares of the run."""
    values, counts = found["samples"][name], found["samples"]["trials"]
    low, high = window(found, first=first, last=last)
    return (values[high] - values[low]) / (counts[high] - counts[low]) if counts[high] > counts[low] else float("nan")


def paced(found: dict[str, Any], *, first: float, last: float) -> float:
    """Returns the CPU time of a trial in loops of the measure of the cores' pace at that time."""
    low, high = window(found, first=first, last=last)
    pace = statistics.fmean(found["samples"]["pace"][low : high + 1])
    return per_trial(found, "cpu", first=first, last=last) / pace


def window(found: dict[str, Any], *, first: float, last: float) -> tuple[int, int]:
    """Returns the samples at which these shares of the trials had begun."""
    counts, total = found["samples"]["trials"], found["num_trials"]
    low, high = (next(at for at, count in enumerate(counts) if count >= share * total) for share in (first, last))
    return low, high


def print_table(num_trials: list[int], rows: list[list[dict[str, float]]]) -> None:
    """Prints one row a study, and CPU seconds relative to the first row."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="the driver's cost of a trial", caption="with end: CPU ms, from the first trial to the report")
    medians = [{name: statistics.median(run[name] for run in runs) for name in runs[0]} for runs in rows]
    ratios = [row.pop("paced") for row in medians]
    for name in ("trials", *medians[0], "to first row"):
        table.add_column(name, justify="right")
    for number, row, ratio in zip(num_trials, medians, ratios, strict=True):
        table.add_row(f"{number:,}", *(f"{value:.3g}" for value in row.values()), f"{ratio / ratios[0]:.2f}")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
