"""What each search algorithm finds in three kinds of spaces: `python benchmarks/search_kinds.py`.

Nothing trains: a made objective over each space stands for the accuracy, another one for each seed, with a noise of
0.01; a trial below the median of those before it is stopped early, at a lower and noisier value. Every row is the mean
over seeds of the true value of the trial that looked best, with its standard error.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.search import history

RATE = {"learning_rate": {"float": [1e-5, 1e-1], "log": True}}
SPACES: dict[str, dict[str, Any]] = {
    "numbers": {
        "family": "sequential",
        "params": {
            **RATE,
            "num_blocks": {"int": [1, 4]},
            "filters": {"int": [8, 64], "step": 8},
            "dropout": {"float": [0.0, 0.5]},
            "weight_decay": {"float": [1e-6, 1e-2], "log": True},
            "batch_size": {"choice": [8, 16, 32, 64, 128]},
        },
    },
    "conditional": {
        "family": {"choice": ["sequential", "residual"]},
        "params": {
            **RATE,
            "num_blocks": {"int": [1, 4], "when": {"family": "sequential"}},
            "dense_units": {"int": [0, 128], "step": 16, "when": {"family": "sequential"}},
            "num_stages": {"int": [1, 4], "when": {"family": "residual"}},
            "blocks_per_stage": {"int": [1, 3], "when": {"family": "residual"}},
            "optimizer": {"choice": ["adam", "sgd", "rmsprop"]},
            "momentum": {"float": [0.0, 0.98], "when": {"optimizer": ["sgd", "rmsprop"]}},
        },
    },
    "options": {
        "family": "sequential",
        "params": {
            **RATE,
            "head": {"choice": ["global_max", "global_average", "flatten"]},
            "activation": {"choice": ["relu", "elu", "gelu", "silu"]},
            "pooling": {"choice": ["max", "average"]},
            "padding": {"choice": ["same", "valid"]},
            "batch_norm": {"choice": [True, False]},
            "optimizer": {"choice": ["adam", "sgd", "rmsprop", "adamw"]},
            "schedule": {"choice": ["constant", "cosine", "step"]},
        },
    },
}
SHOWN = (9, 16, 30, 60, 120, 200, 400, 600)
#: Standard deviations on each axis, of the whole axis, by which a good guess misses the best place.
MISSED = 0.15
NOISE, STOPPED_NOISE, STOPPED_LOSS = 0.01, 0.03, 0.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithms", default="random,sobol,tpe,gp")
    parser.add_argument("--spaces", default=",".join(SPACES))
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--guess", choices=("none", "good", "wrong"), default="none", help="What search.prior says.")
    parser.add_argument("--no-window", action="store_true", help="tpe learns from all trials, however many.")
    parser.add_argument("--json", type=Path, help="Written after each search.")
    options = parser.parse_args()
    if options.no_window:
        history.WINDOW = 10**9
    names, algorithms = options.spaces.split(","), options.algorithms.split(",")
    curves: dict[tuple[str, str, int], list[float]] = {}
    for seed in range(options.seeds):
        for name in names:
            for algorithm in algorithms:
                curves[name, algorithm, seed] = searched(name, algorithm, seed, options.trials, guess=options.guess)
                if options.json:
                    told = [[*key, values] for key, values in sorted(curves.items())]
                    options.json.write_text(json.dumps(told), encoding="utf-8")
    show(curves, names=names, algorithms=algorithms)


def searched(name: str, algorithm: str, seed: int, num_trials: int, *, guess: str = "none") -> list[float]:
    """Returns, after each trial of a search, the true value of the one that looked best so far."""
    from orchestrator.journal.records import TrialStopped
    from orchestrator.journal.trial import Trial
    from orchestrator.runs.paths import trial_name
    from orchestrator.search.algorithms.proposer import Proposer
    from orchestrator.search.unit_cube import UnitCube
    from orchestrator.study.loading import load_study
    from search_spaces import space_from_mapping
    from search_spaces.axes import is_ordered
    from trainables.reports import EpochReport

    space = space_from_mapping(SPACES[name])
    cube = UnitCube(space)
    objective = Objective([is_ordered(space.parameter(axis).domain) for axis in cube.names], seed=seed)
    noise = np.random.default_rng([seed, 2])
    values = cube.values_at(objective.guess(guess, seed=seed))
    prior = {axis: values[axis] for axis in cube.names if axis in values} if guess != "none" else {}
    search = {"algorithm": algorithm, "trials": num_trials, "prior": prior}
    proposer = Proposer(
        load_study({"name": "s", "seed": seed, "data": {"source": "digits"}, "space": SPACES[name], "search": search})
    )
    seen: list[float] = []
    best, curve = (-np.inf, 0.0), []
    for number in range(num_trials):
        variant = proposer.propose(number)
        true = objective.at(cube.point_of({"family": variant.family, **variant.params}))
        value = true + noise.normal(0, NOISE)
        is_stopped = bool(seen) and value < np.median(seen)
        seen.append(value)
        if is_stopped:
            value += noise.normal(-STOPPED_LOSS, STOPPED_NOISE)
        best = max(best, (value, true))
        curve.append(best[1])
        trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
        report = EpochReport(
            epoch=1, metrics={"val_accuracy": value}, train_seconds=1.0, images_per_second=1.0, is_last=not is_stopped
        )
        trial.reports.append(report)
        trial.reported_at.append(0.0)
        if is_stopped:
            trial.stop = TrialStopped(trial=trial.name, epoch=1, reason="weak", at=0.0)
        proposer.end_trial(trial)
    return curve


class Objective:
    """A made accuracy over a cube: bowls of unequal width on the axes of numbers, pairs of which act together.

    Args:
        has_order: Of each axis, whether it is one of numbers; named options each have a height of their own.
        seed: Of the bowls and heights.
    """

    def __init__(self, has_order: list[bool], *, seed: int) -> None:
        random, num_axes = np.random.default_rng([seed, 1]), len(has_order)
        self._has_order, self._centre = np.array(has_order), random.random(num_axes)
        self._weight = random.dirichlet(np.full(num_axes, 2.0))
        self._together = random.normal(0, 0.5, (num_axes, num_axes)) / num_axes
        self._heights = random.random((num_axes, 4))

    def at(self, point: np.ndarray) -> float:
        """Returns the accuracy at a point; an inactive parameter, NaN, costs nothing."""
        option = np.nan_to_num(point * 4).astype(int).clip(0, 3)
        heights = np.take_along_axis(self._heights, option[:, None], axis=1)[:, 0]
        away = np.where(self._has_order, np.abs(point - self._centre), heights)
        away = np.where(np.isnan(point), 0.0, away)
        return float(0.95 - self._weight @ away - abs(away @ self._together @ away))

    def guess(self, kind: str, *, seed: int) -> np.ndarray:
        """Returns a point near the best one, or far from it; named options have none, and are guessed at random."""
        missed = np.random.default_rng([seed, 9]).normal(0, MISSED, len(self._centre))
        return np.where(self._centre < 0.5, 0.97, 0.03) if kind == "wrong" else np.clip(self._centre + missed, 0, 1)


def show(curves: dict[tuple[str, str, int], list[float]], *, names: list[str], algorithms: list[str]) -> None:
    """Prints a table, a row for each space and algorithm."""
    longest = max((len(values) for values in curves.values()), default=0)
    shown = [count for count in SHOWN if count <= longest]
    print("| space | algorithm | " + " | ".join(f"after {count}" for count in shown) + " |")
    print("|---|---|" + "---|" * len(shown))
    for name in names:
        for algorithm in algorithms:
            found = np.array(
                [values for (space, which, _), values in curves.items() if (space, which) == (name, algorithm)]
            )
            error = found.std(axis=0, ddof=1 if len(found) > 1 else 0) / np.sqrt(len(found))
            cells = [f"{found[:, count - 1].mean():.3f} ±{error[count - 1]:.3f}" for count in shown]
            print(f"| {name} | {algorithm} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
