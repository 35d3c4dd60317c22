"""How the trials of a run go, as far as their reports tell: what a simulation trains instead of networks."""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.journal.records import TrialFailed
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial
from trainables.reports import EpochReport


class Beyond(StrEnum):
    """What a simulation takes for granted of a trial that would go on after its last known epoch."""

    SHORT = "short"  # it goes no further, and the others are judged as if it had, better than all of them
    LONG = (
        "long"  # it goes on to the study's last epoch, and the others are judged as if it were worse than all of them
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How one trial goes.

    Attributes:
        trial: As the run has it.
        seconds: How long each known epoch took with all that came with it, by the trial's own clock.
        failure: Why it fails after the last known epoch; None if it does not.
        failing_seconds: How long after that epoch it fails.
    """

    trial: Trial
    seconds: tuple[float, ...]
    failure: TrialFailed | None = None
    failing_seconds: float = 0.0

    @property
    def num_known(self) -> int:
        """How many epochs are known."""
        return len(self.seconds)

    @property
    def later_seconds(self) -> float:
        """How long an epoch takes after the known ones: the median of those after the first, which has the start."""
        return statistics.median(self.seconds[1:] or self.seconds or (0.0,))

    @property
    def ends_itself(self) -> bool:
        """Whether nothing comes after the last known epoch: the trial failed, or its patience ended."""
        return self.failure is not None or bool(self.trial.reports and self.trial.reports[-1].reason)


def courses_of(trials: Iterable[Trial]) -> list[Course]:
    """Returns the courses of a run's trials, in the order of their proposals."""
    return [
        Course(
            trial=trial,
            seconds=tuple(report.train_seconds + sum(report.overhead_seconds.values()) for report in trial.reports),
            failure=trial.failure,
            failing_seconds=_seconds_until_failure(trial),
        )
        for trial in sorted(trials, key=lambda item: item.number)
    ]


def core_seconds(state: StudyState) -> float:
    """Returns how long the trials of a run or a simulation held cores, by their own clocks."""
    return sum(
        sum(course.seconds) * float(course.trial.worker.get("cpus") or 1)
        for course in courses_of(state.trials.values())
    )


def metric_values(trials: Iterable[Trial], *, metric: str) -> Iterator[float]:
    """Yields every known value of a metric."""
    return (report.metrics[metric] for trial in trials for report in trial.reports if metric in report.metrics)


def _seconds_until_failure(trial: Trial) -> float:
    if trial.failure is None:
        return 0.0
    since = max([*trial.started_at[-1:], *trial.reported_at[-1:]], default=trial.failure.at)
    return max(0.0, trial.failure.at - since)


def unknown_report(course: Course, *, epoch: int, metric: str, value: float) -> EpochReport:
    """Returns a report of an epoch that the run did not train; it takes as long as those that it did."""
    last = course.trial.reports[-1].train_seconds if course.trial.reports else 0.0
    other = max(0.0, course.later_seconds - last)
    return EpochReport(
        epoch=epoch,
        metrics={metric: value},
        train_seconds=last,
        images_per_second=0.0,
        overhead_seconds={"validate": other},
    )
