"""Moves trials off nodes that are about to leave, and lets more run as nodes join; on Ray Tune's thread."""

import logging
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import ConcurrencyLimiter

from orchestrator.nodes.cluster_view import ClusterNode, ClusterView
from orchestrator.text import duration
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.tune_internals import Unsaved, goes_on
from orchestrator.tuning.worker_generations import WorkerGenerations
from trainables.reports import FailureKind

logger = logging.getLogger(__name__)

#: A trial that has not reported by then moves without: a worker that dies with its node is noticed late.
LAST_SECONDS = 3.0


class DrainedNodes(Unsaved, tune.Callback):
    """Ends workers on nodes that drain as soon as they have reported: the checkpoint is whole, and nothing is lost.

    Args:
        listener: Writes down that a trial moves.
        view: Returns the nodes as they were seen last; None where nobody looks.
        generations: Gives the next trials new workers, none of those that wait on the node.
        limiter: Holds how many trials run at once.
        slots: Returns how many trials run at once on some nodes.
    """

    def __init__(
        self,
        listener: TuneListener,
        *,
        view: Callable[[], ClusterView | None],
        generations: WorkerGenerations,
        limiter: ConcurrencyLimiter,
        slots: Callable[[ClusterView], int],
    ) -> None:
        self._listener = listener
        self._recorder = listener.recorder
        self._view = view
        self._generations = generations
        self._limiter = limiter
        self._slots = slots
        self._seen: ClusterView | None = None
        #: The address of the node of each trial's last result.
        self._places: dict[str, str] = {}
        #: Trials that have reported since their node began to drain.
        self._ready: set[str] = set()
        self._draining: dict[str, ClusterNode] = {}

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Takes a new view in, and moves the trials that can."""
        view = self._view()
        if view is not None and view is not self._seen:
            self._take(view)
        if not self._draining or self._recorder.pause_requested.is_set():
            return
        now = self._recorder.now()
        for trial in trials:
            name = trial.config["trial"]
            node = self._draining.get(self._places.get(name, ""))
            if node is None or trial.status != TuneTrial.RUNNING or node.leaves_at is None:
                continue
            if name in self._ready or node.leaves_at - now < LAST_SECONDS:
                self._move(trial, node=node, seconds=node.leaves_at - now)

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Notes where a trial is, and that it has reported from there."""
        name, place = trial.config["trial"], str(result.get("node_ip", ""))
        self._places[name] = place
        if place in self._draining:
            self._ready.add(name)

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Forgets a trial that has ended."""
        self._forget(trial.config["trial"])

    def _take(self, view: ClusterView) -> None:
        self._seen = view
        # An address with a node that stays is that of a machine that was started again.
        staying = {node.ip for node in view.nodes if node.leaves_at is None}
        draining = {node.ip: node for node in view.nodes if node.leaves_at is not None and node.ip not in staying}
        if draining.keys() - self._draining.keys():
            self._generations.renew()
        self._draining = draining
        slots = self._slots(view)
        if slots != self._limiter.max_concurrent:
            logger.info("slots=%d before=%d decision=follow-nodes", slots, self._limiter.max_concurrent)
            self._limiter.set_max_concurrency(slots)

    def _move(self, trial: TuneTrial, *, node: ClusterNode, seconds: float) -> None:
        actor = trial.temporary_state.ray_actor
        if actor is None:
            return
        name = trial.config["trial"]
        self._forget(name)
        left = f" in {duration(max(0.0, seconds))}" if seconds != float("inf") else ""
        reason = f"node {node.label} leaves the cluster{left}: the trial goes on elsewhere after epoch "
        self._listener.lose_worker(name, kind=FailureKind.MOVED, reason=f"{reason}{self._recorder.trial(name).epoch}")
        goes_on(trial, is_allowed=True)
        ray.kill(actor, no_restart=True)

    def _forget(self, name: str) -> None:
        self._places.pop(name, None)
        self._ready.discard(name)
