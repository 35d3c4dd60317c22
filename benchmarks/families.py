"""The best of each family on CIFAR-10: 10,000 training images, 15 epochs, an equal number of trials.

`python benchmarks/families.py FOLDER` with FOLDER holding cifar10-train.parquet and cifar10-test.parquet. Each
family is one augmented study, in which early stopping ends weak trials. Then the best residual variant is trained twice
more, side by side, for all epochs: with augmentation and without.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator import StudyResult, run_study
from orchestrator.study.loading import parse_study

NUM_TRAIN, NUM_VALIDATION, MAX_EPOCHS, NUM_TRIALS = 10_000, 1_111, 15, 4
AUGMENT = {"flip": "horizontal", "crop_padding": 4}
TRAINING = {
    "optimizer": "adamw",
    "learning_rate": {"float": [1e-3, 1e-2], "log": True},
    "weight_decay": 0.01,
    "schedule": "one_cycle",
    "batch_size": 64,
}
SPACES: dict[str, dict[str, Any]] = {
    "sequential": {
        "num_blocks": 3,
        "convs_per_block": {"int": [1, 2]},
        "filters": 16,
        "head": {"choice": ["flatten", "global_average"]},
        "dropout": {"choice": [0.0, 0.3]},
    },
    "residual": {
        "num_stages": 3,
        "blocks_per_stage": 1,
        "filters": {"choice": [12, 16]},
        "pre_activation": {"choice": [False, True]},
    },
    "functional": {
        "num_modules": 3,
        "branch_kernels": {"choice": [[1, 3], [3, 3]]},
        "filters": 24,
        "skip": {"choice": ["none", "add"]},
    },
    "subclassed": {
        "num_blocks": {"int": [3, 4]},
        "filters": {"choice": [16, 24]},
        "dropout": {"choice": [0.0, 0.3]},
    },
}


def main() -> None:
    data, runs = Path(sys.argv[1]).absolute(), Path(tempfile.mkdtemp(prefix="families-"))
    table = Table("study", "best variant", "parameters", "its training, s", "study, s", "val_accuracy", "test_accuracy")
    best: dict[str, Any] = {}
    for family, params in SPACES.items():
        best[family] = add_row(table, family, run(data, runs, family, params))
    both = {**best["residual"], "augment_strength": {"choice": [0.0, 1.0]}}
    result = run(data, runs, "residual", both, name="residual-augmented-or-not")
    for place in (0, 1):
        add_row(table, "that residual variant, all epochs", result, place=place)
    Console(width=170).print(table)
    print(f"runs: {runs}")


def run(
    data: Path,
    runs: Path,
    family: str,
    params: dict[str, Any],
    *,
    name: str = "",
) -> tuple[StudyResult, float]:
    """Returns what came of one family's study, and the seconds that it took in all."""
    limit = NUM_TRAIN + NUM_VALIDATION
    study = {
        "name": name or family,
        "seed": 1,
        "data": {
            "source": "parquet",
            "train": str(data / "cifar10-train.parquet"),
            "test": str(data / "cifar10-test.parquet"),
            "limit": limit,
            "validation_fraction": NUM_VALIDATION / limit,
            "augment": AUGMENT,
        },
        "space": {"family": family, "params": {**TRAINING, **params}},
        "search": {"algorithm": "grid"} if name else {"algorithm": "random", "trials": NUM_TRIALS},
        "schedule": {"algorithm": "none" if name else "asha", "max_epochs": MAX_EPOCHS, "grace_epochs": 2},
        "export": {"top": 2 if name else 1, "formats": ["keras"]},
    }
    started = time.perf_counter()
    result = run_study(parse_study(study, base=Path.cwd()), runs=runs)
    return result, time.perf_counter() - started


def add_row(table: Table, name: str, outcome: tuple[StudyResult, float], *, place: int = 0) -> dict[str, Any]:
    """Adds a study's best trial, or the one at another place of the leaderboard, and returns its parameters."""
    result, seconds = outcome
    row = result.leaderboard(place + 1).to_pylist()[place]
    trial = next(trial for trial in result.trials.to_pylist() if trial["trial"] == row["trial"])
    params = {key.removeprefix("param."): value for key, value in trial.items() if key.startswith("param.")}
    (export,) = [item for item in result.state.exports if item.trial == row["trial"]]
    print(json.dumps({"study": name, "seconds": seconds, "test": dict(export.test_metrics), **params}), flush=True)
    told = " ".join(
        f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()
    )
    table.add_row(
        name,
        told,
        f"{trial['parameters']:,}",
        f"{trial['train_seconds']:.0f}",
        f"{seconds:.0f}",
        f"{trial['best_val_accuracy']:.3f}",
        f"{export.test_metrics['accuracy']:.3f}",
    )
    return params


if __name__ == "__main__":
    main()
