"""The order of trials, the only one: best value first; of equals the lower loss, fewer epochs, then the name."""

import heapq
from collections.abc import Iterable

from orchestrator.journal.trial import Trial, TrialState
from trainables.patience import tie_value
from trainables.reports import EpochReport

#: Trials with a result.
RANKED_STATES = (TrialState.COMPLETED, TrialState.STOPPED)


def rank_key(value: float, *, epochs: int, name: str, mode: str, tie: float = 0.0) -> tuple[float, float, int, str]:
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


def ranked_trials(
    trials: Iterable[Trial], *, metric: str, mode: str, ties: str = "", k: int | None = None
) -> list[tuple[Trial, EpochReport]]:
    """Returns the k best trials that completed or were stopped, best first, each with its best report.

    Args:
        trials: Of one study.
        metric: The objective's.
        mode: `max` or `min`.
        ties: The metric whose lower value decides between equal ones; empty: none.
        k: How many at most; None for all.
    """
    found = []
    for trial in trials:
        report = trial.best_report(metric=metric, mode=mode, ties=ties)
        if report is not None and trial.state in RANKED_STATES:
            tie = tie_value(report, ties=ties)
            key = rank_key(report.metrics[metric], epochs=trial.epoch, name=trial.name, mode=mode, tie=tie)
            found.append((key, trial, report))
    best = heapq.nsmallest(len(found) if k is None else k, found, key=lambda entry: entry[0])
    return [(trial, report) for _, trial, report in best]
