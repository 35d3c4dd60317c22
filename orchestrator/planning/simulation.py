"""A study simulated event by event: real rules of early stopping and real budgets over courses that are known before.

The simulation writes a journal of its own, in memory: what is asked of a run can be asked of it.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from orchestrator.early_stopping.decider import Promoting, Promotion, Reported, Rules
from orchestrator.early_stopping.deciders import make_decider
from orchestrator.journal.records import (
    SessionStarted,
    StudyFinished,
    StudyOpened,
    TrialFailed,
    TrialHeld,
    TrialPromoted,
    TrialProposed,
    TrialStarted,
    TrialStopped,
)
from orchestrator.journal.study_state import StudyState, take_report
from orchestrator.pareto.goals import Goal, Losses
from orchestrator.planning.courses import Beyond, Course, metric_values, unknown_report
from orchestrator.results.ranking import broken_costs, losses_at
from orchestrator.study.sections import Search
from orchestrator.tuning.budgets import Budgets
from trainables.reports import EpochReport

#: Why a trial ends whose further epochs are not known and not supposed either.
NOT_KNOWN = "the run has no more epochs of this trial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The rules of a simulated study.

    Attributes:
        header: The first record of the run whose trials are simulated.
        rules: Of early stopping.
        search: Its budgets.
        num_trials: How many trials begin at most.
        slots: How many trials run at the same time.
    """

    header: StudyOpened
    rules: Rules
    search: Search
    num_trials: int
    slots: int


class Simulation:
    """A study whose trials take no time.

    Args:
        setup: Its rules.
        courses: How its trials go, in the order in which they are proposed.
        beyond: How they go on where that is not known.
        choose: Returns the course of the trial that begins next, by the state so far, and None once there is none; its
            name and number are new. None: the courses begin in their order.

    Attributes:
        state: The journal's state so far.
        open: The names of the trials that went on after their last known epoch.
    """

    def __init__(
        self,
        setup: Setup,
        courses: Sequence[Course],
        *,
        beyond: Beyond = Beyond.SHORT,
        choose: Callable[[StudyState], Course | None] | None = None,
    ) -> None:
        self.state, self.open = StudyState(), set[str]()
        self._setup, self._courses, self._beyond = setup, courses, beyond
        self._now = 0.0
        self._decider = make_decider(setup.rules)
        self._promoting = self._decider if isinstance(self._decider, Promoting) else None
        #: The courses of the trials that have begun.
        self._by_name: dict[str, Course] = {}
        waiting = iter(courses)
        self._choose = choose or (lambda state: next(waiting, None))
        #: (time of its next event, order of entry, course) of each running trial.
        self._events: list[tuple[float, int, Course]] = []
        self._order = itertools.count()
        self.state.apply(
            replace(setup.header, max_epochs=setup.rules.schedule.epochs, num_trials=setup.num_trials, at=0.0)
        )
        self.state.apply(SessionStarted(driver_pid=0, slots=setup.slots, at=0.0))
        self._budgets = Budgets(self, setup.search)
        self._unknown = _unknown_value(courses, rules=setup.rules, beyond=beyond)
        self._reported = partial(_reported, header=setup.header, beyond=beyond)

    def run(self) -> StudyState:
        """Runs all trials to their ends, and returns the state."""
        while True:
            while len(self._events) < self._setup.slots and self._start_next():
                pass
            if not self._events:
                break
            self._now, _, course = heapq.heappop(self._events)
            if self._happen(course):
                self._wait(course)
        if self._promoting is not None:
            for trial in self.state.unfinished:
                self.stop_trial(trial.name, epoch=trial.epoch, reason=self._promoting.why_left(trial.name))
        self.state.apply(StudyFinished(at=self._now))
        return self.state

    def now(self) -> float:
        """Returns the seconds since the simulated study began."""
        return self._now

    def stop_trial(self, name: str, *, epoch: int, reason: str) -> None:
        """Records that a trial ends."""
        self.state.apply(TrialStopped(trial=name, epoch=epoch, reason=reason, at=self._now))

    def _start_next(self) -> bool:
        """Starts the next trial, or one that waits; returns False where there is none or the budgets are used up."""
        if (promotion := _next_promotion(self._promoting, state=self.state, budgets=self._budgets)) is not None:
            name, epoch = promotion.trial, promotion.epoch
            self.state.apply(TrialPromoted(trial=name, epoch=epoch, reason=promotion.reason, at=self._now))
            self.state.apply(TrialStarted(trial=name, at=self._now))
            if self._has_more(self._by_name[name], epoch=epoch):
                self._wait(self._by_name[name])
            return True
        num_begun = len(self.state.trials)
        if num_begun >= self._setup.num_trials or (num_begun and self._budgets.is_over):
            return False
        course = self._choose(self.state)
        if course is None:
            return False
        trial = course.trial
        self._by_name[trial.name] = course
        self.state.apply(
            TrialProposed(trial=trial.name, number=trial.number, variant=trial.variant.to_json(), at=self._now)
        )
        self.state.apply(TrialStarted(trial=trial.name, at=self._now))
        self._wait(course)
        return True

    def _wait(self, course: Course) -> None:
        epoch = self.state.trials[course.trial.name].epoch
        if epoch < course.num_known:
            seconds = course.seconds[epoch]
        else:
            seconds = course.failing_seconds if course.failure is not None else course.later_seconds
        heapq.heappush(self._events, (self._now + seconds, next(self._order), course))

    def _happen(self, course: Course) -> bool:
        """Lets a trial report its next epoch or fail; returns whether it goes on."""
        name, epoch = course.trial.name, self.state.trials[course.trial.name].epoch + 1
        if epoch > course.num_known and course.failure is not None:
            failure, worker = course.failure, course.trial.worker
            self.state.apply(
                TrialFailed(trial=name, kind=failure.kind, reason=failure.reason, worker=worker, at=self._now)
            )
            return False
        if epoch > course.num_known and self._beyond is Beyond.SHORT:
            # A trial without any report.
            self._leave(course, epoch=0)
            return False
        report = self._report(course, epoch=epoch)
        take_report(self.state, name, report, worker=course.trial.worker, at=self._now)
        return self._goes_on(course, report)

    def _report(self, course: Course, *, epoch: int) -> EpochReport:
        reports, metric = course.trial.reports, self._setup.rules.metric
        is_horizon = epoch >= self._setup.rules.schedule.epochs
        if epoch <= len(reports):
            known = reports[epoch - 1]
            ends_itself = epoch == len(reports) and bool(known.reason)
            is_last = is_horizon or ends_itself
            return known if known.is_last == is_last else replace(known, is_last=is_last)
        self.open.add(course.trial.name)
        return replace(unknown_report(course, epoch=epoch, metric=metric, value=self._unknown), is_last=is_horizon)

    def _goes_on(self, course: Course, report: EpochReport) -> bool:
        trial, value = self.state.trials[course.trial.name], report.metrics[self._setup.rules.metric]
        # In the order of the driver: the budgets first, then the rule of early stopping.
        if self._budgets.ends(trial):
            self._budgets.stop(trial)
        elif not report.is_last:
            if report.epoch > course.num_known:
                # It goes on, whatever it reaches.
                self._complete(course, epoch=report.epoch, value=value)
                return True
            news = self._reported(course, epoch=report.epoch, value=value)
            verdict = self._decider.judge(news)
            if verdict.waits:
                self.state.apply(TrialHeld(trial=trial.name, epoch=report.epoch, reason=verdict.reason, at=self._now))
                return False
            if not verdict.stops:
                return self._has_more(course, epoch=report.epoch)
            self.stop_trial(trial.name, epoch=report.epoch, reason=verdict.reason)
        self._complete(course, epoch=report.epoch, value=value)
        return False

    def _complete(self, course: Course, *, epoch: int, value: float) -> None:
        self._decider.complete(self._reported(course, epoch=epoch, value=value))

    def _has_more(self, course: Course, *, epoch: int) -> bool:
        """Returns whether a trial that may go on does so; where it would, but is not known to, it is open."""
        if epoch < course.num_known or course.failure is not None or self._beyond is Beyond.LONG:
            return True
        self._leave(course, epoch=epoch)
        return False

    def _leave(self, course: Course, *, epoch: int) -> None:
        """Ends an open trial; the others meet it at each later epoch."""
        self.stop_trial(course.trial.name, epoch=epoch, reason=NOT_KNOWN)
        self.open.add(course.trial.name)
        for later in range(epoch + 1, self._setup.rules.schedule.epochs + 1):
            self._complete(course, epoch=later, value=self._unknown)


def _next_promotion(decider: Promoting | None, *, state: StudyState, budgets: Budgets) -> Promotion | None:
    """Returns which trial that waits at a rung goes on now; those that would, and may not for a budget, end."""
    while decider is not None and (promotion := decider.promotable()) is not None:
        decider.promote(promotion.trial)
        trial = state.trials[promotion.trial]
        if not budgets.ends(trial):
            return promotion
        budgets.stop(trial)
    return None


def _unknown_value(courses: Sequence[Course], *, rules: Rules, beyond: Beyond) -> float:
    """Returns what an epoch beyond the known ones is taken for."""
    known = list(metric_values((course.trial for course in courses), metric=rules.metric)) or [0.0]
    low, high = min(known), max(known)
    margin = max(high - low, 1.0)
    is_high = (beyond is Beyond.SHORT) == (rules.mode == "max")
    return high + margin if is_high else low - margin


def _losses(course: Course, epoch: int, *, goals: Sequence[Goal], beyond: Beyond) -> Losses:
    """Returns a trial's numbers for several objectives, beyond its known epochs the best or the worst ones."""
    if len(goals) == 1:
        return ()
    if epoch > course.num_known:
        return (-math.inf if beyond is Beyond.SHORT else math.inf,) * len(goals)
    return losses_at(course.trial, epoch=epoch, goals=goals) or ()


def _reported(course: Course, *, epoch: int, value: float, header: StudyOpened, beyond: Beyond) -> Reported:
    trial, losses = course.trial, _losses(course, epoch, goals=header.goals, beyond=beyond)
    breaks = broken_costs(trial, conditions=header.conditions) if trial.reports else ""
    return Reported(trial=trial.name, number=trial.place, epoch=epoch, value=value, losses=losses, breaks=breaks)
