"""Makes a table of learning curves anew, by a real study: `python benchmarks/make_curves.py digits`.

Random variants of a built-in space train to their last epochs, without early stopping; benchmarks/curve_table.py says
what is kept. `cifar10 --images FOLDER` takes cifar10-train.parquet and cifar10-test.parquet of a folder of yours (image
Parquet, columns image and label), which are not part of the repository. Trials that --minutes cut short are left out.
"""

import argparse
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from curve_table import TABLES, CurveTable, curves_of, write_table

from orchestrator.driver.api import run_study
from orchestrator.study.loading import load_study

#: Rates and optimizers that also fail, as those of a first search do, and narrow networks, which train quickly; else
#: as the built-in space has it.
SPACE = {
    "base": "cnn-small",
    "params": {
        "filters": {"choice": [8, 16]},
        "optimizer": {"choice": ["adam", "sgd"]},
        "momentum": {"float": [0.0, 0.98], "when": {"optimizer": "sgd"}},
        "learning_rate": {"float": [1e-5, 1e-1], "log": True},
        "batch_size": {"choice": [32, 64, 128]},
    },
}
COMMON = {
    "space": SPACE,
    "objective": {"metric": "val_accuracy"},
    "resources": {"cpus_per_trial": 1, "gpus_per_trial": 0},
    "export": {"top": 0},
}
STUDIES: dict[str, dict[str, Any]] = {
    "digits": {
        "name": "curves-digits",
        "seed": 1,
        "data": {"source": "digits", "validation_fraction": 0.5},
        "search": {"algorithm": "random", "start_with": "none", "trials": 200},
        "schedule": {"algorithm": "none", "max_epochs": 27},
    },
    "cifar10": {
        "name": "curves-cifar10",
        "seed": 1,
        "data": {
            "source": "parquet",
            "train": "cifar10-train.parquet",
            "test": "cifar10-test.parquet",
            "limit": 2000,
            "validation_fraction": 0.25,
        },
        "search": {"algorithm": "random", "start_with": "none", "trials": 60},
        "schedule": {"algorithm": "none", "max_epochs": 9},
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=STUDIES)
    parser.add_argument("--images", type=Path, default=Path(), help="The folder of the Parquet files of images.")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--at-once", type=int, default=1, help="Trials at the same time.")
    parser.add_argument("--out", type=Path, default=TABLES)
    options = parser.parse_args()
    study = {**COMMON, **STUDIES[options.name]}
    changes = {"trials": options.trials, "minutes": options.minutes}
    search = {**study["search"], **{key: value for key, value in changes.items() if value is not None}}
    resources = {**study["resources"], "max_concurrent": options.at_once}
    data = {
        key: str((options.images / value).resolve()) if key in ("train", "test") else value
        for key, value in study["data"].items()
    }
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="curves-") as folder:
        spec = load_study({**study, "data": data, "search": search, "resources": resources})
        result = run_study(spec, runs=folder)
        curves = curves_of(list(result.state.trials.values()), num_epochs=spec.schedule.epochs)
    made = {
        "seconds": round(time.monotonic() - started),
        "at_once": options.at_once,
        "num_trials": len(result.state.trials),
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
    }
    path = options.out / f"{options.name}.parquet"
    # As written above: the table says nothing of where the images lie.
    write_table(CurveTable(study={**study, "search": search}, made=made, curves=curves), path)
    print(f"{len(curves)} of {made['num_trials']} trials in {made['seconds']} s: {path}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
