"""The study's trials so far as Optuna knows them."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import TrialState as OptunaState

from orchestrator.journal.trial import Trial, TrialState
from orchestrator.search.distributions import EncodedSpace
from orchestrator.study.sections import Objective

optuna.logging.set_verbosity(optuna.logging.ERROR)


class History:
    """Keeps Optuna's study of the trials so far.

    The study is a function of the journal's facts alone: of each trial's values, in the order of proposals, and of how
    the trial ended. What a sampler leaves at a trial that it draws for is part of no later draw.

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

    def draw(self, sampler: optuna.samplers.BaseSampler) -> dict[str, Any]:
        """Returns the values of the active parameters that a sampler proposes, the family's among them."""
        self.study.sampler = sampler
        asked = self.study.ask()
        values = self._space.suggest(asked)
        # Optuna's samplers write notes to the trial that they draw for, and read those of running trials: a resumed
        # study would lack them. Samplers pass over failed trials.
        self.study.tell(asked, state=OptunaState.FAIL)
        return values

    def accept(self, number: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """Adds a running trial of these values, the study's trial `number`, and returns them as the space has them."""
        # A sampler without notes of its own; the values are given, so it draws none.
        self.study.sampler = optuna.samplers.RandomSampler(seed=0)
        self.study.enqueue_trial(self._space.encode(values))
        asked = self.study.ask()
        if self.is_kept:
            self.running[number] = asked
        return self._space.suggest(asked)

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
