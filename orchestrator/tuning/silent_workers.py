"""Ends workers that report too late, and sets which trials Ray Tune continues after a failure; on Ray Tune's thread."""

import logging
from typing import Any, Literal

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.losses.lost_workers import num_losses
from orchestrator.tuning.losses.timeouts import SilentTrial, silent_trials
from orchestrator.tuning.tune_internals import Unsaved, goes_on
from trainables.reports import FailureKind

logger = logging.getLogger(__name__)

#: Seconds between two checks of the trials.
_CHECK_SECONDS = 1.0
#: A driver that made no check for so long was asleep or busy, and may have reports of that time still to read.
_STALL_SECONDS = 10.0


class SilentWorkers(Unsaved, tune.Callback):
    """Checks how long workers are silent. Must come after the listener in Ray Tune's list of callbacks.

    Ray Tune counts every loss of a worker alike. This callback decides from the journal which trial continues: up to
    `retries` times after a worker died, once after the driver ended it for its silence.

    Args:
        listener: Its recorder holds the trials and writes the decisions.
        setting: `resources.report_timeout_seconds`.
        retries: `resources.retries`.
    """

    def __init__(self, listener: TuneListener, *, setting: float | Literal["auto"], retries: int) -> None:
        self._listener = listener
        self._recorder = listener.recorder
        self._setting = setting
        self._retries = retries
        self._looked_at = float("-inf")
        self._not_before = 0.0

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Ends the workers whose reports are late."""
        now = self._recorder.now()
        passed = now - self._looked_at
        if self._recorder.pause_requested.is_set() or 0 <= passed < _CHECK_SECONDS:
            return
        self._looked_at = now
        if not 0 <= passed <= _STALL_SECONDS:
            self._not_before = now
        for late in silent_trials(self._recorder.state, setting=self._setting, now=now, not_before=self._not_before):
            running = [trial for trial in trials if trial.config["trial"] == late.name and trial.status == "RUNNING"]
            for trial in running:
                self._end(late, trial)

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Sets whether Ray Tune continues the trial if its worker dies."""
        self._allow(trial)

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Sets whether Ray Tune continues the trial if its next worker dies before it starts the trial."""
        self._allow(trial)

    def _allow(self, trial: TuneTrial) -> None:
        lost = num_losses(self._recorder.trial(trial.config["trial"]))
        goes_on(trial, is_allowed=lost < self._retries)

    def _end(self, late: SilentTrial, trial: TuneTrial) -> None:
        actor = trial.temporary_state.ray_actor
        if actor is None:
            return
        logger.warning('trial=%s decision=end-worker reason="%s"', late.name, late.reason)
        if late.is_again:
            self._recorder.fail(late.name, kind=FailureKind.TIMED_OUT, reason=late.reason)
        else:
            self._listener.lose_worker(late.name, kind=FailureKind.TIMED_OUT, reason=late.reason)
        goes_on(trial, is_allowed=not late.is_again)
        ray.kill(actor, no_restart=True)
