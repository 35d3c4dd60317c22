"""Tells which of several variants a free worker begins, by what it and others have traced.

A worker builds and traces the first variant of an architecture; further ones of it need neither, and those of other
widths no trace (see `trace_cache`). Two workers that share an architecture do that twice.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Sequence

from orchestrator.journal.trial import Process, process_of
from orchestrator.tuning.proposals.likeness import Likeness, likeness_of
from search_spaces import Variant
from trainables.worker.trace_cache import MAX_KEPT

#: Whose architecture a variant has, or whose structure; ascending by what a worker has to do beside others.
_OWN, _OWN_STRUCTURE, _NOBODYS, _STRUCTURE_OF_OTHERS, _OTHERS = range(5)


class _Traced:
    """Networks that are traced, or are being traced, some of them several times."""

    def __init__(self, networks: Iterable[Likeness] = ()) -> None:
        self._architectures, self._structures = Counter[Hashable](), Counter[Hashable]()
        for network in networks:
            self.add(network)

    def add(self, network: Likeness, number: int = 1) -> None:
        """Adds a network so often; a negative number takes it out."""
        for counts, key in ((self._architectures, network.architecture), (self._structures, network.structure)):
            counts[key] += number
            if not counts[key]:
                del counts[key]

    def has_architecture(self, network: Likeness, *, beside: "_Traced | None" = None) -> bool:
        """Returns whether a network's architecture is there, beside those of some of them."""
        own = beside._architectures[network.architecture] if beside else 0
        return self._architectures[network.architecture] > own

    def has_structure(self, network: Likeness, *, beside: "_Traced | None" = None) -> bool:
        """Returns whether a network's structure is there, beside those of some of them."""
        own = beside._structures[network.structure] if beside else 0
        return self._structures[network.structure] > own


class TraceAffinity:
    """What each worker has traced, as far as the driver knows: from the trials that it gave to them.

    Ray Tune gives the next trial to the worker that is free for longest, so this is whom a choice is made for. Where it
    is another one, or has dropped a trace, a trial takes longer to begin and comes to the same.
    """

    def __init__(self) -> None:
        #: By worker, what it has traced; the architecture unused for longest goes first, as in the worker, which keeps
        #: fewer of large ones.
        self._kept: dict[Process, OrderedDict[Hashable, Likeness]] = {}
        #: By trial: what is traced for it, and whom it was given to; None: a worker that nobody knows yet.
        self._at_work: dict[str, tuple[Likeness, Process | None]] = {}
        #: The workers whose trials have ended, the one free for longest first; None: one that nobody knows.
        self._free: list[Process | None] = []
        #: All that is kept and at work.
        self._traced = _Traced()

    def begin(self, trial: str, variant: Variant) -> None:
        """Notes that the next free worker gets a trial."""
        network = likeness_of(variant)
        self._at_work[trial] = network, self._free.pop(0) if self._free else None
        self._traced.add(network)

    def end(self, trial: str, worker: Process) -> None:
        """Notes that a trial has left its worker.

        Args:
            trial: Its name.
            worker: That it was with last; that of no facts where it never reported.
        """
        network, supposed = self._at_work.pop(trial)
        self._traced.add(network, -1)
        known = None if worker == process_of({}) else worker
        self._free = [*(free for free in self._free if free is None or free != known), known]
        if supposed not in (None, known) and not self._is_there(supposed):
            # Another one has done its work: it is gone.
            self._forget(supposed)
        if known is not None:
            self._keep(known, network)

    def best(self, variants: Sequence[Variant], *, num_left: int) -> int:
        """Returns the place of the variant that the next free worker begins.

        That is one of an architecture that it has traced; else one that no other worker has traced. Of these it is the
        longest, so that at a study's end nobody waits for a long one, then the nearest to what the worker has traced.
        The longest comes first of all where each worker gets one of them at most. A worker's first variant is the first
        in their order that nobody has traced the like of.

        Args:
            variants: What the worker chooses among.
            num_left: How many trials the study has yet to begin, these among them.
        """
        if len(variants) == 1:
            return 0
        worker = self._free[0] if self._free else None
        own = _Traced(() if worker is None else self._kept.get(worker, {}).values())
        are_last = num_left <= len(self._at_work)

        def rank(place: int) -> tuple[float, ...]:
            network = likeness_of(variants[place])
            distance = self._distance(network, own)
            if worker is None:
                return distance, place
            whose = distance if distance in (_OWN, _OTHERS) and not are_last else _NOBODYS
            return whose, -network.size, distance, place

        return min(range(len(variants)), key=rank)

    def _distance(self, network: Likeness, own: _Traced) -> int:
        """Returns how much a worker has to do before a variant's first step, beside what others have done already."""
        if own.has_architecture(network):
            return _OWN
        if self._traced.has_architecture(network, beside=own):
            return _OTHERS
        if own.has_structure(network):
            return _OWN_STRUCTURE
        return _STRUCTURE_OF_OTHERS if self._traced.has_structure(network, beside=own) else _NOBODYS

    def _is_there(self, worker: Process | None) -> bool:
        """Returns whether a worker is free, or supposed to be at work."""
        return worker in self._free or any(worker == other for _, other in self._at_work.values())

    def _keep(self, worker: Process, network: Likeness) -> None:
        kept = self._kept.setdefault(worker, OrderedDict())
        if network.architecture not in kept:
            kept[network.architecture] = network
            self._traced.add(network)
        kept.move_to_end(network.architecture)
        if len(kept) > MAX_KEPT:
            self._traced.add(kept.popitem(last=False)[1], -1)

    def _forget(self, worker: Process | None) -> None:
        for network in self._kept.pop(worker, {}).values():  # type: ignore[arg-type]
            self._traced.add(network, -1)
