"""Holds trials at rungs and lets them go on, as the decider says: every such decision is in the journal first."""

from orchestrator.early_stopping.decider import Decider, Promoting, Promotion
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import TrialHeld, TrialPromoted
from orchestrator.journal.trial import Trial, is_to_stop

#: Why a trial goes on that waited when a person asked to keep it.
KEPT_BY_HAND = "kept by hand"


class Promotions:
    """The trials that wait at rungs. A decider that lets nobody wait has none of them.

    Ray Tune ends its own trial where one of the study's is held, which frees the worker. A promoted trial is a new one
    to Ray Tune, which goes on from the checkpoint.

    Args:
        decider: In the state that follows from the journal; None: nobody waits.
        recorder: Writes the journal.
    """

    def __init__(self, decider: Decider | None, recorder: Recorder) -> None:
        self._decider = decider if isinstance(decider, Promoting) else None
        self._recorder = recorder
        #: Trials that a person has ended while they waited, and of which the search does not know yet.
        self._ended: list[Trial] = []

    @property
    def most_starts(self) -> int:
        """How often a worker starts one trial at most, lost workers aside."""
        return 1 + (self._decider.num_rungs if self._decider is not None else 0)

    @property
    def may_come(self) -> bool:
        """Whether trials are on their way that may yet make others go on."""
        if self._decider is None:
            return False
        open_trials = self._recorder.state.open_trials.values()
        return any(not trial.is_held and not trial.replicate_of for trial in open_trials)

    def hold(self, name: str, *, epoch: int, reason: str) -> None:
        """Records that a trial waits."""
        recorder = self._recorder
        if not recorder.pause_requested.is_set():
            recorder.append(TrialHeld(trial=name, epoch=epoch, reason=reason, at=recorder.now()))

    def hold_again(self, trial: Trial, *, reason: str) -> None:
        """Makes the journal and the decider agree on a trial that got to a rung and reported nothing since."""
        if trial.promoted is not None and trial.promoted.epoch == trial.epoch:
            self.forget(trial.name)
        elif not trial.is_held:
            # The driver died between the report and the record that follows from it: it is written now.
            self.hold(trial.name, epoch=trial.epoch, reason=reason)

    def first(self) -> Promotion | None:
        """Returns which waiting trial goes on first; None while none may."""
        return None if self._decider is None else self._decider.promotable()

    def kept(self) -> Promotion | None:
        """Returns a waiting trial that goes on because a person keeps it; None if there is none."""
        state = self._recorder.state
        waiting = (state.trials[name] for name in sorted(state.steering.kept.copy()))
        trial = next((trial for trial in waiting if trial.is_held), None)
        return None if trial is None else Promotion(trial=trial.name, epoch=trial.epoch, reason=KEPT_BY_HAND)

    def end_by_hand(self) -> None:
        """Ends the waiting trials whose end a person asked for."""
        state = self._recorder.state
        for trial in [state.trials[name] for name in sorted(state.steering.stopping.copy())]:
            if trial.is_held and is_to_stop(trial) and not self._recorder.pause_requested.is_set():
                self._recorder.stop_by_hand(trial.name)
                self.forget(trial.name)
                self._ended.append(trial)

    def ended_by_hand(self) -> list[Trial]:
        """Returns the trials that `end_by_hand` has ended since the last time."""
        ended, self._ended = self._ended, []
        return ended

    def promote(self, promotion: Promotion) -> Trial:
        """Records that a trial goes on, and returns it."""
        recorder, name = self._recorder, promotion.trial
        recorder.append(TrialPromoted(trial=name, epoch=promotion.epoch, reason=promotion.reason, at=recorder.now()))
        self.forget(name)
        return recorder.trial(name)

    def forget(self, name: str) -> None:
        """Takes a trial out of those that wait: the journal says that it goes on, or has ended."""
        if self._decider is not None:
            self._decider.promote(name)

    def end(self) -> list[Trial]:
        """Ends the trials that wait, as nothing is left to train, and returns them."""
        if self._decider is None:
            return []
        waiting = [trial for trial in self._recorder.state.unfinished if trial.is_held]
        for trial in waiting:
            reason = self._decider.why_left(trial.name)
            self._recorder.stop_trial(trial.name, epoch=trial.epoch, reason=reason)
        return waiting
