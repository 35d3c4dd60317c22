"""What each search algorithm finds with the same real trainings: `python benchmarks/search_algorithms.py --json F`.

On made data sets, none of which out_of_the_box.py plays, each algorithm proposes variants one after another and learns
from the validation accuracy that a real training of a few epochs reaches. Every row is one algorithm on one data set:
the mean over seeds of the best validation accuracy so far, with its standard error, and in how many seeds it ends above
random search with the same seed. Ctrl-C shows what there is.
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from first_run.data_sets import write
from first_run.portfolio_sets import numerals, rings, weaves

DATA_SETS = {
    "numerals": lambda: numerals(800),
    "rings": lambda: rings(400),
    "weaves": lambda: weaves(240),
}
SPACE = {
    "family": "sequential",
    "params": {
        "num_blocks": {"int": [1, 3]},
        "filters": {"choice": [8, 16, 32]},
        "head": {"choice": ["global_max", "global_average", "flatten"]},
        "batch_norm": {"choice": [True, False]},
        "dropout": {"float": [0.0, 0.5]},
        "optimizer": {"choice": ["adam", "sgd", "rmsprop"]},
        "momentum": {"float": [0.0, 0.98], "when": {"optimizer": "sgd"}},
        "learning_rate": {"float": [1e-5, 1e-1], "log": True},
        "weight_decay": {"float": [1e-6, 1e-2], "log": True},
        "batch_size": {"choice": [16, 32, 64]},
    },
}
SHOWN = (8, 16, 24, 32, 48, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithms", default="random,sobol,tpe,gp")
    parser.add_argument("--data-sets", default=",".join(DATA_SETS))
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--json", type=Path, help="Written after each search.")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="search-"))
    names, algorithms = options.data_sets.split(","), options.algorithms.split(",")
    for name in names:
        write(DATA_SETS[name](), folder / name)
    curves: dict[tuple[str, str, int], list[float]] = {}
    started = time.monotonic()
    try:
        with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
            jobs = {
                pool.submit(searched, str(folder / name / "images"), algorithm, seed, options.trials, options.epochs): (
                    name,
                    algorithm,
                    seed,
                )
                for seed in range(options.seeds)
                for name in names
                for algorithm in algorithms
            }
            for done in as_completed(jobs):
                curves[jobs[done]] = done.result()
                if options.json:
                    told = [[*key, values] for key, values in sorted(curves.items())]
                    options.json.write_text(json.dumps(told), encoding="utf-8")
    except KeyboardInterrupt:
        print("interrupted; what there is:")
    show(curves, names=names, algorithms=algorithms)
    print(f"{time.monotonic() - started:.0f} s")


def searched(images: str, algorithm: str, seed: int, num_trials: int, epochs: int) -> list[float]:
    """Returns the validation accuracies of a search's trials, in order."""
    from portfolio import measured

    from orchestrator.journal.trial import Trial
    from orchestrator.runs.paths import trial_name
    from orchestrator.search.algorithms.proposer import Proposer
    from orchestrator.study.loading import load_study
    from trainables.reports import EpochReport

    study: dict[str, Any] = {
        "name": "s",
        "seed": seed,
        "data": {"source": "digits"},
        "space": SPACE,
        "search": {"algorithm": algorithm, "trials": num_trials},
    }
    proposer, found = Proposer(load_study(study)), []
    for number in range(num_trials):
        variant = proposer.propose(number)
        value, _ = measured((images, {"family": variant.family, **variant.params}, epochs))
        found.append(value)
        trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
        report = EpochReport(
            epoch=1, metrics={"val_accuracy": value}, train_seconds=1.0, images_per_second=1.0, is_last=True
        )
        trial.reports.append(report)
        trial.reported_at.append(0.0)
        proposer.end_trial(trial)
    return found


def show(curves: dict[tuple[str, str, int], list[float]], *, names: list[str], algorithms: list[str]) -> None:
    """Prints a table, a row for each data set and algorithm."""
    longest = max((len(values) for values in curves.values()), default=0)
    shown = [count for count in SHOWN if count <= longest]
    print("| data set | algorithm | " + " | ".join(f"after {count}" for count in shown) + " | above random |")
    print("|---|---|" + "---|" * (len(shown) + 1))
    for name in names:
        for algorithm in algorithms:
            seeds = [seed for (data, which, seed) in curves if (data, which) == (name, algorithm)]
            if not seeds:
                continue
            best = np.array([np.maximum.accumulate(curves[name, algorithm, seed]) for seed in sorted(seeds)])
            error = best.std(axis=0, ddof=1 if len(seeds) > 1 else 0) / np.sqrt(len(seeds))
            cells = [f"{best[:, count - 1].mean():.3f} ±{error[count - 1]:.3f}" for count in shown]
            rivals = [seed for seed in seeds if (name, "random", seed) in curves]
            ahead = sum(max(curves[name, algorithm, seed]) > max(curves[name, "random", seed]) for seed in rivals)
            print(f"| {name} | {algorithm} | " + " | ".join(cells) + f" | {ahead} of {len(rivals)} |")


if __name__ == "__main__":
    main()
