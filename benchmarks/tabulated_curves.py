"""What rules, or searchers, find on real learning curves: `python benchmarks/tabulated_curves.py rules`.

Nothing trains: the tables in benchmarks/curves have every epoch of some hundred variants, and whole studies are
simulated on them, with the real rules. All may hold their slots for equally long. A seed draws the order of the
variants. At any time the study's leader is the trial with the best value reported so far; what counts is the value that
the table has of it at the last epoch, so that lucky epochs are not rewarded. `searchers` compares search algorithms
with asha: each draw takes the nearest variant of the table that was not tried, and the searcher learns from that one.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from curve_table import METRIC, TABLES, CurveTable, final_value, read_table

from orchestrator.early_stopping.deciders import DECIDERS
from orchestrator.journal.study_state import StudyState
from orchestrator.planning.courses import Course
from orchestrator.planning.simulation import Simulation
from orchestrator.search.algorithms.searchers import SEARCHERS
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.search.unit_cube import UnitCube
from orchestrator.study.loading import load_study
from search_spaces.axes import is_ordered

#: Rules by their names, each the keys of a schedule.
RULES: dict[str, dict[str, Any]] = {name: {"algorithm": name} for name in DECIDERS}
#: How near the best final value of the table counts as there.
NEAR = 0.01
Choose = Callable[[StudyState], Course | None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one simulated study found.

    Attributes:
        leaders: (trainings spent so far, final value of the leader) whenever the leader changed.
        num_trials: How many trials began.
        num_ended: How many trained to their last epoch.
    """

    leaders: Sequence[tuple[float, float]]
    num_trials: int
    num_ended: int

    def value(self, trainings: float) -> float:
        """Returns the final value of the leader once so much was spent; 0 before the first report."""
        return next((value for spent, value in reversed(self.leaders) if spent <= trainings), 0.0)

    def reached(self, value: float) -> float:
        """Returns what was spent until the leader was as good; infinite if it never was."""
        return next((spent for spent, found in self.leaders if found >= value), np.inf)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("rules", "searchers"))
    parser.add_argument("--tables", default=",".join(sorted(path.stem for path in TABLES.glob("*.parquet"))))
    parser.add_argument("--algorithms", help="Rules, or searchers; all of them, or random, tpe and bohb.")
    parser.add_argument("--schedule", default="asha", help="The rule beside searchers.")
    parser.add_argument("--slots", default="2,8")
    parser.add_argument("--trainings", type=float, default=20, help="The budget, in trainings of a variant to its end.")
    parser.add_argument("--seeds", type=int, default=50)
    options = parser.parse_args()
    started = time.monotonic()
    print("| table | slots | algorithm | half the budget | the budget | within 0.01 after | begun | to the end |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.tables.split(","):
        table = read_table(name)
        for slots in map(int, options.slots.split(",")):
            for label, study in _studies(table, options, slots=slots):
                found = [study(seed) for seed in range(options.seeds)]
                print(row(f"{name} | {slots} | {label}", found, table, trainings=options.trainings), flush=True)
        print(f"{name}: the best final value is {table.best:.4f}; a training takes {table.mean_seconds:.1f} s")
    print(f"{time.monotonic() - started:.0f} s")


def _studies(
    table: CurveTable, options: argparse.Namespace, *, slots: int
) -> Iterator[tuple[str, Callable[[int], Found]]]:
    """Yields the name of each rule or searcher, and a study of it by its seed."""
    spent = {"slots": slots, "trainings": options.trainings}
    if options.what == "searchers":
        for algorithm in (options.algorithms or "random,tpe,bohb").split(","):
            yield (
                f"`{algorithm}`",
                lambda seed, a=algorithm: searched(table, algorithm=a, schedule=options.schedule, seed=seed, **spent),
            )
        return
    for rule in options.algorithms.split(",") if options.algorithms else RULES:
        # What `auto` comes to where epochs have few steps; without a rule it changes nothing.
        for is_auto in (False, True) if rule != "none" else (False,):
            label = f"`{rule}`" + (", grace a third" if is_auto else "")
            yield label, lambda seed, a=rule, b=is_auto: played(table, rule=a, seed=seed, is_auto=b, **spent)


def played(table: CurveTable, *, rule: str, seed: int, slots: int, trainings: float, is_auto: bool = False) -> Found:
    """Returns what a rule finds among the table's variants in random order.

    Args:
        table: The curves.
        rule: Of early stopping, by its name.
        seed: Of the order.
        slots: How many trials run at the same time.
        trainings: The budget.
        is_auto: See `CurveTable.setup`.
    """
    order = iter(enumerate(np.random.default_rng(seed).permutation(len(table.curves)).tolist()))
    rows: list[int] = []

    def choose(state: StudyState) -> Course | None:
        number, row = next(order, (0, None))
        if row is None:
            return None
        rows.append(row)
        return table.course(row, number=number)

    setup = table.setup(rule=RULES[rule], seed=seed, slots=slots, trainings=trainings, is_auto=is_auto)
    return _found(table, Simulation(setup, [], choose=choose).run(), rows=rows, slots=slots)


def searched(table: CurveTable, *, algorithm: str, schedule: str, seed: int, slots: int, trainings: float) -> Found:
    """Returns what a searcher finds among the table's variants.

    Args:
        table: The curves.
        algorithm: The searcher.
        schedule: The rule of early stopping.
        seed: The study's.
        slots: How many trials run at the same time.
        trainings: The budget.
    """
    chooser = _Chooser(table, algorithm=algorithm, seed=seed)
    setup = table.setup(rule=RULES[schedule], seed=seed, slots=slots, trainings=trainings)
    return _found(table, Simulation(setup, [], choose=chooser).run(), rows=chooser.rows, slots=slots)


class _Chooser:
    """Chooses the variant of the table that lies nearest to what a searcher draws and was not tried.

    Attributes:
        rows: The rows chosen so far, in order.
    """

    def __init__(self, table: CurveTable, *, algorithm: str, seed: int) -> None:
        data = {"source": "digits"}  # Nothing is read from it.
        search = {"algorithm": algorithm, "trials": len(table.curves)}
        spec = load_study({"name": "s", "seed": seed, "data": data, "space": table.study["space"], "search": search})
        self.rows: list[int] = []
        self._table, self._seed = table, seed
        self._searcher = SEARCHERS[algorithm](spec)
        is_kept = type(self._searcher).learns
        self._history = History(EncodedSpace(spec.space), objective=spec.objective, is_kept=is_kept)
        self._cube = UnitCube(spec.space)
        self._has_order = np.array([is_ordered(spec.space.parameter(name).domain) for name in self._cube.names])
        values = [{"family": curve.variant.family, **curve.variant.params} for curve in table.curves]
        self._values = values
        self._points = np.array([self._cube.point_of(item) for item in values])
        self._running: set[str] = set()

    def __call__(self, state: StudyState) -> Course | None:
        number = len(self.rows)
        for name in sorted(self._running - set(state.open_trials)):
            self._history.end(state.trials[name])
            self._running.remove(name)
        self._history.begin(number)
        self._history.observe(state.unfinished)
        drawn = self._searcher.ask(self._history, Draw(study_seed=self._seed, number=number, attempt=0))
        if drawn is None or number == len(self._values):
            return None
        row = self._nearest(self._cube.point_of(drawn))
        self.rows.append(row)
        self._history.accept(number, self._values[row])
        course = self._table.course(row, number=number)
        self._running.add(course.trial.name)
        return course

    def _nearest(self, point: np.ndarray) -> int:
        """Returns the nearest row that was not tried: axes add up, two named options or a missing value are 1 apart."""
        away = np.abs(self._points - point)
        away = np.where(self._has_order | np.isnan(away), away, away > 0)
        is_missing = np.isnan(self._points) != np.isnan(point)
        distances = np.where(np.isnan(away), is_missing, away).sum(axis=1)
        distances[self.rows] = np.inf
        return int(distances.argmin())


def _found(table: CurveTable, state: StudyState, *, rows: Sequence[int], slots: int) -> Found:
    leaders: list[tuple[float, float]] = []
    best, leader = -np.inf, ""
    for name, epoch in state.report_order:
        trial = state.trials[name]
        value = trial.reports[epoch - 1].metrics[METRIC]
        if value > best:
            best = value
            if name != leader:
                leader = name
                spent = trial.reported_at[epoch - 1] * slots / table.mean_seconds
                leaders.append((spent, final_value(table.curves[rows[trial.number]])))
    num_ended = sum(trial.epoch == table.num_epochs for trial in state.trials.values())
    return Found(leaders=leaders, num_trials=len(state.trials), num_ended=num_ended)


def row(label: str, found: Sequence[Found], table: CurveTable, *, trainings: float) -> str:
    """Returns one line of the table: medians, and quartiles in brackets."""
    halves, wholes = ([item.value(spent) for item in found] for spent in (trainings / 2, trainings))
    times = [item.reached(table.best - NEAR) for item in found]
    times = [spent if spent <= trainings else np.inf for spent in times]
    begun, ended = (np.median([getattr(item, name) for item in found]) for name in ("num_trials", "num_ended"))
    cells = [label, spread(halves, digits=3), spread(wholes, digits=3), spread(times, digits=1)]
    return "| " + " | ".join([*cells, f"{begun:.0f}", f"{ended:.0f}"]) + " |"


def spread(numbers: Sequence[float], *, digits: int) -> str:
    """Returns the median of numbers and their quartiles; never, where that is infinite.

    >>> spread([1.0, 2.0, 3.0, 4.0, float("inf")], digits=1)
    '3.0 (2.0-4.0)'
    """
    low, middle, high = np.percentile(numbers, (25, 50, 75), method="inverted_cdf").tolist()
    low, middle, high = (f"{number:.{digits}f}" if np.isfinite(number) else "never" for number in (low, middle, high))
    return f"{middle} ({low}-{high})"


if __name__ == "__main__":
    main()
