"""Which trials an analysis compares, and by which value each: at one epoch that all of them reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, TrialState, is_stopped_by_hand
from orchestrator.study.sections import budget_of
from orchestrator.text import number

Array = np.ndarray

#: Below so many trials with a value, an analysis says so and gives no numbers.
MIN_TRIALS = 20
#: Of pairs of trials that went on, so many must have kept their order for an early value to stand for the later one. By
#: chance half of them do. More cannot be asked: trials that went on are the good ones, which differ by little.
_KEPT_SHARE = 0.6
#: Fewer trials that went on say nothing about it.
_MIN_GOING_ON = 6
#: Values worse than the worse quartile by so many interquartile ranges count as that much worse.
_FENCE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The trials that an analysis compares; the order in which the study proposed them does not matter.

    Attributes:
        trials: Without those that failed.
        scores: A number for each trial, larger is better: the value, with the sign changed where the lowest is best.
        sign: 1, or -1 where the lowest value is best.
        epoch: The values are the best up to this epoch; None: up to each trial's last, of trials that trained to it.
        notes: What a reader has to know about the values, a sentence each.
    """

    trials: Sequence[Trial]
    scores: Array
    sign: int
    epoch: int | None
    notes: Sequence[str]

    @property
    def reason(self) -> str:
        """Why no numbers follow from these trials, in words; empty if some do."""
        if len(self.trials) < MIN_TRIALS:
            return too_few(len(self.trials))
        if not do_differ(self.scores):
            return f"all {len(self.trials)} trials have the same value, {number(self.sign * float(self.scores[0]))}"
        return ""


def compared_trials(state: StudyState) -> Compared:
    """Returns the trials with a value, each with its best up to one epoch.

    Values of different epochs do not compare: a trial that was stopped after its first epoch would count as bad even
    where others were no better then. Where the scheduler stopped trials, all count with their best value up to the
    first epoch at which it stopped one. What ended by itself keeps its best value; what a budget of the study ended,
    or what still trains, counts if it came so far. Trials that went on from another's checkpoint do not count.

    Such early values stand for the later ones only if trials that went on mostly kept their order: of all pairs that
    differ, six of ten have it at the last epoch that both reached. Otherwise only the trials that trained to their end
    count, and a note says so.
    """
    header = state.header
    sign = 1 if header.mode == "max" else -1
    # What a trial makes of another's weights does not follow from its own parameters.
    usable = [trial for trial in list(state.trials.values()) if trial.failure is None and not trial.parent]
    courses = {trial.name: course_of(trial, metric=header.metric, sign=sign) for trial in usable}
    usable = [trial for trial in usable if courses[trial.name]]
    whole = [trial for trial in usable if trial.state is TrialState.COMPLETED]
    stopped = [trial for trial in usable if is_stopped_as_weak(trial)]
    if not stopped:
        return _compared(whole, courses, sign=sign, epoch=None, notes=[])
    epoch = min(len(courses[trial.name]) for trial in stopped)
    rivals = [courses[trial.name] for trial in usable if len(courses[trial.name]) > epoch]
    kept = kept_order(rivals, epoch=epoch) if len(rivals) >= _MIN_GOING_ON else None
    at = f"epoch {epoch}, the first at which the scheduler stopped a trial"
    if kept is not None and kept < _KEPT_SHARE:
        note = (
            f"{len(stopped)} trials that the scheduler stopped do not count: values at epoch {epoch} say too little of "
            f"later ones ({100 * kept:.0f} % of pairs kept their order); what trained on is a selection"
        )
        return _compared(whole, courses, sign=sign, epoch=None, notes=[note])
    reached = [trial for trial in usable if trial.state is TrialState.COMPLETED or len(courses[trial.name]) >= epoch]
    known = (
        f"{100 * kept:.0f} % of pairs of trials that went on kept their order"
        if kept is not None
        else "too few trials went on to say whether their order stays"
    )
    return _compared(reached, courses, sign=sign, epoch=epoch, notes=[f"values are the best up to {at}; {known}"])


def course_of(trial: Trial, *, metric: str, sign: int) -> list[float]:
    """Returns the best score of a trial up to each epoch; empty without a value at the first.

    Args:
        trial: Of the study.
        metric: The objective's.
        sign: -1 where the lowest value is best.
    """
    course: list[float] = []
    for report in list(trial.reports):
        if metric in report.metrics:
            course.append(max([sign * report.metrics[metric], *course[-1:]]))
        elif course:
            course.append(course[-1])
    return course


def is_stopped_as_weak(trial: Trial) -> bool:
    """Returns whether the scheduler stopped a trial because of its value, and neither a budget nor a person did."""
    is_stopped = trial.state is TrialState.STOPPED and not is_stopped_by_hand(trial)
    return is_stopped and trial.stop is not None and not budget_of(trial.stop.reason)


def kept_order(courses: Sequence[Sequence[float]], *, epoch: int) -> float | None:
    """Returns the share of pairs whose order at an epoch is that at the last epoch that both reached.

    Pairs that are equal at either do not count; None if none is left.

    >>> kept_order([[1.0, 5.0], [2.0, 4.0, 9.0], [3.0, 3.0]], epoch=1)
    0.0

    Args:
        courses: Scores by epoch, each longer than the epoch.
        epoch: From 1.
    """
    lengths = np.array([len(course) for course in courses])
    values = np.full((len(courses), lengths.max()), np.nan)
    for place, course in enumerate(courses):
        values[place, : len(course)] = course
    num_kept = num_pairs = 0
    for place in range(1, len(courses)):
        last = np.minimum(lengths[place], lengths[:place]) - 1
        early = np.sign(values[place, epoch - 1] - values[:place, epoch - 1])
        late = np.sign(values[place, last] - values[np.arange(place), last])
        num_kept += int((early * late > 0).sum())
        num_pairs += int((early * late != 0).sum())
    return num_kept / num_pairs if num_pairs else None


def do_differ(scores: Array) -> bool:
    """Returns whether scores differ by more than rounding.

    >>> do_differ(np.array([0.1, 0.1])), do_differ(np.array([0.3, 0.1 + 0.2])), do_differ(np.array([0.1, 0.2]))
    (False, False, True)
    """
    return bool(np.ptp(scores) > 1e-12 * np.abs(scores).max()) and bool(scores.std() > 0)


def too_few(count: int) -> str:
    """Returns the sentence for so few trials that no numbers are given."""
    return f"too few: {count} trials with a value, at least {MIN_TRIALS} are needed"


def _compared(
    trials: Sequence[Trial], courses: Mapping[str, list[float]], *, sign: int, epoch: int | None, notes: Sequence[str]
) -> Compared:
    """Returns trials with their scores at an epoch, in an order that follows from what they are alone."""
    # Equal trials, such as repeated ones, may change places: nothing follows from their names.
    ordered = sorted(trials, key=lambda trial: (trial.variant.variant_id, courses[trial.name]))
    found = [courses[trial.name] for trial in ordered]
    scores = np.array([course[(epoch or len(course)) - 1 : epoch or len(course)] or course[-1:] for course in found])
    drawn_in, more = _drawn_in(scores.reshape(-1), sign=sign)
    return Compared(trials=ordered, scores=drawn_in, sign=sign, epoch=epoch, notes=[*notes, *more])


def _drawn_in(scores: Array, *, sign: int) -> tuple[Array, list[str]]:
    """Returns scores without outliers on the worse side, and a sentence on what was drawn in."""
    if not len(scores):
        return scores, []
    low, high = np.quantile(scores, [0.25, 0.75])
    floor = low - _FENCE * (high - low)
    num_below = int((scores < floor).sum())
    if high == low or not num_below:
        return scores, []
    worse = "above" if sign < 0 else "below"
    limit = number(sign * float(floor))
    return np.maximum(scores, floor), [f"{num_below} values {worse} {limit} count as {limit}"]
