"""Decides when a study has had enough: its time, its epochs, its core-hours, its target, or no progress.

All follows from the journal and the driver's clock: a resumed study neither forgets what it spent nor counts it twice.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.journal.recorder import Recorder
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial
from orchestrator.study.sections import BUDGETS, Search
from orchestrator.text import number


@dataclass(frozen=True, slots=True, kw_only=True)
class _Budget:
    """One way in which a study has had enough.

    Attributes:
        key: Its key in the study file.
        is_over: Whether the study has had as much.
        words: What happened, for example "the 10 minutes were over".
        ends_trials: Whether the trials under way stop after their next epoch; else they go on to their end.
    """

    key: str
    is_over: Callable[[], bool]
    words: str
    ends_trials: bool = True


class Budgets:
    """All budgets of a study; the one that is used up first ends the search.

    Args:
        recorder: Holds the study's state and the clock.
        search: The study's section.
        cpus_per_trial: CPUs that each second of training counts as.
    """

    def __init__(self, recorder: Recorder, search: Search, *, cpus_per_trial: float = 1.0) -> None:
        self._recorder = recorder
        self._spent = _Spent(recorder.state, cpus_per_trial=cpus_per_trial)
        self._budgets = list(self._of(search))
        self._ended_by: _Budget | None = None

    @property
    def is_over(self) -> bool:
        """Whether the study has had enough, so that no trial begins."""
        return self._first_over() is not None

    def ends(self, trial: Trial) -> bool:
        """Returns whether a trial stops now: no trial stops before its first report, nor one that has ended."""
        if not trial.reports or trial.has_ended:
            return False
        budget = self._first_over()
        return budget is not None and budget.ends_trials

    def stop(self, trial: Trial) -> None:
        """Records that a budget ends a trial."""
        budget = self._first_over()
        if budget is not None:
            reason = f"{budget.key}: {budget.words} at epoch {trial.epoch}"
            self._recorder.stop_trial(trial.name, epoch=trial.epoch, reason=reason)

    def in_words(self) -> str:
        """Returns why the study has fewer trials or epochs than planned; an empty text if its budgets were enough."""
        state, budget = self._recorder.state, self._first_over()
        num_stopped = sum(map(is_stopped_by_budget, state.trials.values()))
        is_short = num_stopped or len(state.trials) < state.header.num_trials
        if not is_short or budget is None:
            return ""
        way = "another" if budget.key == "search.target" else "a larger"
        return (
            f"{budget.key}: {budget.words} after {len(state.trials)} of {state.header.num_trials} "
            f"trials, {num_stopped} of them stopped for it; resume with {way} {budget.key} to go on"
        )

    def _first_over(self) -> _Budget | None:
        if self._ended_by is None:
            self._ended_by = next((budget for budget in self._budgets if budget.is_over()), None)
        return self._ended_by

    def _of(self, search: Search) -> Iterator[_Budget]:
        state, spent, recorder = self._recorder.state, self._spent, self._recorder
        if (target := search.target) is not None:
            metric = state.header.metric
            yield _Budget(
                key="search.target",
                is_over=lambda: spent.reaches(target),
                words=f"{metric} {number(target)} was reached",
            )
        if (minutes := search.minutes) is not None:
            yield _Budget(
                key="search.minutes",
                is_over=lambda: state.clock.seconds(recorder.now()) >= 60 * minutes,
                words=f"the {minutes:g} minutes of the study were over",
            )
        if (hours := search.core_hours) is not None:
            yield _Budget(
                key="search.core_hours",
                is_over=lambda: spent.core_hours() >= hours,
                words=f"the {hours:g} core-hours of the study were used up",
            )
        if (epochs := search.epochs) is not None:
            yield _Budget(
                key="search.epochs",
                is_over=lambda: spent.epochs() >= epochs,
                words=f"the {epochs:,} epochs of the study were trained",
            )
        if (patience := search.patience) is not None:
            yield _Budget(
                key="search.patience",
                is_over=lambda: spent.trials_since_best() >= patience,
                words=f"{patience:,} trials had ended without a better one",
                ends_trials=False,
            )


class _Spent:
    """What the journal's reports cost and brought, read once each; results taken over from another run cost nothing."""

    def __init__(self, state: StudyState, *, cpus_per_trial: float) -> None:
        self._state = state
        self._cpus = cpus_per_trial
        self._begin()

    def epochs(self) -> int:
        """Returns how many epochs were trained."""
        self._read()
        return self._num_epochs

    def core_hours(self) -> float:
        """Returns how long trials trained, by their own clocks, times their CPUs."""
        self._read()
        return self._train_seconds * self._cpus / 3600

    def reaches(self, target: float) -> bool:
        """Returns whether a report is as good as a target."""
        self._read()
        return self._best is not None and self._best_value >= self._sign * target

    def trials_since_best(self) -> int:
        """Returns how many trials that were proposed after the best one have ended."""
        self._read()
        if self._best is None:
            return 0
        number = self._best.number
        later = len(self._state.trials) - number - 1
        return later - sum(trial.number > number for trial in self._state.open_trials.values())

    @property
    def _sign(self) -> int:
        return 1 if self._state.header.mode == "max" else -1

    def _begin(self) -> None:
        self._num_read = self._num_epochs = 0
        self._train_seconds = 0.0
        self._best: Trial | None = None
        self._best_value = -math.inf

    def _read(self) -> None:
        """Reads the reports since it last did; all of them anew where the best trial has failed since."""
        if self._best is not None and self._best.failure is not None:
            self._begin()
        order, metric = self._state.report_order, self._state.header.metric
        for name, epoch in order[self._num_read :]:
            trial = self._state.trials[name]
            report = trial.reports[epoch - 1]
            if not trial.reused_from:
                self._num_epochs += 1
                self._train_seconds += report.train_seconds
            if metric in report.metrics and trial.failure is None:
                self._compare(trial, self._sign * report.metrics[metric])
        self._num_read = len(order)

    def _compare(self, trial: Trial, value: float) -> None:
        # Of equal ones the trial that was proposed first.
        is_first = self._best is None or trial.number < self._best.number
        if value > self._best_value or (value == self._best_value and is_first):
            self._best, self._best_value = trial, value


def is_stopped_by_budget(trial: Trial) -> bool:
    """Returns whether a trial ended because the study had had enough."""
    return trial.stop is not None and trial.stop.reason.startswith(tuple(f"{key}: " for key in BUDGETS))
