"""Decides when new processes replace worker processes."""

from collections.abc import Mapping
from typing import Any

from orchestrator.study.sections import Resources

#: `trials_per_worker: auto` replaces a worker that holds so much more memory than after its first report.
GROWTH_MB = 1000.0


class WorkerGenerations:
    """Counts generations of workers: trials of a later generation get new processes.

    A trial of a new generation asks Ray for other resources than those before (see `resources.trial_request`), so Ray
    Tune cannot give it a process of an earlier generation, and ends those processes once no trial waits for them.

    Args:
        resources: The study's section; `trials_per_worker` sets how long a worker lives.
        num_concurrent: The number of trials that run at the same time.
    """

    def __init__(self, resources: Resources, *, num_concurrent: int) -> None:
        self._trials_per_worker = resources.trials_per_worker
        self._num_concurrent = num_concurrent
        self._num_trials = 0
        #: By process: its memory after its first report, in MB.
        self._first_mb: dict[tuple[Any, Any], float] = {}
        #: Generations that began for another reason than the number of their trials.
        self._num_renewed = 0

    def next(self) -> int:
        """Returns the generation of the next trial, counted from 0."""
        number, self._num_trials = self._num_trials, self._num_trials + 1
        if self._trials_per_worker == "auto":
            return self._num_renewed
        return number // (self._trials_per_worker * self._num_concurrent) + self._num_renewed

    def renew(self) -> None:
        """Starts a new generation now."""
        self._num_renewed += 1
        # A new generation replaces all workers of this one; workers that remain for a while get a new first value.
        self._first_mb.clear()

    def observe(self, worker: Mapping[str, Any]) -> None:
        """Starts a new generation if the memory in a worker's report has grown too much."""
        memory_mb = worker.get("memory_mb")
        if memory_mb is None or self._trials_per_worker != "auto":
            return
        process = (worker.get("node"), worker.get("worker_pid"))
        if memory_mb - self._first_mb.setdefault(process, memory_mb) > GROWTH_MB:
            self.renew()
