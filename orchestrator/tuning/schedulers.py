"""Makes Ray Tune's schedulers from the spec, records their decisions with reasons, and replays the journal in them."""

from collections.abc import Callable, Mapping
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from orchestrator.journal.study_state import StudyState
from orchestrator.study.spec import StudySpec
from orchestrator.text import told_apart
from orchestrator.tuning.budgets import is_stopped_by_budget
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.tune_internals import Unsaved, rungs_of, tend


class _KnownAs:
    """A trial under its convfleet name instead of Ray Tune's id, so that a resumed study finds it in the same rung."""

    def __init__(self, name: str) -> None:
        self.trial_id = name


class _Forgetful(FIFOScheduler):
    """Runs trials in the order Ray Tune adds them, and makes the controller drop trials that have ended."""

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Returns the first waiting trial, after `tend`: Ray Tune calls this method at every step."""
        tend(tune_controller)
        return super().choose_trial_to_run(tune_controller)


class RecordedFifo(Unsaved, _Forgetful):
    """Runs every trial to its end.

    Args:
        listener: Receives the cause of each worker's death.
    """

    def __init__(self, listener: TuneListener) -> None:
        super().__init__()
        self._listener = listener

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Passes the cause of a worker's death to the listener, before Ray Tune calls any callback."""
        self._listener.note_cause(trial)


class RecordedAsha(Unsaved, _Forgetful, AsyncHyperBandScheduler):
    """Asynchronous successive halving by epoch, each stop recorded with its reason.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934; Ray Tune's
    implementation, which stops trials instead of pausing them.

    Args:
        spec: The study.
        listener: Receives the cause of each worker's death; its recorder writes the stops.
    """

    def __init__(self, spec: StudySpec, *, listener: TuneListener) -> None:
        super().__init__(
            time_attr="epoch",
            metric=spec.objective.metric,
            mode=spec.objective.mode,
            max_t=spec.schedule.epochs,
            grace_period=spec.schedule.grace,
            reduction_factor=spec.schedule.reduction_factor,
        )
        self._listener = listener
        self._spec = spec
        self._replay(listener.recorder.state)

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Adds a trial under its convfleet name."""
        super().on_trial_add(tune_controller, _KnownAs(trial.config["trial"]))

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> str:
        """Returns whether a trial continues after an epoch, and records a stop."""
        if "epoch" not in result:
            return TrialScheduler.CONTINUE
        decision, reason = self._judge(trial.config["trial"], result)
        if decision == TrialScheduler.STOP:
            self._listener.recorder.stop_trial(trial.config["trial"], epoch=result["epoch"], reason=reason)
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> None:
        """Adds a finished trial to the last rung it reached."""
        super().on_trial_complete(tune_controller, _KnownAs(trial.config["trial"]), result)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Passes the cause of a worker's death to the listener; the trial's reports stay in its rungs."""
        self._listener.note_cause(trial)

    def on_trial_remove(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Does nothing: the reports of a removed trial stay in its rungs."""

    def _judge(self, name: str, result: Mapping[str, Any]) -> tuple[str, str]:
        rung = self._open_rung(name, epoch=result["epoch"])
        decision = super().on_trial_result(None, _KnownAs(name), result)
        if decision != TrialScheduler.STOP or rung is None:
            return decision, ""
        cutoff, num_before = rung
        if num_before < self._spec.schedule.rivals:
            # Too few to be judged against; the report stays in its rung.
            return TrialScheduler.CONTINUE, ""
        metric, share = self._spec.objective.metric, f"1/{self._spec.schedule.reduction_factor:g}"
        value, limit = told_apart(result[metric], cutoff)
        return decision, (
            f"asha: {metric} {value} at epoch {result['epoch']} is outside the best {share} of the "
            f"{num_before} trials that got there before (cut-off {limit})"
        )

    def _open_rung(self, name: str, *, epoch: int) -> tuple[float, int] | None:
        """Returns (cut-off, trials so far) of the rung that judges this report, if one does.

        Ray Tune judges a report at the highest rung that the report reaches and that does not hold its trial yet.
        """
        for rung in rungs_of(self):
            if epoch >= rung.milestone and name not in rung.recorded:
                return None if rung.cutoff is None else (rung.cutoff, len(rung.recorded))
        return None

    def _replay(self, state: StudyState) -> None:
        """Passes every report of the journal to the scheduler, in the order of the journal."""
        for trial in state.trials.values():
            super().on_trial_add(None, _KnownAs(trial.name))
        for name, epoch in state.report_order:
            trial = state.trials[name]
            report = trial.reports[epoch - 1]
            result = {"epoch": epoch, **report.metrics}
            if report.is_last or (epoch == trial.epoch and is_stopped_by_budget(trial)):
                super().on_trial_complete(None, _KnownAs(name), result)
                continue
            decision, reason = self._judge(name, result)
            if decision != TrialScheduler.STOP or epoch != trial.epoch:
                continue
            # As Ray Tune does: it completes a stopped trial too, and so adds it to a lower rung that it had skipped.
            super().on_trial_complete(None, _KnownAs(name), result)
            if not trial.has_ended:
                # The driver died between a report and the stop that follows from it: the stop is recorded now.
                self._listener.recorder.stop_trial(name, epoch=epoch, reason=reason)


SCHEDULERS: dict[str, Callable[[StudySpec, TuneListener], TrialScheduler]] = {
    "none": lambda spec, listener: RecordedFifo(listener),
    "asha": lambda spec, listener: RecordedAsha(spec, listener=listener),
}


def make_scheduler(spec: StudySpec, listener: TuneListener) -> TrialScheduler:
    """Returns the study's scheduler, in the state that follows from the journal."""
    return SCHEDULERS[spec.schedule.algorithm](spec, listener)
