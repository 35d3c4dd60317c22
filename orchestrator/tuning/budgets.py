"""Decides when a study has had enough: its time, epochs, core-hours or money, its target, or no progress to expect.

All follows from the journal and the driver's clock: a resumed study neither forgets what it spent nor counts it twice.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, index_of
from orchestrator.pareto.choice import compares
from orchestrator.pareto.constraints import broken_by
from orchestrator.results.expected_gain import expected_gain
from orchestrator.results.ranking import known_values
from orchestrator.study.sections import Search, budget_of
from orchestrator.text import number
from trainables.reports import EpochReport

#: Metrics that are no better than 1.
_BEST_IS_ONE = ("accuracy", "f1_score")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Budget:
    """One way in which a study has had enough.

    Attributes:
        key: Its key in the study file.
        is_over: Whether the study has had as much.
        words: Says what happened, for example "the 10 minutes of the study were over".
        ends_trials: Whether the trials under way stop after their next epoch; else they go on to their end.
        leaves_room: Whether replicates of the best trials still begin and go on: nothing is used up.
    """

    key: str
    is_over: Callable[[], bool]
    words: Callable[[], str]
    ends_trials: bool = True
    leaves_room: bool = False


class Recording(Protocol):
    """A study that time passes in: a recorder's, or a simulated one.

    Attributes:
        state: The journal's.
    """

    state: StudyState

    def now(self) -> float:
        """Returns the time that records carry."""

    def stop_trial(self, name: str, *, epoch: int, reason: str) -> None:
        """Records that a trial ends."""


class Budgets:
    """All budgets of a study; the one that is used up first ends the search.

    Args:
        recorder: Holds the study's state and the clock.
        search: The study's section.
    """

    def __init__(self, recorder: Recording, search: Search) -> None:
        self._recorder = recorder
        self._spent = _Spent(recorder.state)
        self._budgets = [*self._target(search), *self._costs(search), *self._progress(search)]
        #: In the order in which they were found used up.
        self._over: list[_Budget] = []

    @property
    def is_over(self) -> bool:
        """Whether the study has had enough, so that no trial begins."""
        return bool(self._used_up())

    @property
    def leaves_room(self) -> bool:
        """Whether replicates of the best trials may begin, whether or not the search is over."""
        return all(budget.leaves_room for budget in self._used_up())

    def ends(self, trial: Trial) -> bool:
        """Returns whether a trial stops now: no trial stops before its first report, nor one that has ended."""
        if not trial.reports or trial.has_ended:
            return False
        return any(self._ending(trial))

    def stop(self, trial: Trial) -> None:
        """Records that a budget ends a trial."""
        budget = next(self._ending(trial))
        reason = f"{budget.key}: stopped after epoch {trial.epoch}, as {budget.words()}"
        self._recorder.stop_trial(trial.name, epoch=trial.epoch, reason=reason)

    def in_words(self) -> str:
        """Returns why the study has fewer trials or epochs than planned; an empty text if its budgets were enough."""
        state, used_up = search_alone(self._recorder.state), self._used_up()
        has_stopped = any(map(is_stopped_by_budget, state.trials.values()))
        if not used_up or not (has_stopped or len(state.trials) < state.header.num_trials):
            return ""
        budget = used_up[0]
        num_stopped = sum(
            trial.stop is not None and budget_of(trial.stop.reason) == budget.key for trial in state.trials.values()
        )
        way = {"search.target": "another", "search.min_gain": "a smaller"}.get(budget.key, "a larger")
        return (
            f"{budget.key}: {budget.words()} after {len(state.trials)} of {state.header.num_trials} "
            f"trials, {num_stopped} of them stopped for it; resume with {way} {budget.key} to go on"
        )

    def _ending(self, trial: Trial) -> Iterator[_Budget]:
        """Yields the used up budgets that end a trial."""
        is_replicate = bool(trial.replicate_of)
        return (b for b in self._used_up() if b.ends_trials and not (is_replicate and b.leaves_room))

    def _used_up(self) -> list[_Budget]:
        """Returns the budgets that are used up, the first one first; what is used up once is so for this session."""
        self._over += [budget for budget in self._budgets if budget not in self._over and budget.is_over()]
        return self._over

    def _target(self, search: Search) -> Iterator[_Budget]:
        spent = self._spent
        if (target := search.target) is not None:
            header = self._recorder.state.header
            metric = header.metric
            # No value is better: trials under way may still have less loss, by which equal ones are told apart.
            is_best = bool(header.ties) and target == 1.0 and metric.removeprefix("val_") in _BEST_IS_ONE
            yield _Budget(
                key="search.target",
                is_over=lambda: spent.reaches(target),
                words=lambda: f"{spent.best_name} reached {metric} {number(target)}",
                ends_trials=not is_best,
                leaves_room=True,
            )

    def _costs(self, search: Search) -> Iterator[_Budget]:
        state, spent, recorder = self._recorder.state, self._spent, self._recorder
        if (minutes := search.minutes) is not None:
            yield _Budget(
                key="search.minutes",
                is_over=lambda: state.clock.seconds(recorder.now()) >= 60 * minutes,
                words=lambda: f"the {minutes:g} minutes of the study were over",
            )
        if (hours := search.core_hours) is not None:
            yield _Budget(
                key="search.core_hours",
                is_over=lambda: spent.core_hours() >= hours,
                words=lambda: f"the {hours:g} core-hours of the study were used up",
            )
        if (money := search.money) is not None and (price := search.price_per_hour) is not None:
            yield _Budget(
                key="search.money",
                is_over=lambda: state.clock.seconds(recorder.now()) / 3600 * price >= money,
                words=lambda: f"the {money:g} that the study may cost at {price:g} an hour were spent",
            )
        if (epochs := search.epochs) is not None:
            yield _Budget(
                key="search.epochs",
                is_over=lambda: spent.epochs() >= epochs,
                words=lambda: f"the {epochs:,} epochs of the study were trained",
            )

    def _progress(self, search: Search) -> Iterator[_Budget]:
        spent = self._spent
        if (patience := search.patience) is not None:
            yield _Budget(
                key="search.patience",
                is_over=lambda: spent.trials_since_best() >= patience,
                words=lambda: f"{patience:,} trials had ended without a better one",
                ends_trials=False,
                leaves_room=True,
            )
        if (least := search.min_gain) is not None:
            yield _Budget(
                key="search.min_gain",
                is_over=lambda: spent.gain_of_another() < least,
                words=lambda: f"another trial was expected to raise the best by less than {least:g}",
                ends_trials=False,
                leaves_room=True,
            )


class _Spent:
    """What the journal's reports cost and brought, read once each; results taken over from another run cost nothing."""

    def __init__(self, state: StudyState) -> None:
        self._state = state
        #: The expected gain when so many trials had ended.
        self._gain, self._num_judged = math.inf, 0
        self._begin()

    def epochs(self) -> int:
        """Returns how many epochs were trained."""
        self._read()
        return self._num_epochs

    def core_hours(self) -> float:
        """Returns how long trials trained, by their own clocks, times their CPUs."""
        self._read()
        return self._core_seconds / 3600

    @property
    def best_name(self) -> str:
        """The name of the best trial; empty if there is none."""
        return self._best.name if self._best is not None else ""

    def reaches(self, target: float) -> bool:
        """Returns whether a report is as good as a target."""
        self._read()
        return self._best is not None and compares(self._best_value, ">=", self._sign * target)

    def trials_since_best(self) -> int:
        """Returns how many trials that were proposed after the best one have ended, or wait at a rung."""
        self._read()
        if self._best is None:
            return 0
        place, state = self._best.place, self._state
        later = len(state.trials) - sum(map(len, state.replicates.values())) - place - 1
        running = (trial for trial in state.open_trials.values() if not trial.replicate_of and not trial.is_held)
        return later - sum(trial.place > place for trial in running)

    def gain_of_another(self) -> float:
        """Returns by how much another trial is expected to raise the best value; infinite of few ended trials.

        Trials that wait at a rung count as ended.
        """
        num_judged = self._state.num_ended + sum(trial.is_held for trial in self._state.open_trials.values())
        if num_judged != self._num_judged:
            metric, mode = self._state.header.metric, self._state.header.mode
            bests = [
                best
                for trial in self._state.trials.values()
                if (trial.has_ended or trial.is_held) and trial.failure is None and not trial.replicate_of
                if (best := trial.best_report(metric=metric, mode=mode)) is not None and self._keeps(trial, best)
            ]
            self._gain = expected_gain([self._sign * best.metrics[metric] for best in bests])
            self._num_judged = num_judged
        return self._gain

    @property
    def _sign(self) -> int:
        return 1 if self._state.header.mode == "max" else -1

    def _begin(self) -> None:
        self._num_read = self._num_epochs = 0
        self._core_seconds = 0.0
        self._best: Trial | None = None
        self._best_value = -math.inf

    def _read(self) -> None:
        """Reads the reports since it last did; all of them anew where the best trial has failed since."""
        if self._best is not None and self._best.failure is not None:
            self._begin()
        order, metric = self._state.report_order, self._state.header.metric
        for name, epoch in order[self._num_read :]:
            trial = self._state.trials[name]
            report, at = trial.reports[index_of(trial, epoch)], trial.reported_at[index_of(trial, epoch)]
            # A reused trial may have been trained further here, where the study was extended.
            if not trial.reused_from or at > trial.proposed_at:
                self._num_epochs += 1
                self._core_seconds += report.train_seconds * float(trial.worker.get("cpus") or 1)
            if (
                metric in report.metrics
                and trial.failure is None
                and not trial.replicate_of
                and self._keeps(trial, report)
            ):
                self._compare(trial, self._sign * report.metrics[metric])
        self._num_read = len(order)

    def _keeps(self, trial: Trial, report: EpochReport) -> bool:
        """Returns whether a trial keeps to all constraints after a report."""
        return not broken_by(known_values(trial, report), self._state.header.conditions)

    def _compare(self, trial: Trial, value: float) -> None:
        # Of equal ones the trial that was proposed first.
        is_first = self._best is None or trial.number < self._best.number
        if value > self._best_value or (value == self._best_value and is_first):
            self._best, self._best_value = trial, value


def is_stopped_by_budget(trial: Trial) -> bool:
    """Returns whether a trial ended because the study had had enough."""
    return trial.stop is not None and budget_of(trial.stop.reason) != ""
