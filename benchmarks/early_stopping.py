"""What each rule of early stopping saves and misses on made learning curves: `python benchmarks/early_stopping.py`.

No training: a trial's value at an epoch is skill * epoch / (epoch + slowness), with noise; both numbers are drawn.
Where slowness differs a lot between trials, curves cross, and who leads early is not who wins. Four trials run at a
time. Every row is the mean over studies, each with its own trials: the share of all epochs that were trained, by how
much the best value of the study is below that without early stopping, with its standard error, and how many trials
reached their last epoch.
"""

import argparse
import random
from statistics import mean, stdev

from orchestrator.early_stopping.decider import Reported, Rules
from orchestrator.early_stopping.deciders import DECIDERS, make_decider
from orchestrator.study.sections import Schedule

#: The highest slowness, in epochs.
CURVES = {"seldom cross": 1.0, "often cross": 6.0}
CONCURRENT = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithms", default=",".join(DECIDERS))
    parser.add_argument("--trials", default="24,100")
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--studies", type=int, default=200)
    options = parser.parse_args()
    print("| curves | trials | algorithm | epochs trained | best is below by | trained to the end |")
    print("|---|---|---|---|---|---|")
    for name, slowness in CURVES.items():
        for num_trials in map(int, options.trials.split(",")):
            shape = num_trials, options.epochs
            studies = [
                made_curves(random.Random(seed), slowness=slowness, shape=shape, noise=options.noise)
                for seed in range(options.studies)
            ]
            for algorithm in options.algorithms.split(","):
                print(row(name, algorithm, studies), flush=True)


def made_curves(draw: random.Random, *, slowness: float, shape: tuple[int, int], noise: float) -> list[list[float]]:
    """Returns the values of each trial, epoch by epoch."""
    curves = []
    for _ in range(shape[0]):
        skill, pace = draw.random(), draw.uniform(0.5, slowness)
        curves.append([skill * epoch / (epoch + pace) + draw.gauss(0, noise) for epoch in range(1, shape[1] + 1)])
    return curves


def row(name: str, algorithm: str, studies: list[list[list[float]]]) -> str:
    """Returns one line of the table."""
    shares, misses, ends = [], [], []
    for seed, curves in enumerate(studies):
        reached = played(curves, algorithm=algorithm, seed=seed)
        num_epochs = len(curves[0])
        shares.append(sum(reached) / (len(curves) * num_epochs))
        found = max(max(curve[:epoch]) for curve, epoch in zip(curves, reached, strict=True))
        misses.append(max(map(max, curves)) - found)
        ends.append(sum(epoch == num_epochs for epoch in reached))
    error = stdev(misses) / len(misses) ** 0.5
    cells = [name, len(studies[0]), f"`{algorithm}`", f"{mean(shares):.0%}", f"{mean(misses):.4f} ±{error:.4f}"]
    return "| " + " | ".join(map(str, [*cells, f"{mean(ends):.0f}"])) + " |"


def played(curves: list[list[float]], *, algorithm: str, seed: int) -> list[int]:
    """Returns the epoch to which each trial trains."""
    schedule = Schedule.model_validate({"algorithm": algorithm, "max_epochs": len(curves[0]), "grace_epochs": 1})
    decider = make_decider(Rules(schedule=schedule, metric="score", mode="max", seed=seed))
    reached, waiting, running, draw = [0] * len(curves), list(range(len(curves)))[::-1], [], random.Random(seed)
    while waiting or running:
        while waiting and len(running) < CONCURRENT:
            running.append(waiting.pop())
        number = draw.choice(running)
        reached[number] = epoch = reached[number] + 1
        report = Reported(trial=f"t{number:04d}", number=number, epoch=epoch, value=curves[number][epoch - 1])
        is_last = epoch == len(curves[number])
        if is_last or decider.judge(report).stops:
            decider.complete(report)
            running.remove(number)
    return reached


if __name__ == "__main__":
    main()
