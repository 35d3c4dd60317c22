"""Ray Tune's schedulers from the spec, with their reasons in words; warmed by replaying the journal."""

from collections.abc import Callable, Mapping
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from orchestrator.journal.study_state import StudyState
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.tune_internals import Unsaved, rungs_of, tend


class _KnownAs:
    """A trial under its own name instead of Ray Tune's id, so that a resumed study finds it in the same rung."""

    def __init__(self, name: str) -> None:
        self.trial_id = name


class _Forgetful(FIFOScheduler):
    """Runs trials in the order they come, with a short memory for those that have ended."""

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Returns the first trial that waits. Ray Tune calls this at every step, so the controller is tended first."""
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
        """Hands the cause of a worker's death to the listener, before Ray Tune calls any callback."""
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
            max_t=spec.schedule.max_epochs,
            grace_period=spec.schedule.grace_epochs,
            reduction_factor=spec.schedule.reduction_factor,
        )
        self._listener = listener
        self._spec = spec
        self._replay(listener.recorder.state)

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Takes up a trial."""
        super().on_trial_add(tune_controller, _KnownAs(trial.config["trial"]))

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> str:
        """Returns whether a trial goes on after an epoch, and records a stop."""
        if "epoch" not in result:
            return TrialScheduler.CONTINUE
        decision, reason = self._judge(trial.config["trial"], result)
        if decision == TrialScheduler.STOP:
            self._listener.recorder.stop_trial(trial.config["trial"], epoch=result["epoch"], reason=reason)
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> None:
        """Enters a finished trial into the last rung it reached."""
        super().on_trial_complete(tune_controller, _KnownAs(trial.config["trial"]), result)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Forgets nothing: what a failed trial reported stays in its rungs. Hands on why its worker died."""
        self._listener.note_cause(trial)

    def on_trial_remove(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Forgets nothing: what a removed trial reported stays in its rungs."""

    def _judge(self, name: str, result: Mapping[str, Any]) -> tuple[str, str]:
        rung = self._open_rung(name, epoch=result["epoch"])
        decision = super().on_trial_result(None, _KnownAs(name), result)
        if decision != TrialScheduler.STOP or rung is None:
            return decision, ""
        cutoff, num_before = rung
        metric, share = self._spec.objective.metric, f"1/{self._spec.schedule.reduction_factor:g}"
        return decision, (
            f"asha: {metric} {result[metric]:.4f} at epoch {result['epoch']} is outside the best {share} of the "
            f"{num_before} trials that got there before (cut-off {cutoff:.4f})"
        )

    def _open_rung(self, name: str, *, epoch: int) -> tuple[float, int] | None:
        """Returns (cut-off, trials so far) of the rung that judges this report, if one does.

        Ray Tune judges a report at the highest rung that it reaches and that its trial does not stand in.
        """
        for rung in rungs_of(self):
            if epoch >= rung.milestone and name not in rung.recorded:
                return None if rung.cutoff is None else (rung.cutoff, len(rung.recorded))
        return None

    def _replay(self, state: StudyState) -> None:
        """Shows the scheduler every report of the journal, in the order they came."""
        for trial in state.trials.values():
            super().on_trial_add(None, _KnownAs(trial.name))
        for name, epoch in state.report_order:
            trial = state.trials[name]
            report = trial.reports[epoch - 1]
            result = {"epoch": epoch, **report.metrics}
            if report.is_last:
                super().on_trial_complete(None, _KnownAs(name), result)
                continue
            decision, reason = self._judge(name, result)
            if decision != TrialScheduler.STOP or epoch != trial.epoch:
                continue
            # As Ray Tune tells it: a stopped trial is also complete, and enters a lower rung that it had skipped.
            super().on_trial_complete(None, _KnownAs(name), result)
            if not trial.has_ended:
                # The driver died between a report and the stop that followed from it: the stop is made up for.
                self._listener.recorder.stop_trial(name, epoch=epoch, reason=reason)


SCHEDULERS: dict[str, Callable[[StudySpec, TuneListener], TrialScheduler]] = {
    "none": lambda spec, listener: RecordedFifo(listener),
    "asha": lambda spec, listener: RecordedAsha(spec, listener=listener),
}


def make_scheduler(spec: StudySpec, listener: TuneListener) -> TrialScheduler:
    """Returns the study's scheduler, in the state that follows from the journal."""
    return SCHEDULERS[spec.schedule.algorithm](spec, listener)
