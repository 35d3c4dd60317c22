"""Lets Ray Tune count the death of a worker once, also while it is handed from one trial to the next.

Ray Tune 2.60 hears of such a death from the process and from the task that it was given. Told by the first, it lets the
trial go on with another worker; told by the second, it gives the waiting trial up. It also takes the trial to be with
the dead worker still. What is mended here is private there; an end-to-end test kills a worker at that very moment.
"""

from typing import Any

from ray.exceptions import RayActorError
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial


class DeathsCountedOnce(TuneController):
    """Ray Tune's controller, which hears of each death of a worker once."""

    def _process_trial_failure(self, trial: TuneTrial, exception: Exception) -> None:
        if isinstance(exception, RayActorError):
            self._resetting_trials.discard(trial)
            if trial.status == TuneTrial.PENDING and trial not in self._trial_to_actor:
                return  # It waits for another worker since the first telling.
        super()._process_trial_failure(trial, exception=exception)


def count_deaths_once(controller: Any) -> None:
    """Makes Ray Tune's controller one that hears of each death of a worker once; `Tuner` lets nobody choose its class.

    controller: A `TuneController`.
    """
    if type(controller) is TuneController:
        controller.__class__ = DeathsCountedOnce
