"""Proposes trials ahead of a free worker, which then gets the one whose architecture it has traced.

Building and tracing an architecture cost a worker as much as dozens of epochs of a small model, and a worker keeps its
traces (see `trainables.worker.trace_cache`). Which trials there are, and their names, do not depend on it: only when
each begins, and where.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any

from orchestrator.journal.recorder import Recorder
from orchestrator.journal.trial import Trial, is_to_stop
from trainables.catalog.families import FAMILIES
from trainables.worker.trace_cache import MAX_KEPT, trace_key

#: Trials that wait for a worker at most.
NUM_AHEAD = 16
#: How often a trial may be passed over for later ones.
_MOST_PASSED = 2 * NUM_AHEAD


class TrialsAhead:
    """The trials that were proposed, and what is known of the traces of workers.

    Args:
        propose: Returns a new trial, which the journal has; None if there is none for now.
        recorder: Holds the study's trials.
        count: How many trials wait at most; 0: each is proposed when a worker is free.
    """

    def __init__(self, propose: Callable[[], Trial | None], *, recorder: Recorder, count: int) -> None:
        self._propose, self._recorder, self._count = propose, recorder, count
        self._waiting: list[Trial] = []
        #: By worker: what it has traced, as it keeps it, the last one last.
        self._kept: dict[Hashable, OrderedDict[Hashable, None]] = {}
        #: What workers trace now, by the names of their trials.
        self._traced_now: dict[str, Hashable] = {}
        #: Workers that have ended a trial, in the order in which they get others.
        self._free: deque[Hashable] = deque()
        self._num_passed: Counter[str] = Counter()

    def next(self) -> Trial | None:
        """Returns the trial for the worker that is free now; None if there is none for now."""
        # What a person asks for comes first.
        if (not self._count or self._recorder.state.steering.waiting) and (trial := self._propose()) is not None:
            return trial
        self._end_by_hand()
        while len(self._waiting) < self._count and (trial := self._propose()) is not None:
            self._waiting.append(trial)
        if not self._waiting:
            return None
        trial = self._chosen()
        self._waiting.remove(trial)
        del self._num_passed[trial.name]
        self._traced_now[trial.name] = _trace_of(trial)
        return trial

    def end_trial(self, trial: Trial) -> None:
        """Learns that a worker is free again, and what it keeps."""
        worker: Any = (trial.worker.get("node"), trial.worker.get("worker_pid"))
        trace = self._traced_now.pop(trial.name, None)
        if trace is None or None in worker:
            return
        kept = self._kept.setdefault(worker, OrderedDict())
        kept[trace] = None
        kept.move_to_end(trace)
        if len(kept) > MAX_KEPT:
            kept.popitem(last=False)
        self._free.append(worker)

    def _end_by_hand(self) -> None:
        for trial in filter(is_to_stop, list(self._waiting)):
            self._recorder.stop_by_hand(trial.name)
            self._waiting.remove(trial)

    def _chosen(self) -> Trial:
        """Returns the first trial whose trace the worker keeps; else one that nobody has traced; else the first."""
        worker, first = self._free.popleft() if self._free else None, self._waiting[0]
        if self._num_passed[first.name] >= _MOST_PASSED:
            return first
        own = self._kept.get(worker, OrderedDict())
        others = {trace for other, kept in self._kept.items() if other != worker for trace in kept}
        others.update(self._traced_now.values())
        fitting = [trial for trial in self._waiting if _trace_of(trial) in own]
        fitting += [trial for trial in self._waiting if _trace_of(trial) not in others]
        chosen = next(iter(fitting), first)
        if chosen is not first:
            self._num_passed[first.name] += 1
        return chosen


def _trace_of(trial: Trial) -> Hashable:
    """Returns the key of a trial's trace; users' models are traced for each trial."""
    if FAMILIES[trial.variant.family].has_own_parameters:
        return trial.name
    return trial.fold, trace_key(trial.variant)
