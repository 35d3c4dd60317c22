"""The best of each family on CIFAR-10: 10,000 training images, 15 epochs, an equal number of trials.

`python tests/benchmarks/families.py FOLDER` with FOLDER holding cifar10-train.parquet and cifar10-test.parquet. Each
family is one study, run by the command line's own functions; early stopping ends weak trials. Then the best residual
variant is trained twice more, for all epochs, with and without augmentation.
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
from orchestrator.study import parse_study

NUM_TRAIN, NUM_VALIDATION, MAX_EPOCHS, NUM_TRIALS = 10_000, 1_111, 15, 6
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
        "num_blocks": {"int": [3, 4]},
        "convs_per_block": {"int": [1, 2]},
        "filters": {"choice": [16, 24, 32]},
        "head": {"choice": ["flatten", "global_average"]},
        "dropout": {"choice": [0.0, 0.3]},
    },
    "residual": {
        "num_stages": 3,
        "blocks_per_stage": {"int": [1, 2]},
        "filters": {"choice": [16, 24, 32]},
        "pre_activation": {"choice": [False, True]},
    },
    "functional": {
        "num_modules": {"int": [3, 4]},
        "branches": {"int": [2, 3]},
        "filters": {"choice": [24, 32, 48]},
        "skip": {"choice": ["none", "add"]},
    },
    "subclassed": {
        "num_blocks": {"int": [3, 4]},
        "filters": {"choice": [16, 24, 32]},
        "dropout": {"choice": [0.0, 0.3]},
    },
}


def main() -> None:
    data, runs = Path(sys.argv[1]).absolute(), Path(tempfile.mkdtemp(prefix="families-"))
    table = Table("study", "best variant", "parameters", "its training, s", "study, s", "val_accuracy", "test_accuracy")
    best: dict[str, Any] = {}
    for family, params in SPACES.items():
        best[family] = add_row(table, f"{family}, augmented", run(data, runs, family, params, augment=AUGMENT))
    winner = {name: value for name, value in best["residual"].items() if name in SPACES["residual"] or name in TRAINING}
    for name, augment in (("augmented", AUGMENT), ("plain", {})):
        result = run(data, runs, "residual", winner, augment=augment, num_trials=1, name=f"residual-{name}")
        add_row(table, f"that residual variant, {name}", result)
    Console(width=170).print(table)
    print(f"runs: {runs}")


def run(
    data: Path,
    runs: Path,
    family: str,
    params: dict[str, Any],
    *,
    augment: dict[str, Any],
    num_trials: int = NUM_TRIALS,
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
            "augment": augment,
        },
        "space": {"family": family, "params": {**TRAINING, **params}},
        "search": {"algorithm": "random", "trials": num_trials},
        "schedule": {"algorithm": "asha", "max_epochs": MAX_EPOCHS, "grace_epochs": 3},
        "export": {"top": 1, "formats": ["keras"]},
    }
    started = time.perf_counter()
    result = run_study(parse_study(study, base=Path.cwd()), runs=runs)
    return result, time.perf_counter() - started


def add_row(table: Table, name: str, outcome: tuple[StudyResult, float]) -> dict[str, Any]:
    """Adds the best trial of a study, and returns its parameters."""
    result, seconds = outcome
    row = result.leaderboard(1).to_pylist()[0]
    trial = next(trial for trial in result.trials.to_pylist() if trial["trial"] == row["trial"])
    params = {key.removeprefix("param."): value for key, value in trial.items() if key.startswith("param.")}
    (export,) = result.state.exports
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
