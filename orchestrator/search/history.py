"""The study's trials so far as Optuna knows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState as OptunaState

from orchestrator.journal.trial import Trial, TrialState
from orchestrator.search.distributions import EncodedSpace
from orchestrator.study.sections import Objective

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Values for one trial, and Optuna's trial that they were drawn for.

    Args:
        values: Of the active parameters, the family's among them.
        asked: Optuna's trial, still running.
    """

    values: dict[str, Any]
    asked: optuna.Trial


class History:
    """Keeps Optuna's study of the trials so far.

    Args:
        space: How Optuna sees the search space.
        objective: What a trial's value is.
        is_kept: Whether the search learns from earlier trials; else each proposal is drawn from a study of its own, as
            Optuna walks through all trials that it knows whenever it is asked.
    """

    def __init__(self, space: EncodedSpace, *, objective: Objective, is_kept: bool) -> None:
        self.study = _empty_study(objective.mode)
        #: Ended trials that have a value; the others count as worse than all of them.
        self.num_with_values = 0
        #: Optuna's trials by the number of ours, until they have ended.
        self.running: dict[int, optuna.Trial] = {}
        self.is_kept = is_kept
        self._space = space
        self._objective = objective

    def begin(self) -> None:
        """Makes room for the next proposal where nothing is learned from those before."""
        if not self.is_kept:
            self.study = _empty_study(self._objective.mode)

    def draw(self, sampler: optuna.samplers.BaseSampler) -> Draw:
        """Returns what a sampler proposes."""
        self.study.sampler = sampler
        asked = self.study.ask()
        return Draw(values=self._space.suggest(asked), asked=asked)

    def take(self, values: Mapping[str, Any]) -> Draw:
        """Returns a draw of these very values."""
        self.study.enqueue_trial(self._space.encode(values))
        asked = self.study.ask()
        return Draw(values=self._space.suggest(asked), asked=asked)

    def accept(self, number: int, draw: Draw) -> None:
        """Knows a draw as the study's trial `number` from here on."""
        if self.is_kept:
            self.running[number] = draw.asked

    def reject(self, draw: Draw) -> None:
        """Ends a draw that becomes no trial."""
        self.study.tell(draw.asked, state=OptunaState.FAIL)

    def end(self, trial: Trial) -> None:
        """Adds how a trial ended: its best value, or, where it was stopped, how far it came; a failed one is worst."""
        if not self.is_kept:
            return
        asked = self.running.pop(trial.number)
        best = trial.best_report(metric=self._objective.metric, mode=self._objective.mode)
        if trial.state is TrialState.COMPLETED and best is not None:
            self.num_with_values += 1
            self.study.tell(asked, best.metrics[self._objective.metric])
            return
        # Values at epochs are added at the end only: the estimator ranks what was stopped by them, a later epoch first,
        # and what failed after some good epochs must not be among the good ones.
        if trial.failure is None:
            self.num_with_values += bool(trial.reports)
            for report in trial.reports:
                asked.report(report.metrics[self._objective.metric], report.epoch)
        self.study.tell(asked, state=OptunaState.PRUNED)


def _empty_study(mode: str) -> optuna.Study:
    # The sampler is never asked: each draw brings its own.
    direction = "maximize" if mode == "max" else "minimize"
    return optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=0))
