"""The memory of a worker process over hundreds of trials: `python benchmarks/worker_memory.py --trials 300`.

Runs a study of tiny variants, one epoch each, through one worker at a time, and prints the memory that the worker held
after every so many trials: its own, without pages of files.
"""

import argparse
import tempfile
from pathlib import Path

NUM_ROWS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--trials-per-worker", type=int, default=None, help="Default: as many as there are.")
    options = parser.parse_args()

    from rich.console import Console
    from rich.table import Table

    from orchestrator import run_study
    from orchestrator.study.loading import parse_study

    folder = Path(tempfile.mkdtemp(prefix="convfleet-memory-"))
    spec = parse_study(
        {
            "name": "worker-memory",
            "data": {"source": "digits", "limit": 300, "cache_dir": str(folder / "cache")},
            "space": {
                "family": {"choice": ["sequential", "residual", "functional"]},
                "params": {
                    "filters": {"choice": [4, 8]},
                    "dropout": 0.2,
                    "optimizer": {"choice": ["adam", "sgd"]},
                    "learning_rate": {"float": [1e-4, 1e-1], "log": True},
                },
            },
            "search": {"algorithm": "random", "trials": options.trials},
            "schedule": {"algorithm": "none", "max_epochs": 1},
            "resources": {"cpus": 1, "trials_per_worker": options.trials_per_worker or "auto"},
            "export": {"top": 0},
        },
        base=folder,
    )
    rows = run_study(spec, runs=folder / "runs").trials.to_pylist()
    table = Table("trials", "worker process", "memory, MB", title=f"{len(rows)} trials, runs in {folder}")
    for number in sorted({0, *range(len(rows) // NUM_ROWS - 1, len(rows), max(1, len(rows) // NUM_ROWS))}):
        row = rows[number]
        table.add_row(str(number + 1), str(row["worker_pid"]), f"{row['worker_memory_mb']:.0f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
