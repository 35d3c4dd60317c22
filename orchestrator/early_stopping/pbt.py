"""Population based training, under `pbt` and `pb2`: which trials end for others that go on from better ones."""

import hashlib
from collections import defaultdict

from orchestrator.early_stopping.decider import GO_ON, Reported, Rules, Verdict
from orchestrator.text import told_apart


class Pbt:
    """Ends a trial that is among the worst of its population, and names the best ones to go on from in its place.

    Trials are compared at every interval_epochs, from grace_epochs on: each with the values that the others had after
    as many epochs. Nobody waits: a trial is compared with those that got there before it, be they at work, complete or
    ended. Of n trials, the quantile's share of n counts as worst and as many as best, rounded down, so that with a
    quarter at least four must have got there. A trial ends where all but the worst are better than it. A trial that
    takes another's place begins with that epoch behind it, and is compared for the first time at the next interval.

    Which of the best ones is gone on from follows from the study's seed, the trial and the epoch.

    Source: Jaderberg et al. 2017, "Population Based Training of Neural Networks", arXiv:1711.09846, with truncation
    selection. The paper copies the newest weights, whatever their age; here both trials are of one age, so that no
    place of the population trains for less or longer than the study's epochs.

    Args:
        rules: The study's.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        #: By epoch: the values of the trials, the larger the better, in the order of arrival.
        self._values: defaultdict[int, dict[str, float]] = defaultdict(dict)

    def judge(self, report: Reported) -> Verdict:
        """Returns whether the trial is among the worst of those that have reported the epoch, and who are the best."""
        self.complete(report)
        schedule, values = self._rules.schedule, self._values[report.epoch]
        num_known = len(values)
        count = int(schedule.quantile * num_known)
        if num_known <= schedule.rivals or count == 0:
            return GO_ON
        own = self._rules.sign * report.value
        if sum(value > own for value in values.values()) < num_known - count:
            return GO_ON
        # Of equal ones the earlier: sorting keeps the order of arrival.
        ordered = sorted(values, key=lambda name: -values[name])
        value, next_one = told_apart(report.value, self._rules.sign * values[ordered[-count - 1]])
        return Verdict(
            reason=f"{schedule.algorithm}: {self._rules.metric} {value} at epoch {report.epoch} is among the worst "
            f"{count} of the {num_known} trials that got there (the next one has {next_one})",
            parents=tuple(sorted(ordered[:count], key=lambda name: self._draw(report, name))),
        )

    def _draw(self, report: Reported, name: str) -> bytes:
        """Returns what stands for a random number of a better trial."""
        return hashlib.sha256(f"{self._rules.seed}/{report.number}/{report.epoch}/{name}".encode()).digest()

    def complete(self, report: Reported) -> None:
        """Adds the value of a trial at an epoch at which the population is compared."""
        schedule = self._rules.schedule
        if report.epoch % schedule.interval_epochs == 0 and report.epoch >= schedule.grace:
            self._values[report.epoch].setdefault(report.trial, self._rules.sign * report.value)
