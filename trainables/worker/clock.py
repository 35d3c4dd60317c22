"""Where a worker's seconds go: adds to reports the time around a trial's steps, which the trial does not measure."""

import time
from collections import Counter
from dataclasses import replace

from trainables.reports import EpochReport


class WorkerClock:
    """Accounts for every second of a worker process, from its start to its last report.

    Args:
        age: Seconds since the process began.
        early_import: Begin and end of an import of TensorFlow ahead of all trials; None: the first step imports it.
    """

    def __init__(self, *, age: float, early_import: tuple[float, float] | None = None) -> None:
        now = time.monotonic()
        #: Seconds before the first step that count as no `start`, for the first report.
        self._early: dict[str, float] = {}
        if early_import is not None:
            # A forked worker has what its fork server imported before the worker began: no second of its own.
            began, ended = (max(when, now - age) for when in early_import)
            self._early = {"import": ended - began, "idle": now - ended}
        self._left_at = now - age + sum(self._early.values())
        self._trial: str | None = None
        self._unreported = 0.0

    def accounted(self, report: EpochReport, *, trial: str, began: float) -> EpochReport:
        """Returns a report with the seconds that it does not account for itself.

        These are `start` (from the process's begin to its first step), `idle` (without a trial, between two or ahead of
        the first), `report` (from a report to the next step of the same trial) and `other` (in the step itself). The
        seconds of an import ahead of the first trial count as `import`.

        Args:
            began: When the step began, by `time.monotonic`.
        """
        around = Counter({self._kind(trial): began - self._left_at})
        self._leave(trial)
        inside = self._left_at - began - report.train_seconds - sum(report.overhead_seconds.values())
        other, self._unreported = max(0.0, inside) + self._unreported, 0.0
        around.update(self._early)
        self._early = {}
        around.update(report.overhead_seconds)
        return replace(report, overhead_seconds={**around, "other": other})

    def fail(self, *, trial: str) -> None:
        """Keeps the seconds of a step that ended without a report for the next report."""
        before = self._left_at
        self._leave(trial)
        self._unreported += self._left_at - before

    def _kind(self, trial: str) -> str:
        if self._trial is None:
            return "start"
        return "report" if trial == self._trial else "idle"

    def _leave(self, trial: str) -> None:
        self._trial = trial
        self._left_at = time.monotonic()
