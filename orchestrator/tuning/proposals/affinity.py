"""Tells which of several variants a free worker begins, by what it and others have traced.

A worker builds and traces the first variant of an architecture; further ones of it need neither, and those of other
widths no trace (see `trace_cache`). Two workers that share an architecture do that twice.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from orchestrator.journal.trial import Process, process_of
from orchestrator.tuning.proposals.likeness import Likeness, likeness_of
from search_spaces import Variant
from trainables.worker.trace_cache import MAX_KEPT

#: Whose architecture a variant has, or whose structure; ascending by what a worker has to do beside others.
_OWN, _OWN_STRUCTURE, _NOBODYS, _STRUCTURE_OF_OTHERS, _OTHERS = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traced:
    """What some workers have traced, or trace now."""

    architectures: frozenset[Hashable]
    structures: frozenset[Hashable]


class TraceAffinity:
    """What each worker has traced, as far as the driver knows: from the trials that it gave to them.

    Ray Tune gives the next trial to the worker that is free for longest, so this is whom a choice is made for. Where it
    is another one, or has dropped a trace, a trial takes longer to begin and comes to the same.
    """

    def __init__(self) -> None:
        #: By worker, what it has traced; the architecture unused for longest goes first, as in the worker.
        self._kept: dict[Process, OrderedDict[Hashable, Likeness]] = {}
        #: By trial: what is traced for it, and whom it was given to; None: a worker that nobody knows yet.
        self._at_work: dict[str, tuple[Likeness, Process | None]] = {}
        #: The workers whose trials have ended, the one free for longest first.
        self._free: list[Process] = []

    def begin(self, trial: str, variant: Variant) -> None:
        """Notes that the next free worker gets a trial."""
        self._at_work[trial] = likeness_of(variant), self._free.pop(0) if self._free else None

    def end(self, trial: str, worker: Process) -> None:
        """Notes that a trial has left its worker.

        Args:
            trial: Its name.
            worker: That it was with last; that of no facts where it never reported.
        """
        traced, _ = self._at_work.pop(trial)
        if worker != process_of({}):
            kept = self._kept.setdefault(worker, OrderedDict())
            kept[traced.architecture] = traced
            kept.move_to_end(traced.architecture)
            if len(kept) > MAX_KEPT:
                kept.popitem(last=False)
        self._free = [*(free for free in self._free if free != worker), worker]

    def best(self, variants: Sequence[Variant]) -> int:
        """Returns the place of the variant that the next free worker begins.

        That is one of an architecture that it has traced; else one that no other worker at work has traced. Of these it
        is the longest, so that at a study's end nobody waits for a long one, then the nearest to what the worker has
        traced. The longest comes first of all where each worker gets one of them at most. A worker's first variant is
        the first in their order that nobody has traced the like of.
        """
        if len(variants) == 1:
            return 0
        own, others = _together(self._kept_by(self._free[:1])), self._traced_by_others()
        are_last = len(variants) <= len(self._at_work)

        def rank(place: int) -> tuple[float, ...]:
            variant = likeness_of(variants[place])
            distance = _distance(variant, own, others)
            if not self._free:
                return distance, place
            whose = distance if distance in (_OWN, _OTHERS) and not are_last else _NOBODYS
            return whose, -variant.size, distance, place

        return min(range(len(variants)), key=rank)

    def _traced_by_others(self) -> _Traced:
        at_work = [worker for _, worker in self._at_work.values() if worker is not None]
        now = [variant for variant, _ in self._at_work.values()]
        return _together([*now, *self._kept_by([*at_work, *self._free[1:]])])

    def _kept_by(self, workers: Sequence[Process]) -> list[Likeness]:
        return [variant for worker in workers for variant in self._kept.get(worker, {}).values()]


def _together(variants: Sequence[Likeness]) -> _Traced:
    return _Traced(
        architectures=frozenset(variant.architecture for variant in variants),
        structures=frozenset(variant.structure for variant in variants),
    )


def _distance(variant: Likeness, own: _Traced, others: _Traced) -> int:
    """Returns how much a worker has to do before a variant's first step, beside what others have done already."""
    if variant.architecture in own.architectures:
        return _OWN
    if variant.architecture in others.architectures:
        return _OTHERS
    if variant.structure in own.structures:
        return _OWN_STRUCTURE
    return _STRUCTURE_OF_OTHERS if variant.structure in others.structures else _NOBODYS
