"""The median stopping rule."""

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.early_stopping.decider import GO_ON, Reported, Rules, Verdict
from orchestrator.text import told_apart


@dataclass(slots=True, kw_only=True)
class _Course:
    """What a trial has reported so far; larger values are better.

    Attributes:
        epoch: Its last epoch.
        best: Its best value, of all epochs.
        total: The sum of its values from the grace on, of which there are `count`, from `low` to `high`.
    """

    best: float
    epoch: int = 0
    total: float = 0.0
    count: int = 0
    low: float = 0.0
    high: float = 0.0

    def mean(self, value: float) -> float:
        """Returns the mean of the values from the grace on, this one included."""
        is_first = self.count == 0
        self.low = value if is_first else min(self.low, value)
        self.high = value if is_first else max(self.high, value)
        self.total, self.count = self.total + value, self.count + 1
        # Rounding must not carry the mean of equal values past them: a trial as good as the rest would stop for it.
        return min(max(self.total / self.count, self.low), self.high)


class Median:
    """Stops a trial whose best value so far is worse than the median of the other trials' running means.

    A running mean is that of a trial's values from grace_epochs to the epoch of the comparison; the other trials are
    all that have reported this epoch, ended or not. A best value that equals the median goes on. The rule needs no
    budget and no rungs, but from grace_epochs on it judges each report.

    Source: Golovin et al. 2017, "Google Vizier: A Service for Black-Box Optimization", KDD, section 3.2.2, where the
    other trials are the completed ones alone; means from the grace on, and of all trials, as in Ray Tune's
    MedianStoppingRule.

    Args:
        rules: The study's.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._courses: dict[str, _Course] = {}
        #: By epoch: the running means of the trials that have reported it, ascending.
        self._means: defaultdict[int, list[float]] = defaultdict(list)

    def judge(self, report: Reported) -> Verdict:
        """Returns whether the trial's best value is at least the median of the others' running means."""
        others = list_median(self._means[report.epoch]), len(self._means[report.epoch])
        self.complete(report)
        median, num_others = others
        schedule, sign, best = self._rules.schedule, self._rules.sign, self._courses[report.trial].best
        # Before the grace there are no means.
        if num_others < schedule.rivals or median is None or best >= median:
            return GO_ON
        value, limit = told_apart(sign * best, sign * median)
        return Verdict(
            reason=f"median: the best {self._rules.metric} up to epoch {report.epoch}, {value}, is worse than the "
            f"median of the means of the {num_others} trials that got there before ({limit})"
        )

    def complete(self, report: Reported) -> None:
        """Adds the report to the trial's course, and its running mean to its epoch."""
        value = self._rules.sign * report.value
        course = self._courses.setdefault(report.trial, _Course(best=value))
        if report.epoch <= course.epoch:
            return
        course.epoch, course.best = report.epoch, max(course.best, value)
        if report.epoch >= self._rules.schedule.grace:
            insort(self._means[report.epoch], course.mean(value))


def list_median(ascending: Sequence[float]) -> float | None:
    """Returns the median of sorted numbers; None of none.

    >>> list_median([1.0, 2.0, 4.0]), list_median([1.0, 2.0]), list_median([])
    (2.0, 1.5, None)
    """
    if not ascending:
        return None
    middle = len(ascending) // 2
    return ascending[middle] if len(ascending) % 2 else (ascending[middle - 1] + ascending[middle]) / 2
