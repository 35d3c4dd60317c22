"""Holds every use of Ray Tune's private parts, as they are in Ray 2.60.

The module uses them to drop ended trials, and to count a worker's death once.

Ray Tune keeps every trial for its snapshots and its own result, which convfleet does not use: some 80 kB each, a scan
of all at every step, and at the end a snapshot of all. It processes the death of a worker twice where the controller is
passing that worker to the next trial. The replaced methods are private; tests check that Ray Tune's own controller
behaves as this module says.
"""

import shutil
from typing import Any

from ray.exceptions import RayActorError
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.progress_reporter import IS_NOTEBOOK, ProgressReporter, TrialProgressCallback
from ray.tune.search import ConcurrencyLimiter


class Unsaved:
    """An object that Ray Tune's snapshots store without content: the journal holds the whole state."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class NoTuneProgress(Unsaved, TrialProgressCallback):
    """Prints nothing and keeps no trials; replaces the callback that Ray Tune adds, which keeps all trials."""

    def on_trial_result(self, *_: Any, **__: Any) -> None:
        """Prints nothing."""

    def on_trial_error(self, *_: Any, **__: Any) -> None:
        """Prints nothing."""

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Prints nothing."""


class NoTuneReport(Unsaved, ProgressReporter):
    """Shows nothing; replaces the reporter that clears the cell of a notebook and draws a table of its own."""

    def should_report(self, *_: Any, **__: Any) -> bool:
        """Returns that there is nothing to show."""
        return False

    def report(self, *_: Any, **__: Any) -> None:
        """Shows nothing."""


def tune_reporter() -> ProgressReporter | None:
    """Returns the reporter for Ray Tune: outside notebooks none, where Ray Tune would warn of one."""
    return NoTuneReport() if IS_NOTEBOOK else None


def goes_on(trial: TuneTrial, *, is_allowed: bool) -> None:
    """Sets whether Ray Tune continues a trial after its next failure.

    Args:
        trial: The trial.
        is_allowed: Whether it does.
    """
    # Ray Tune continues a trial while num_failures, the next failure included, is at most max_failures.
    trial.max_failures = trial.num_failures + int(is_allowed)


def tend(controller: Any) -> None:
    """Replaces the controller's class and drops its ended trials, between two of its steps.

    `tune.Tuner` has no argument for either. The scheduler's `choose_trial_to_run` is the one hook that Ray Tune 2.60
    calls at every step with its controller, so the scheduler calls this function from it.

    Args:
        controller: What Ray Tune passes to schedulers: a wrapper of its `TuneController`.
    """
    inner = controller._tune_controller  # seen in Ray 2.60
    count_deaths_once(inner)
    forget_ended(inner)
    follow_limit(inner)


def forget_ended(controller: Any) -> None:
    """Makes Ray Tune's controller forget the trials that have ended and left their workers.

    Args:
        controller: A `TuneController`, between two of its steps.
    """
    ended = {
        trial
        for trial in (*controller._stopped_trials, *controller._failed_trials)
        if trial not in controller._trial_to_actor
    }
    if not ended:
        return
    for trial in ended:
        for kept in (controller._stopped_trials, controller._failed_trials, controller._live_trials):
            kept.discard(trial)
        controller._trials_to_cache.discard(trial)
        controller._trial_metadata.pop(trial.trial_id, None)
        # An empty folder, unless the trial lost workers: then it has their errors, which the journal has in words.
        if trial.local_path:
            shutil.rmtree(trial.local_path, ignore_errors=True)
    # In place: callbacks hold this same list.
    controller._trials[:] = [trial for trial in controller._trials if trial not in ended]


def follow_limit(controller: Any) -> None:
    """Lets as many trials wait for workers as may run at once: Ray Tune reads that number at its start alone.

    Args:
        controller: A `TuneController`.
    """
    limiter = getattr(controller._search_alg, "searcher", None)
    if isinstance(limiter, ConcurrencyLimiter) and controller._max_pending_trials != limiter.max_concurrent:
        controller.update_max_pending_trials(limiter.max_concurrent)


class DeathsCountedOnce(TuneController):
    """Ray Tune's controller, which processes each death of a worker once."""

    def _process_trial_failure(self, trial: TuneTrial, exception: Exception) -> None:
        if isinstance(exception, RayActorError):
            self._resetting_trials.discard(trial)
            if trial.status == TuneTrial.PENDING and trial not in self._trial_to_actor:
                return  # This death is processed already: the trial waits for another worker.
        super()._process_trial_failure(trial, exception=exception)


def count_deaths_once(controller: Any) -> None:
    """Replaces the controller's class so that it processes each death of a worker once.

    Args:
        controller: A `TuneController`.
    """
    if type(controller) is TuneController:
        controller.__class__ = DeathsCountedOnce
