"""What each search finds with several objectives: `python benchmarks/search_fronts.py`.

Nothing trains: made objectives over the spaces of `search_kinds.py` stand for the accuracy and the costs, others for
each seed, the accuracy with a noise of 0.01; no trial is stopped. Every row is the mean over seeds of the hypervolume
of the true values of all trials so far, as a share of the whole room, with its standard error.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from search_kinds import NOISE, SPACES, Objective, show

#: The costs, smaller is better, and the corner of the room: the accuracy, and each cost.
COSTS, WORST_ACCURACY, WORST_COST = ("parameters", "latency_ms"), 0.3, 0.7
#: Keeps the objectives of costs apart from those of accuracies, which have the seeds from 0 on.
_FIRST_SEED = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithms", default="random,tpe,nsga2,nsga3")
    parser.add_argument("--spaces", default="numbers,conditional")
    parser.add_argument("--objectives", type=int, choices=(2, 3), default=2)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="Written after each search.")
    options = parser.parse_args()
    names, algorithms = options.spaces.split(","), options.algorithms.split(",")
    curves: dict[tuple[str, str, int], list[float]] = {}
    for seed in range(options.seeds):
        for name in names:
            for algorithm in algorithms:
                curves[name, algorithm, seed] = searched(
                    name, algorithm, seed, num_trials=options.trials, num_objectives=options.objectives
                )
                if options.json:
                    found = [[*key, values] for key, values in sorted(curves.items())]
                    options.json.write_text(json.dumps(found), encoding="utf-8")
    show(curves, names=names, algorithms=algorithms)


def searched(name: str, algorithm: str, seed: int, *, num_trials: int, num_objectives: int) -> list[float]:
    """Returns, after each trial of a search, the hypervolume of the true values so far, as a share of the room."""
    from orchestrator.journal.trial import Trial
    from orchestrator.pareto.hypervolume import volumes_so_far
    from orchestrator.runs.paths import trial_name
    from orchestrator.search.algorithms.proposer import Proposer
    from orchestrator.search.unit_cube import UnitCube
    from orchestrator.study.loading import load_study
    from search_spaces import space_from_mapping
    from search_spaces.axes import is_ordered
    from trainables.reports import EpochReport

    space = space_from_mapping(SPACES[name])
    cube, costs = UnitCube(space), COSTS[: num_objectives - 1]
    has_order = [is_ordered(space.parameter(axis).domain) for axis in cube.names]
    accuracy = Objective(has_order, seed=seed)
    others = [Objective(has_order, seed=_FIRST_SEED * at + seed) for at in range(1, num_objectives)]
    noise = np.random.default_rng([seed, 2])
    study = {"name": "s", "seed": seed, "data": {"source": "digits"}, "space": SPACES[name]}
    objective = [{"metric": "val_accuracy"}, *({"metric": cost} for cost in costs)]
    proposer = Proposer(
        load_study({**study, "objective": objective, "search": {"algorithm": algorithm, "trials": num_trials}})
    )
    points = []
    for number in range(num_trials):
        variant = proposer.propose(number)
        place = cube.point_of({"family": variant.family, **variant.params})
        true = accuracy.at(place)
        cost = {metric: 1 - other.at(place) for metric, other in zip(costs, others, strict=True)}
        points.append((-true, *cost.values()))
        trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
        metrics = {"val_accuracy": true + noise.normal(0, NOISE)}
        trial.reports.append(
            EpochReport(epoch=1, metrics=metrics, train_seconds=1.0, images_per_second=1.0, is_last=True, cost=cost)
        )
        trial.reported_at.append(float(number))
        proposer.end_trial(trial)
    room = (1 - WORST_ACCURACY) * WORST_COST ** len(costs)
    corner = (-WORST_ACCURACY, *(WORST_COST for _ in costs))
    return [volume / room for volume in volumes_so_far(points, reference=corner)]


if __name__ == "__main__":
    main()
