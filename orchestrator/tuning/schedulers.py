"""Lets a study's decider speak to Ray Tune: replays the journal in it, and records its verdicts with their reasons.

Ray Tune's own rules of early stopping keep their state in objects that a resume loses, and give no reasons: its part is
to run what waits, in order.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from orchestrator.early_stopping.decider import GO_ON, Decider, Reported, Verdict, rules_of
from orchestrator.early_stopping.deciders import make_decider
from orchestrator.journal.trial import Trial, index_of, is_stopped_by_hand, is_to_stop
from orchestrator.results.ranking import broken_costs, losses_at
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.budgets import is_stopped_by_budget
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.promotions import Promotions
from orchestrator.tuning.successors import Successors
from orchestrator.tuning.tune_internals import Unsaved, has_waiting, tend
from trainables.specs.worker import WorkerSpec


class RecordedScheduler(Unsaved, FIFOScheduler):
    """Runs trials in the order Ray Tune adds them, and ends those that the decider stops, or lets wait.

    Args:
        decider: Has no reports yet.
        metric: The objective's name.
        listener: Receives the cause of each worker's death; its recorder has the journal, and writes the stops.
        successors: Puts other trials in the places of those that end for them; None: no trial does.
    """

    def __init__(
        self, decider: Decider, *, metric: str, listener: TuneListener, successors: Successors | None = None
    ) -> None:
        super().__init__()
        self.decider = decider
        self._successors = successors
        self._metric = metric
        self._listener = listener
        #: By trial: the last epoch that the decider knows.
        self._known: dict[str, int] = {}

    @cached_property
    def promotions(self) -> Promotions:
        """The trials that wait, where the decider lets any."""
        return Promotions(self.decider, self._listener.recorder)

    def replay(self) -> None:
        """Passes every report of the journal to the decider, in the order of the journal."""
        state = self._listener.recorder.state
        for name, epoch in state.report_order:
            trial = state.trials[name]
            if trial.replicate_of:
                continue
            report = trial.reports[index_of(trial, epoch)]
            if _has_had_enough(trial, epoch=epoch, listener=self._listener):
                self._listener.budgets.stop(trial)
            if epoch == trial.epoch and is_to_stop(trial):
                self._listener.recorder.stop_by_hand(name)
            is_cut = epoch == trial.epoch and (is_stopped_by_budget(trial) or is_stopped_by_hand(trial))
            if report.is_last or is_cut:
                self._complete(name, epoch=epoch, value=report.metrics[self._metric])
                continue
            verdict = self._verdict(name, epoch=epoch, value=report.metrics[self._metric])
            if epoch != trial.epoch:
                continue
            if trial.steering.is_kept_at(epoch):
                self.promotions.forget(name)
            elif verdict.waits and not trial.has_ended:
                self.promotions.hold_again(trial, reason=verdict.reason)
            # The driver may have died between a report and the stop that follows from it: the stop is recorded now.
            elif verdict.reason and (trial.has_ended or self._stop(name, verdict, epoch=epoch)):
                # As Ray Tune does: it completes a stopped trial too.
                self._complete(name, epoch=epoch, value=report.metrics[self._metric])

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Returns the first waiting trial, after `tend`: Ray Tune calls this method at every step."""
        tend(tune_controller)
        self.promotions.end_by_hand()
        # Ray Tune's rule looks at all trials, twice, at every step; at most of them none waits.
        return super().choose_trial_to_run(tune_controller) if has_waiting(tune_controller) else None

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> str:
        """Returns whether a trial continues after an epoch, and records a stop."""
        if "epoch" not in result or self._is_replicate(trial):
            return TrialScheduler.CONTINUE
        name, epoch = trial.config["trial"], result["epoch"]
        verdict = self._verdict(name, epoch=epoch, value=result[self._metric])
        if self._listener.recorder.trial(name).steering.is_kept_at(epoch):
            # The decider's state is as if it had been asked; only what it says does not count.
            self.promotions.forget(name)
            return TrialScheduler.CONTINUE
        if verdict.waits:
            # It leaves its worker, and is a new one to Ray Tune when it goes on.
            self.promotions.hold(name, epoch=epoch, reason=verdict.reason)
            return TrialScheduler.STOP
        if not verdict.stops or not self._stop(name, verdict, epoch=epoch):
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> None:
        """Passes the last report of an ended trial to the decider; one that waits has not ended."""
        is_held = self._listener.recorder.trial(trial.config["trial"]).is_held
        if "epoch" in result and not is_held and not self._is_replicate(trial):
            self._complete(trial.config["trial"], epoch=result["epoch"], value=result[self._metric])

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Passes the cause of a worker's death to the listener, before Ray Tune calls any callback."""
        self._listener.note_cause(trial)

    def _is_replicate(self, trial: TuneTrial) -> bool:
        # Replicates measure what training to the end brings; in the rungs, the leaders would count twice.
        return bool(self._listener.recorder.trial(trial.config["trial"]).replicate_of)

    def _verdict(self, name: str, *, epoch: int, value: float) -> Verdict:
        # A trial that continues from an older checkpoint reports epochs twice.
        if epoch <= self._known.get(name, 0):
            return GO_ON
        self._known[name] = epoch
        return self.decider.judge(self._reported(name, epoch=epoch, value=value))

    def _stop(self, name: str, verdict: Verdict, *, epoch: int) -> bool:
        """Records that a trial ends; returns False where it goes on, as no other can go on in its place."""
        if verdict.parents:
            return self._successors is not None and self._successors.replace(name, verdict, epoch=epoch)
        self._listener.recorder.stop_trial(name, epoch=epoch, reason=verdict.reason)
        return True

    def _complete(self, name: str, *, epoch: int, value: float) -> None:
        if epoch >= self._known.get(name, 0):
            self._known[name] = epoch
            self.decider.complete(self._reported(name, epoch=epoch, value=value))

    def _reported(self, name: str, *, epoch: int, value: float) -> Reported:
        trial, header = self._listener.recorder.trial(name), self._listener.recorder.state.header
        goals, breaks = header.goals, broken_costs(trial, conditions=header.conditions)
        losses = losses_at(trial, epoch=epoch, goals=goals) if len(goals) > 1 else None
        number = trial.number if trial.parent else trial.place
        return Reported(trial=name, number=number, epoch=epoch, value=value, losses=losses or (), breaks=breaks)


def _has_had_enough(trial: Trial, *, epoch: int, listener: TuneListener) -> bool:
    """Returns whether the newest report of the journal used a budget up, and the driver died before its stop."""
    # Budgets come before the rule: where it was asked and let the trial wait or go on, none was used up.
    was_asked = trial.is_held or (trial.promoted is not None and trial.promoted.epoch == epoch)
    is_newest = listener.recorder.state.report_order[-1] == (trial.name, epoch)
    return is_newest and not was_asked and listener.budgets.ends(trial)


def make_scheduler(spec: StudySpec, listener: TuneListener, *, worker: WorkerSpec | None = None) -> RecordedScheduler:
    """Returns the study's scheduler, in the state that follows from the journal.

    Args:
        spec: The study.
        listener: Its recorder has the journal.
        worker: What each worker receives, the URI of the run's copy in remote storage among it; None: no copy.
    """
    successors = None
    if spec.schedule.has_population:
        successors = Successors(spec, listener=listener, remote=worker.remote if worker is not None else None)
    scheduler = RecordedScheduler(
        make_decider(rules_of(spec)), metric=spec.objective.metric, listener=listener, successors=successors
    )
    scheduler.replay()
    return scheduler
