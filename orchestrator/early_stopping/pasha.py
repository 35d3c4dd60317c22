"""Progressive successive halving: the ladder of rungs begins short and grows while the best trials' order is unsure."""

import math
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

from orchestrator.early_stopping.asha import arrival_at, outside_best
from orchestrator.early_stopping.decider import GO_ON, Arrival, Reported, Rules, Verdict
from orchestrator.early_stopping.rungs import Ladder, Rung, halving_milestones, percentile
from orchestrator.text import told_apart

#: The ladder begins with so many rungs.
FIRST_RUNGS = 2
#: The order of no more than so many best trials is compared.
MOST_RANKED = 16
#: Of the differences between trials that overtake each other again and again, this percentile counts as noise.
NOISE_PERCENT = 90


class Pasha:
    """ASHA on a ladder of two rungs, which gets its next rung when longer training changes who is best.

    Rungs are those of `asha`, at whole epochs. At every arrival at the ladder's top:

    1. The trial enters the rung. The best 1/reduction_factor of those at the top (at least 2, at most 16) are put in
       order twice: by their values there, and by the values that all at the top had one rung below.
    2. The order is sure if at each place the trial that the top names is, one rung below, at most a noise away from the
       trial that this rung names. Else the ladder gets its next rung, for this trial and all later ones.
    3. The noise is measured: among these best trials, pairs that overtook each other at least twice on their way to the
       top count as equal, and the noise is the 90th percentile of their differences at the top; 0 without such a pair.
    4. The trial stops if `asha` stops it. Where the ladder did not grow it also stops if a trial before it was better
       at the top. So the best so far always goes on, with `asha`'s rule at the rungs above, and the study's winner is
       trained to its end.

    Once the ladder has every rung, all is as with `asha`.

    The published algorithm pauses trials at the top, promotes them when the ladder grows, and trains its winner anew
    afterwards. Here nothing is paused: a trial that the top has stopped stays ended, and the best so far goes on at
    once. The published algorithm compares all trials at the top; with stopping, many more get there, and some two of a
    hundred always change places, so that only the best count here.

    Source: Bohdal et al. 2023, "PASHA: Efficient HPO and NAS with Progressive Resource Allocation", ICLR.

    Args:
        rules: The study's.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules, schedule = rules, rules.schedule
        milestones = halving_milestones(
            grace=schedule.grace, max_epochs=schedule.epochs, factor=schedule.reduction_factor
        )
        # Rungs at whole epochs: no trial passes the top on its way to a higher rung.
        self._ladder = Ladder(sorted({math.ceil(milestone) for milestone in milestones}))
        #: By trial: its values, epoch by epoch, the larger the better.
        self._courses: dict[str, list[float]] = {}
        #: The position of the top among the rungs; 0 once the ladder has every rung.
        self._top = max(0, len(self.rungs) - FIRST_RUNGS)
        self._standings = self._standings_of_top()

    @property
    def rungs(self) -> list[Rung]:
        """The rungs, the highest first; those above `top` among them."""
        return self._ladder.rungs

    @property
    def top(self) -> Rung:
        """The rung at which the ladder ends so far."""
        return self.rungs[self._top]

    @property
    def milestones(self) -> list[list[float]]:
        """The epochs of the rungs, ascending, of its one ladder; those above `top` among them."""
        return [self._ladder.milestones]

    def arrival(self, report: Reported) -> Arrival | None:
        """Returns the rung that a report gets to; where the ladder ends so far, the best value is its cut-off."""
        rung = self._ladder.open_rung(report.trial, epoch=report.epoch)
        if rung is None:
            return None
        found = arrival_at(rung, report, rules=self._rules)
        is_end = self._top > 0 and rung is self.top and found.num_before >= self._rules.schedule.rivals
        return replace(found, cutoff=self._rules.sign * rung.best) if is_end and rung.best is not None else found

    def judge(self, report: Reported) -> Verdict:
        """Returns whether the trial goes on from the rung that it arrives at."""
        rung = self._ladder.open_rung(report.trial, epoch=report.epoch)
        if rung is None:
            self._take(report, rung)
            return GO_ON
        verdict = outside_best(rung, report, rules=self._rules, said="pasha", rivals="trials")
        best, num_before = rung.best, len(rung.values)
        self._take(report, rung)
        is_end = self._top > 0 and rung is self.top and num_before >= self._rules.schedule.rivals
        if verdict.stops or not is_end or best is None or self._rules.sign * report.value >= best:
            return verdict
        value, limit = told_apart(report.value, self._rules.sign * best)
        below = self.rungs[self._top + 1]
        return Verdict(
            reason=f"pasha: {self._rules.metric} {value} at epoch {report.epoch}, where the ladder ends so far, is not "
            f"the best ({limit}); the order of the best {self._standings.num_ranked} of the {num_before + 1} trials "
            f"there is, but for noise, that of epoch {below.milestone:g}"
        )

    def complete(self, report: Reported) -> None:
        """Adds the trial to the rung that it arrived at, and lets the ladder grow for it."""
        self._take(report, self._ladder.open_rung(report.trial, epoch=report.epoch))

    def _take(self, report: Reported, rung: Rung | None) -> None:
        """Takes a report into the course of its trial and into a rung, and lets the ladder grow where that is due."""
        value, course = self._rules.sign * report.value, self._courses.setdefault(report.trial, [])
        if report.epoch > len(course):
            course.append(value)
        if rung is None:
            return
        rung.enter(report.trial, value)
        if rung is self.top and self._top > 0:
            self._standings.add(report.trial)
            if not self._standings.are_sure(self._courses):
                self._top -= 1
                self._standings = self._standings_of_top()

    def _standings_of_top(self) -> "_Standings":
        # A ladder of one rung has none below; it has every rung, and nobody asks for its standings.
        below = self.rungs[min(self._top + 1, len(self.rungs) - 1)]
        return _Standings(self.top, below, factor=self._rules.schedule.reduction_factor)


class _Standings:
    """The trials at the top in two orders, the best first: by their values there, and by those one rung below.

    Args:
        top: The rung.
        below: The rung below it, which has every trial of the top.
        factor: One in so many counts among the best.
    """

    def __init__(self, top: Rung, below: Rung, *, factor: float) -> None:
        self._top, self._below, self._factor = top, below, factor
        #: (-value, order of arrival, trial), ascending.
        self._by_top: list[tuple[float, int, str]] = []
        self._by_below: list[tuple[float, int, str]] = []
        for trial in top.values:
            self.add(trial)

    def add(self, trial: str) -> None:
        """Adds a trial that has entered both rungs."""
        arrival = len(self._by_top)
        insort(self._by_top, (-self._top.values[trial], arrival, trial))
        insort(self._by_below, (-self._below.values[trial], arrival, trial))

    @property
    def num_ranked(self) -> int:
        """How many of the best trials are compared."""
        num_trials = len(self._by_top)
        return min(num_trials, MOST_RANKED, max(2, math.ceil(num_trials / self._factor)))

    def are_sure(self, courses: Mapping[str, Sequence[float]]) -> bool:
        """Returns whether the order of the best trials is that of one rung below, but for noise.

        Args:
            courses: By trial: its values, epoch by epoch.
        """
        best, values = [trial for _, _, trial in self._by_top[: self.num_ranked]], self._below.values
        there = [trial for _, _, trial in self._by_below[: self.num_ranked]]
        moved = [abs(values[one] - values[other]) for one, other in zip(best, there, strict=True) if one != other]
        if not moved:
            return True
        return max(moved) <= noise([courses[trial][: int(self._top.milestone)] for trial in best])


def noise(courses: Sequence[Sequence[float]]) -> float:
    """Returns how much trials differ that overtake each other at least twice; 0 without such a pair.

    >>> noise([[0.1, 0.5, 0.4, 0.6], [0.2, 0.3, 0.5, 0.5]]) == 0.6 - 0.5, noise([[0.1, 0.5], [0.2, 0.3]])
    (True, 0.0)

    Args:
        courses: The values of each trial, epoch by epoch, all of one length.
    """
    found = []
    for one, other in combinations(courses, 2):
        leads = [here > there for here, there in zip(one, other, strict=True) if here != there]
        if sum(before != after for before, after in pairwise(leads)) >= 2:
            found.append(abs(one[-1] - other[-1]))
    return percentile(sorted(found), NOISE_PERCENT) if found else 0.0
