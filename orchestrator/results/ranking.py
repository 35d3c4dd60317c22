"""The order of trials, the only one: best value first; of equals the lower loss, fewer epochs, then the name.

With several objectives trials stand by their fronts, and within a front in that order of the main objective. Trials
that were trained again come before the others, the best mean over their replicates first. Trials that break a
constraint come last of all.
"""

import heapq
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.journal.records import StudyOpened
from orchestrator.journal.trial import Trial, TrialState, index_of
from orchestrator.pareto.choice import Condition
from orchestrator.pareto.constraints import broken_by, in_words, shortest
from orchestrator.pareto.fronts import front_ranks
from orchestrator.pareto.goals import Goal, Losses, losses_of
from trainables.patience import tie_value
from trainables.reports import EpochReport

#: What a trial is sorted by: its value, smaller is better, what decides between equal ones, its epochs and its name.
Key = tuple[float, float, int, str]
#: The mark of a trial that breaks a constraint.
BROKEN = "!"
#: Trials with a result.
RANKED_STATES = (TrialState.COMPLETED, TrialState.STOPPED)


def rank_key(value: float, *, epochs: int, name: str, mode: str, tie: float = 0.0) -> Key:
    """Returns what a trial is sorted by; the smallest key is the best trial's.

    >>> rank_key(0.9, epochs=3, name="t0", mode="max") < rank_key(0.9, epochs=9, name="t1", mode="max")
    True

    Args:
        value: The best value of the objective's metric.
        epochs: How many epochs the trial trained.
        mode: `max` or `min`.
        tie: What decides between equal values before the epochs do; the lower one is better.
    """
    return (-value if mode == "max" else value), tie, epochs, name


def board_key(key: Key, values: Sequence[float], *, mode: str, on_folds: bool = False) -> tuple[int, int, float, Key]:
    """Returns what a trial is sorted by where some were trained again: one value is no mean.

    Folds are harder and easier ones, and all trials take them in one order: means over fewer folds are not compared
    with means over more, but come after them.

    >>> once, again = (rank_key(value, epochs=9, name="t", mode="max") for value in (0.9, 0.8))
    >>> board_key(again, [0.7, 0.8], mode="max") < board_key(once, [], mode="max")
    True

    Args:
        key: The trial's `rank_key`.
        values: Of its replicates.
        mode: `max` or `min`.
        on_folds: Whether each replicate validates on another fold.
    """
    if len(values) < 2:
        return 1, 0, 0.0, key
    mean = statistics.fmean(values)
    return 0, (-len(values) if on_folds else 0), (-mean if mode == "max" else mean), key


def replicate_values(trials: Iterable[Trial], *, metric: str, mode: str) -> Mapping[str, list[float]]:
    """Returns the best values of the replicates that completed, by the trial that they train again.

    A replicate that a budget cut short does not count: its value is one of fewer epochs.

    Args:
        trials: Of one study.
        metric: The objective's.
        mode: `max` or `min`.
    """
    found: dict[str, list[float]] = {}
    for trial in trials:
        if not trial.replicate_of or trial.state is not TrialState.COMPLETED:
            continue
        if report := trial.best_report(metric=metric, mode=mode):
            found.setdefault(trial.replicate_of, []).append(report.metrics[metric])
    return found


def are_on_folds(trials: Iterable[Trial]) -> bool:
    """Returns whether replicates validate on other folds than the search."""
    return any(trial.fold for trial in trials)


def ranked_trials(  # noqa: PLR0913 - what trials are compared by, and how many are asked for
    trials: Iterable[Trial],
    *,
    metric: str,
    mode: str,
    ties: str = "",
    constraints: Sequence[Condition] = (),
    k: int | None = None,
) -> list[tuple[Trial, EpochReport]]:
    """Returns the k best trials that completed or were stopped, best first, each with its best report.

    Replicates stand for the trials that they train again, and are no ranks of their own.

    Args:
        trials: Of one study.
        metric: The objective's.
        mode: `max` or `min`.
        ties: The metric whose lower value decides between equal ones; empty: none.
        constraints: Trials that break one come last.
        k: How many at most; None for all.
    """
    known = list(trials)
    again, on_folds = replicate_values(known, metric=metric, mode=mode), are_on_folds(known)
    found = []
    for trial in known:
        if trial.replicate_of:
            continue
        report = trial.best_report(metric=metric, mode=mode, ties=ties)
        if report is not None and trial.state in RANKED_STATES:
            tie = tie_value(report, ties=ties)
            key = rank_key(report.metrics[metric], epochs=trial.epoch, name=trial.name, mode=mode, tie=tie)
            is_broken = bool(broken_by(known_values(trial, report), constraints))
            place = board_key(key, again.get(trial.name, ()), mode=mode, on_folds=on_folds)
            found.append(((is_broken, place), trial, report))
    best = heapq.nsmallest(len(found) if k is None else k, found, key=lambda entry: entry[0])
    return [(trial, report) for _, trial, report in best]


def winners(trials: Iterable[Trial], *, header: StudyOpened, k: int | None = None) -> list[tuple[Trial, EpochReport]]:
    """Returns the k best ranked trials that keep to all constraints, best first, each with its best report.

    Args:
        trials: Of one study.
        header: The study's.
        k: How many at most; None for all.
    """
    conditions = header.conditions
    ranked = ranked_trials(trials, **header.ranking, constraints=conditions, k=k)
    return [entry for entry in ranked if not broken_by(known_values(*entry), conditions)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A ranked trial.

    Attributes:
        trial: The trial.
        report: Its best report by the main objective.
        values: Its values of all objectives, the main one first; None for one that it lacks.
        front: The number of its front, 1 where no trial is better; None where it lacks a value or breaks a constraint.
        broken: The constraints that it does not keep to.
    """

    trial: Trial
    report: EpochReport
    values: tuple[float | None, ...]
    front: int | None
    broken: tuple[Condition, ...] = ()


def placed_trials(trials: Iterable[Trial], *, header: StudyOpened, k: int | None = None) -> list[Placed]:
    """Returns the k best trials that completed or were stopped, best first: by front, then by the main objective.

    With one objective every value is a front of its own. Trials that lack a value, such as a cost, come last, and
    after them those that break a constraint.

    Args:
        trials: Of one study.
        header: The study's.
        k: How many at most; None for all.
    """
    conditions, goals = header.conditions, header.goals
    # With several objectives, any trial may be on the first front.
    ranked = ranked_trials(trials, **header.ranking, constraints=conditions, k=k if len(goals) == 1 else None)
    values = [objective_values(trial, report, goals=goals) for trial, report in ranked]
    broken = [tuple(broken_by(known_values(*entry), conditions)) for entry in ranked]
    fronts = fronts_of([[None] if breaks else row for row, breaks in zip(values, broken, strict=True)], goals=goals)
    placed = [
        Placed(trial=trial, report=report, values=row, front=front, broken=breaks)
        for (trial, report), row, front, breaks in zip(ranked, values, fronts, broken, strict=True)
    ]
    return placed if len(header.goals) == 1 else sorted(placed, key=lambda item: front_key(item.front))[:k]


def broken_costs(trial: Trial, *, conditions: Sequence[Condition]) -> str:
    """Returns the costs by which a trial breaks constraints whatever it learns, in words; empty where it does not.

    Args:
        trial: It has a report.
        conditions: The constraints.
    """
    costs = trial.reports[0].cost
    broken = broken_by(costs, [condition for condition in conditions if condition.metric in costs])
    return " and ".join(f"{item.metric} {shortest(costs[item.metric])} (not {in_words(item)})" for item in broken)


def objective_values(trial: Trial, report: EpochReport, *, goals: Sequence[Goal]) -> tuple[float | None, ...]:
    """Returns a trial's values of all objectives; None for one that it lacks.

    Args:
        trial: Its first report has the costs.
        report: Its best report by the main objective, which has the metrics.
        goals: The objectives.
    """
    known = known_values(trial, report)
    return tuple(known.get(goal.metric) for goal in goals)


def losses_at(trial: Trial, *, epoch: int, goals: Sequence[Goal]) -> Losses | None:
    """Returns a trial's numbers after an epoch, of which smaller ones are better; None where it lacks a value."""
    return whole_losses(objective_values(trial, trial.reports[index_of(trial, epoch)], goals=goals), goals=goals)


def known_values(trial: Trial, report: EpochReport) -> Mapping[str, float]:
    """Returns the metrics of a report and the costs of its trial, by name."""
    return {**trial.reports[0].cost, **report.metrics}


def fronts_of(values: Sequence[Sequence[float | None]], *, goals: Sequence[Goal]) -> list[int | None]:
    """Returns the front of each row of values, from 1; None for a row that lacks one.

    >>> goals = Goal(metric="val_accuracy", mode="max"), Goal(metric="latency_ms", mode="min")
    >>> fronts_of([(0.9, 3.0), (0.8, 2.0), (0.8, 4.0), (0.7, None)], goals=goals)
    [1, 1, 2, None]
    """
    points = [whole_losses(row, goals=goals) for row in values]
    ranks = iter(front_ranks([point for point in points if point is not None]))
    return [None if point is None else next(ranks) for point in points]


def whole_losses(values: Sequence[float | None], *, goals: Sequence[Goal]) -> Losses | None:
    """Returns values as numbers of which smaller ones are better; None where one is missing."""
    known = [value for value in values if value is not None]
    return losses_of(known, goals) if len(known) == len(goals) else None


def front_key(front: int | None) -> float:
    """Returns what fronts are sorted by: trials without one come last."""
    return math.inf if front is None else front
