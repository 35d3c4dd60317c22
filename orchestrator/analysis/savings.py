"""What stopping trials early saved, and how many of them may have been good."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.analysis.progress import cpus_of
from orchestrator.analysis.values import course_of, is_stopped_as_weak
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.results.chance import do_overlap
from orchestrator.results.from_state import best_so_far
from orchestrator.results.image_shares import ImageShares
from orchestrator.text import number

#: Values closer than so many usual changes from one epoch to the next are as good as equal.
_NUM_CHANGES = 2
#: Shorter courses have no half in which a trial has settled.
_MIN_SETTLED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """What stopping trials early saved; trials of another run, failures and ends of a budget do not count.

    Attributes:
        num_stopped: The trials that the scheduler stopped because of their values.
        epochs: What these had left up to the study's last epoch.
        core_seconds: These epochs, each as long as the trial's own ones were on average, times its CPUs.
        patience_epochs: The epochs that trials had left whose own patience ended them.
        best_trial: The best trial so far; empty without one.
        num_compared: The stopped trials beside the best one.
        num_close: Those that were as good as the best trial at the epoch at which they were stopped, or better; None if
            it cannot be said what is as good. What became of them is not known.
        noise: What counts as as good, in words.
    """

    num_stopped: int
    epochs: int
    core_seconds: float
    patience_epochs: int
    best_trial: str
    num_compared: int
    num_close: int | None
    noise: str


def savings_of(state: StudyState, *, shares: ImageShares) -> Savings:
    """Returns what stopping trials early saved.

    Args:
        state: The study, also while it runs.
        shares: The metrics that are shares of images; values whose intervals overlap are as good as each other.
    """
    state = search_alone(state)
    own = [trial for trial in list(state.trials.values()) if not trial.reused_from and trial.failure is None]
    # What another trial took the place of saved nothing.
    stopped = [trial for trial in own if is_stopped_as_weak(trial) and not trial.replaced_by]
    ended = [trial for trial in own if trial.state is TrialState.COMPLETED]
    best = best_so_far(state)
    rivals = [trial for trial in stopped if best is not None and trial.name != best[0].name and trial.reports]
    num_close, noise = _close(rivals, best[0], state=state, shares=shares) if best is not None else (None, "")
    max_epochs = state.header.max_epochs
    return Savings(
        num_stopped=len(stopped),
        epochs=sum(_left(trial, max_epochs=max_epochs) for trial in stopped),
        core_seconds=math.fsum(
            _left(trial, max_epochs=max_epochs) * _core_seconds_per_epoch(trial) for trial in stopped
        ),
        patience_epochs=sum(_left(trial, max_epochs=max_epochs) for trial in ended),
        best_trial=best[0].name if best is not None else "",
        num_compared=len(rivals),
        num_close=num_close,
        noise=noise,
    )


def _left(trial: Trial, *, max_epochs: int) -> int:
    return max(0, max_epochs - trial.epoch)


def _core_seconds_per_epoch(trial: Trial) -> float:
    seconds = [report.train_seconds for report in trial.reports]
    return statistics.fmean(seconds) * cpus_of(trial) if seconds else 0.0


def _close(rivals: Sequence[Trial], best: Trial, *, state: StudyState, shares: ImageShares) -> tuple[int | None, str]:
    """Returns how many trials were as good as the best one at their last epoch, and what that means."""
    header = state.header
    sign = 1 if header.mode == "max" else -1
    courses = {trial.name: course_of(trial, metric=header.metric, sign=sign) for trial in (best, *rivals)}
    pairs = []
    for trial in rivals:
        own, others = courses[trial.name], courses[best.name]
        if own:
            pairs.append((sign * own[-1], sign * others[min(len(own), len(others)) - 1]))
    ends = [(shares.interval(header.metric, mine), shares.interval(header.metric, its)) for mine, its in pairs]
    if pairs and all(mine is not None and its is not None for mine, its in ends):
        known = [(mine, its, *pair) for (mine, its), pair in zip(ends, pairs, strict=True) if mine and its]
        num_close = sum(do_overlap(mine, its) or sign * (value - other) > 0 for mine, its, value, other in known)
        return int(num_close), "the intervals of 95 % of both values overlap"
    change = _usual_change(state)
    if change is None:
        return None, "too few epochs to know how much values change by chance"
    limit = _NUM_CHANGES * change
    num_close = sum(sign * (value - other) >= -limit for value, other in pairs)
    return int(num_close), f"at most {number(limit)} worse, twice the usual change from one epoch to the next"


def _usual_change(state: StudyState) -> float | None:
    """Returns the median change of the objective between epochs in the later half of trials; None without any."""
    metric, changes = state.header.metric, []
    for trial in list(state.trials.values()):
        values = [report.metrics[metric] for report in list(trial.reports) if metric in report.metrics]
        if trial.failure is None and len(values) >= _MIN_SETTLED:
            later = values[len(values) // 2 - 1 :]
            changes += [abs(after - before) for before, after in pairwise(later)]
    return statistics.median(changes) if changes else None
