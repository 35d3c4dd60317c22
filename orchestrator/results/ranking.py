"""The order of trials, the only one: best value first, of equals fewer epochs first, then by name."""

import heapq
from collections.abc import Iterable

from orchestrator.journal.trial import Trial, TrialState
from trainables.reports import EpochReport

#: Trials with a result.
RANKED_STATES = (TrialState.COMPLETED, TrialState.STOPPED)


def rank_key(value: float, *, epochs: int, name: str, mode: str) -> tuple[float, int, str]:
    """Returns what a trial is sorted by; the smallest key is the best trial's.

    >>> rank_key(0.9, epochs=3, name="t0", mode="max") < rank_key(0.9, epochs=9, name="t1", mode="max")
    True

    Args:
        value: The best value of the objective's metric.
        epochs: How many epochs the trial trained.
        mode: `max` or `min`.
    """
    return (-value if mode == "max" else value), epochs, name


def ranked_trials(
    trials: Iterable[Trial], *, metric: str, mode: str, k: int | None = None
) -> list[tuple[Trial, EpochReport]]:
    """Returns the k best trials that completed or were stopped, best first, each with its best report.

    Args:
        k: How many at most; None for all.
    """
    found = []
    for trial in trials:
        report = trial.best_report(metric=metric, mode=mode)
        if report is not None and trial.state in RANKED_STATES:
            key = rank_key(report.metrics[metric], epochs=trial.epoch, name=trial.name, mode=mode)
            found.append((key, trial, report))
    best = heapq.nsmallest(len(found) if k is None else k, found, key=lambda entry: entry[0])
    return [(trial, report) for _, trial, report in best]
