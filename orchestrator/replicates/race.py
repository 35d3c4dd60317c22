"""Which variant is trained again next: a race in rounds that goes on where it is in doubt which one is best.

Every contender trains twice, as one value has no interval. After each round a contender leaves whose interval lies
wholly on the worse side of that of the best by mean, and the others train once more. All trainings of a round end
before the next one begins, so who leaves follows from values alone, not from what happens to run at the same time.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.replicates.interval import UNBOUNDED, Ends, student_interval

#: Trainings of the first round: fewer have no interval.
LEAST = 2
#: At most so often, at each look, the variant that is truly best leaves the race.
RISK = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """One training of a contender with a seed of its own.

    Attributes:
        value: The best value of the objective; None while it trains, and where it failed.
        has_ended: Whether it trains no more.
        fold: That it validates on; 0: the validation split of the search.
    """

    value: float | None = None
    has_ended: bool = False
    fold: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A variant that is trained again.

    Attributes:
        trial: The trial of the search that it comes from; that one's value does not count, as it was chosen for it.
        replicates: In the order they were proposed, without those that a budget cut short.
    """

    trial: str
    replicates: tuple[Replicate, ...] = ()

    def values(self, count: int | None = None) -> list[float]:
        """Returns the values of the first replicates; of all without a count."""
        return [item.value for item in self.replicates[:count] if item.value is not None]

    @property
    def mean(self) -> float | None:
        """The mean of the values; None for fewer than two."""
        values = self.values()
        return statistics.fmean(values) if len(values) >= LEAST else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceMeasure:
    """What the values of a race are.

    Attributes:
        mode: `max` or `min`.
        overlap: How far trainings share images, as in `student_interval`.
        bounds: The least and the greatest value that there can be.
    """

    mode: str
    overlap: float = 0.0
    bounds: Ends = UNBOUNDED

    def interval(self, values: Sequence[float], *, confidence: float) -> Ends | None:
        """Returns the interval of the mean of values; None for those that do not show their spread."""
        return student_interval(values, confidence=confidence, overlap=self.overlap, bounds=self.bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Why a contender has left the race.

    Attributes:
        trial: The contender's.
        rival: That of the best by mean at that time.
        interval: The contender's at that time; likewise rival_interval.
        confidence: Of both intervals.
        count: How many replicates each of them had by then.
    """

    trial: str
    rival: str
    interval: tuple[float, float]
    rival_interval: tuple[float, float]
    confidence: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a race stands.

    Attributes:
        next: The trial to train again now; empty where there is none, or the round has to end first.
        is_over: Whether nobody trains again.
        left: The contenders that have left, the first one first.
    """

    next: str
    is_over: bool
    left: tuple[Leaving, ...]


def standing(contenders: Sequence[Contender], *, most: int, measure: RaceMeasure) -> Standing:
    """Returns how a race stands, from what has happened alone.

    A contender without rivals trains as often as allowed: nothing but its value is asked for. Contenders whose values
    do not show their spread neither leave nor make others leave.

    >>> def made(trial, *values):
    ...     return Contender(trial=trial, replicates=tuple(Replicate(value=v, has_ended=True) for v in values))
    >>> standing([made("t0", 0.90, 0.91), made("t1", 0.92)], most=5, measure=RaceMeasure(mode="max")).next
    't1'
    >>> standing([made("t0", 0.90, 0.91), made("t1", 0.92, 0.91)], most=5, measure=RaceMeasure(mode="max")).next
    't0'
    >>> standing([made("t0", 0.900, 0.901), made("t1", 0.100, 0.101)], most=5, measure=RaceMeasure(mode="max")).is_over
    True

    Args:
        contenders: The best of the search first.
        most: Replicates of each at most.
        measure: What their values are.
    """
    racing, left, count = list(contenders), list[Leaving](), min(LEAST, most)
    while racing and count:
        behind = [item for item in racing if len(item.replicates) < count]
        if behind:
            # Each once before any twice, so that a study that ends here knows as much of each.
            slowest = min(behind, key=lambda item: len(item.replicates))
            return Standing(next=slowest.trial, is_over=False, left=tuple(left))
        if not all(replicate.has_ended for item in racing for replicate in item.replicates[:count]):
            return Standing(next="", is_over=False, left=tuple(left))
        left += _leaving(racing, count=count, measure=measure, num_contenders=len(contenders))
        gone = {item.trial for item in left}
        racing = [item for item in racing if item.trial not in gone]
        if count >= most or (len(racing) == 1 and left):
            break
        count += 1
    return Standing(next="", is_over=True, left=tuple(left))


def race_confidence(num_contenders: int) -> float:
    """Returns the confidence of the intervals that a race goes by.

    The truly best one leaves only if its interval lies below its mean, or that of another one above that one's mean:
    each happens in half of one minus the confidence, and the sum over all contenders is RISK.

    >>> race_confidence(2), f"{race_confidence(4):.3f}"
    (0.95, '0.975')
    """
    return 1 - 2 * RISK / max(2, num_contenders)


def _leaving(racing: Sequence[Contender], *, count: int, measure: RaceMeasure, num_contenders: int) -> list[Leaving]:
    """Returns the contenders whose intervals lie wholly on the worse side of the best one's."""
    sign, confidence = (1 if measure.mode == "max" else -1), race_confidence(num_contenders)
    known = [item for item in racing if len(item.values(count)) >= LEAST]
    if not known:
        return []
    # Of equal means the one that the search found better.
    best = max(known, key=lambda item: sign * statistics.fmean(item.values(count)))
    intervals = {item.trial: measure.interval(item.values(count), confidence=confidence) for item in known}
    limit = intervals[best.trial]
    if limit is None:
        return []
    found = []
    for item in known:
        interval = intervals[item.trial]
        is_worse = interval is not None and (interval[1] < limit[0] if sign > 0 else interval[0] > limit[1])
        if interval is not None and is_worse:
            found.append(
                Leaving(
                    trial=item.trial,
                    rival=best.trial,
                    interval=interval,
                    rival_interval=limit,
                    confidence=confidence,
                    count=count,
                )
            )
    return found
