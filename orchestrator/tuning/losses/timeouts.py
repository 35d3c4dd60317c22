"""Finds the trials whose reports are late, from the journal's state and the time; it acts on none."""

from dataclasses import dataclass
from typing import Literal

from orchestrator.journal.study_state import StudyState
from orchestrator.text import duration
from trainables.reports import FailureKind

#: `auto`: the least limit. Before the study's first report no trial is late.
LEAST_SECONDS = 600.0
#: `auto`: the limit as a multiple of the longest time that a report took; first reports, which trace and decode, count.
TIMES_LONGEST = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentTrial:
    """A trial whose worker has been silent for longer than allowed.

    Args:
        name: The trial's name.
        epoch: The epoch whose report is missing.
        seconds: Since the trial began, continued or reported.
        limit: The seconds that are allowed.
        is_again: Whether the trial was late before in this session.
    """

    name: str
    epoch: int
    seconds: float
    limit: float
    is_again: bool

    @property
    def reason(self) -> str:
        """Why the driver ends the worker, and whether the trial continues.

        >>> SilentTrial(name="t0001", epoch=3, seconds=75.2, limit=60, is_again=False).reason.partition(", and")[0]
        'no report of epoch 3 for 1 min 15 s (limit 1 min 00 s): its worker is ended'
        """
        silence = f"no report of epoch {self.epoch} for {duration(self.seconds)} (limit {duration(self.limit)})"
        if not self.is_again:
            return f"{silence}: its worker is ended, and it goes on from its last checkpoint"
        return f"{silence}, for the second time; if it only needs longer, raise resources.report_timeout_seconds"


def report_limit(setting: float | Literal["auto"], *, longest: float | None) -> float | None:
    """Returns how many seconds a report may take; None: no limit.

    >>> report_limit(90, longest=None), report_limit("auto", longest=None), report_limit("auto", longest=100.0)
    (90, None, 1000.0)

    Args:
        setting: `resources.report_timeout_seconds`.
        longest: Seconds that the slowest report of the study took; None before the first report.
    """
    if setting != "auto":
        return setting
    return None if longest is None else max(LEAST_SECONDS, TIMES_LONGEST * longest)


def silent_trials(
    state: StudyState, *, setting: float | Literal["auto"], now: float, not_before: float = 0.0
) -> list[SilentTrial]:
    """Returns the trials with workers that have been silent for too long, in the order they were proposed.

    Args:
        not_before: A time before which silence does not count, such as the time at which a sleeping driver awoke.
    """
    limit = report_limit(setting, longest=state.longest_report_seconds)
    if limit is None:
        return []
    late = []
    for trial in state.unfinished:
        since = trial.silent_since
        if since is None or now - max(since, not_before) <= limit:
            continue
        is_again = any(loss.kind == FailureKind.TIMED_OUT for loss in trial.losses_of_session)
        late.append(
            SilentTrial(name=trial.name, epoch=trial.epoch + 1, seconds=now - since, limit=limit, is_again=is_again)
        )
    return late
