"""Lets Ray Tune forget trials that have ended: the journal remembers them, and Tune would walk through all of them.

Tune keeps every trial for its snapshots and its own result, which are not used here: some 80 kB each, a scan of all at
every step, and at the end a snapshot of all. What it keeps is private; a test sees its own controller let go of them.
"""

import shutil
from typing import Any

from ray.tune.progress_reporter import TrialProgressCallback

from orchestrator.journal.recorder import Unsaved


class NoTuneProgress(Unsaved, TrialProgressCallback):
    """Prints nothing and holds no trials, in place of the callback that Ray Tune would add, which holds them all."""

    def on_trial_result(self, *_: Any, **__: Any) -> None:
        """Prints nothing."""

    def on_trial_error(self, *_: Any, **__: Any) -> None:
        """Prints nothing."""

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Prints nothing."""


def forget_ended(controller: Any) -> None:
    """Makes Ray Tune's controller forget the trials that have ended and left their workers.

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
        # An empty folder, unless the trial lost workers: then it has their errors, which the journal tells in words.
        if trial.local_path:
            shutil.rmtree(trial.local_path, ignore_errors=True)
    # In place: callbacks were handed this very list.
    controller._trials[:] = [trial for trial in controller._trials if trial not in ended]
