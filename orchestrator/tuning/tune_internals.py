"""Holds every use of Ray Tune's private parts, as they are in Ray 2.60.

The module uses them to drop ended trials, to count a worker's death once, to ask once for all that workers have
reported, to keep the class of the workers, and to import no tracker.

Ray Tune keeps every trial for its snapshots and its own result, which convfleet does not use: some 80 kB each, a scan
of all at every step, and at the end a snapshot of all. It processes the death of a worker twice where the controller is
passing that worker to the next trial. It asks Ray about all workers anew for each report, in a new random order. It
fetches the class of the workers from Ray's head node several times for each trial, and waits for it. To count which
of its callbacks for trackers are used, it imports every tracker that is installed. The replaced
methods are private; tests check that Ray Tune's own controller behaves as this module says.
"""

import random
import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.air._internal import usage
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError
from ray.tune import registry
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.progress_reporter import IS_NOTEBOOK, ProgressReporter, TrialProgressCallback
from ray.tune.search import ConcurrencyLimiter

#: Asking Ray about all workers takes at most one part in so many of the driver's time.
_WAITS_PER_ASKING = 9.0


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
    gather_ready(inner)
    forget_ended(inner)
    follow_limit(inner)


def has_waiting(controller: Any) -> bool:
    """Returns whether a trial waits for a worker or is paused: `FIFOScheduler` chooses among those alone.

    Args:
        controller: What Ray Tune passes to schedulers: a wrapper of its `TuneController`.
    """
    inner = controller._tune_controller
    return bool(inner._pending_trials or inner._paused_trials)


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


class ReadyTogether(RayActorManager):
    """Ray Tune's manager of workers, which asks Ray once for all events that have come, and passes them on one by one.

    Between two events the controller does all that it always does, so the study sees the same as before. Only what
    comes in the meantime waits until the events before it are processed.
    """

    #: Futures that are ready and not yet processed; those of starts and ends before those of reports.
    _ready: deque[Any]
    #: When Ray may be asked next, by the monotonic clock.
    _ask_at: float = 0.0

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._ready = deque()

    def next(self, timeout: float | None = None) -> bool:
        """Passes on one event, waits at most `timeout` seconds for it, and returns whether there was one."""
        if self._live_actors_to_kill:
            return super().next(timeout)
        self._try_start_actors()
        future = self._first_ready() or self._ask(timeout)
        if future is None:
            return False
        is_state = future in self._actor_state_events._tracked_futures
        (self._actor_state_events if is_state else self._actor_task_events).resolve_future(future)
        self._try_start_actors()
        return True

    def _first_ready(self) -> Any:
        """Returns the first event that has come; None if there is none, or its worker is gone since."""
        while self._ready:
            future = self._ready.popleft()
            if self._is_tracked(future):
                return future
        return None

    def _is_tracked(self, future: Any) -> bool:
        # An event may end a worker whose own event waits: Ray Tune has let go of it then.
        return any(future in events._tracked_futures for events in (self._actor_state_events, self._actor_task_events))

    def _ask(self, timeout: float | None) -> Any:
        """Asks Ray for all that is ready, waits for the first where nothing is, and returns it."""
        time.sleep(max(0.0, min(self._ask_at - time.monotonic(), timeout or 0.0)))
        began = time.thread_time()
        resources = self._resource_manager.get_resource_futures()
        states, tasks = list(self._actor_state_events.get_futures()), list(self._actor_task_events.get_futures())
        futures = [*resources, *states, *tasks]
        if not futures:
            time.sleep(timeout or 0.0)
            return None
        ready, _ = ray.wait(futures, num_returns=len(futures), timeout=0)
        if not ready:
            ready, _ = ray.wait(futures, num_returns=1, timeout=timeout)
        self._ask_at = time.monotonic() + _WAITS_PER_ASKING * (time.thread_time() - began)
        return self._sorted_in(ready, resources=set(resources), states=set(states))

    def _sorted_in(self, ready: list[Any], *, resources: set[Any], states: set[Any]) -> Any:
        """Keeps what is ready, and returns the first of it."""
        if not resources.isdisjoint(ready):
            self._handle_ready_resource_future()
        # No worker is always the first: Ray's order is that of the list.
        random.shuffle(ready)
        events = [future for future in ready if future not in resources]
        self._ready.extend(sorted(events, key=lambda future: future not in states))
        return self._first_ready()


def gather_ready(controller: Any) -> None:
    """Replaces the class of the controller's manager so that it asks Ray once for all events that have come.

    Args:
        controller: A `TuneController`, between two of its steps.
    """
    manager = controller._actor_manager
    if type(manager) is RayActorManager:
        manager.__class__ = ReadyTogether
        manager._ready = deque()


class RememberingRegistry(registry._Registry):  # type: ignore[misc, unused-ignore]
    """Ray Tune's registry of classes, which asks the head node once for each of them."""

    #: What was registered and asked for since, by category and name.
    _known: dict[tuple[str, str], Any]

    def register(self, category: str, key: str, value: Any) -> None:
        """Registers a class, in the place of an earlier one of its name."""
        self._known.pop((category, key), None)
        super().register(category, key, value)

    def unregister(self, category: str, key: str) -> None:
        """Forgets a class."""
        self._known.pop((category, key), None)
        super().unregister(category, key)

    def contains(self, category: str, key: str) -> bool:
        """Returns whether a class is registered."""
        return (category, key) in self._known or super().contains(category, key)

    def get(self, category: str, key: str) -> Any:
        """Returns a class, the same each time."""
        if (category, key) not in self._known:
            self._known[category, key] = super().get(category, key)
        return self._known[category, key]


def remember_classes() -> None:
    """Makes Ray Tune keep the class of the workers once it has it, in this process."""
    if type(registry._global_registry) is registry._Registry:
        registry._global_registry._known = {}
        registry._global_registry.__class__ = RememberingRegistry


@contextmanager
def trackers_not_imported() -> Iterator[None]:
    """Keeps Ray Tune meanwhile from importing trackers (Comet, MLflow, W&B), of which it would only count callbacks."""
    before = usage.tag_callbacks
    usage.tag_callbacks = lambda callbacks: False
    try:
        yield
    finally:
        usage.tag_callbacks = before
