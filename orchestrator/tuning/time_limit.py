"""Decides when a study's time is over, from the journal's times and the driver's clock."""

from orchestrator.journal.recorder import Recorder
from orchestrator.journal.trial import Trial

_KEY = "search.minutes"


class TimeLimit:
    """How long a study searches; the sessions before the present one count.

    Args:
        recorder: Holds the study's state and the clock.
        minutes: `search.minutes`; None: as long as it takes.
    """

    def __init__(self, recorder: Recorder, *, minutes: float | None) -> None:
        self._recorder = recorder
        self._minutes = minutes

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        if self._minutes is None:
            return False
        return self._recorder.state.clock.seconds(self._recorder.now()) >= 60 * self._minutes

    def ends(self, trial: Trial) -> bool:
        """Returns whether a trial stops now: no trial stops before its first report, nor one that has ended."""
        return bool(trial.reports) and not trial.has_ended and self.is_over

    def stop(self, trial: Trial) -> None:
        """Records that the time ends a trial."""
        reason = f"{_KEY}: the {self._minutes:g} minutes of the study were over at epoch {trial.epoch}"
        self._recorder.stop_trial(trial.name, epoch=trial.epoch, reason=reason)

    def in_words(self) -> str:
        """Returns why the study has fewer trials or epochs than planned; an empty text if the time was enough."""
        state = self._recorder.state
        num_stopped = sum(map(is_stopped_by_time, state.trials.values()))
        is_short = num_stopped or len(state.trials) < state.header.num_trials
        if not is_short or not self.is_over:
            return ""
        return (
            f"{_KEY}: the {self._minutes:g} minutes were over after {len(state.trials)} of {state.header.num_trials} "
            f"trials, {num_stopped} of them stopped for it; resume with a larger {_KEY} to go on"
        )


def is_stopped_by_time(trial: Trial) -> bool:
    """Returns whether a trial ended because the study's time was over."""
    return trial.stop is not None and trial.stop.reason.startswith(_KEY)
