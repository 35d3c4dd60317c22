"""Asynchronous successive halving as it was published: trials wait at rungs, and the best of a rung go on."""

import math
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.early_stopping.decider import GO_ON, Arrival, Promotion, Reported, Rules, Verdict
from orchestrator.early_stopping.rungs import halving_milestones
from orchestrator.pareto.fronts import front_ranks
from orchestrator.pareto.goals import Losses
from orchestrator.text import number

#: Trials of a rung that lack one of several objectives rank behind all fronts.
_NO_FRONT = 10**9


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Entry:
    """One trial in a rung; entries sort from the best to the worst.

    Attributes:
        loss: The main objective's value, the smaller the better.
        arrival: How many trials got there before; of equal trials the first one is better.
        trial: Its name.
        losses: With several objectives its number for each.
    """

    loss: float
    arrival: int
    trial: str
    losses: Losses = field(default=(), compare=False)


class _WaitingRung:
    """The trials that got to an epoch, the best first, and those of them that wait.

    Args:
        epoch: The rung's.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.entries: dict[str, _Entry] = {}
        self.waiting: set[str] = set()
        self._ranked: list[_Entry] = []

    def enter(self, report: Reported, *, sign: float) -> None:
        """Adds a trial that is not in the rung."""
        entry = _Entry(loss=-sign * report.value, arrival=len(self.entries), trial=report.trial, losses=report.losses)
        self.entries[report.trial] = entry
        insort(self._ranked, entry)
        if report.losses:
            self._ranked = _by_fronts(self.entries.values())

    def best(self, count: int) -> list[_Entry]:
        """Returns the best trials, the best first."""
        return self._ranked[:count]


class PromotingAsha:
    """Lets a trial wait at each rung until it is among the best 1/reduction_factor of those that got there.

    Rungs stand at grace_epochs, times reduction_factor, times that again, each rounded up to a whole epoch and below
    max_epochs. Of n trials that got to a rung the best floor(n / reduction_factor) go on, each once: a trial that went
    on and was overtaken later stays where it is. Nobody goes on from a rung before min_rivals others got there as well.
    Of equal values the one that came first is better. What failed or ended at a rung counts there as any other.

    As in algorithm 2 (`get_job`), a free worker gets the best trial that may go on from the highest rung that has one,
    else a new trial. A trial that may go on as it reports keeps its worker, whatever waits elsewhere: with the default
    min_rivals this is algorithm 2 to the letter, as then at most one trial becomes promotable with each report, and the
    worker that reported is free for it. Above its last rung a trial trains to max_epochs.

    With several objectives a rung is ordered by fronts (non-dominated sorting), and within a front by the main value.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", MLSys, arXiv:1810.05934, algorithm
    2; for several objectives Schmucker et al. 2021, arXiv:2106.12639, with another order within a front.

    Args:
        rules: The study's.
    """

    def __init__(self, rules: Rules) -> None:
        schedule, self._rules = rules.schedule, rules
        milestones = halving_milestones(
            grace=schedule.grace, max_epochs=schedule.epochs, factor=schedule.reduction_factor
        )
        epochs = sorted({math.ceil(milestone) for milestone in milestones if math.ceil(milestone) < schedule.epochs})
        self._rungs = {epoch: _WaitingRung(epoch) for epoch in epochs}
        #: By trial: the epoch of the rung at which it waits.
        self._waits_at: dict[str, int] = {}

    @property
    def num_rungs(self) -> int:
        """How often a trial can wait at most."""
        return len(self._rungs)

    @property
    def milestones(self) -> list[list[float]]:
        """The epochs of the rungs, ascending, of its one ladder."""
        return [list(map(float, self._rungs))]

    def arrival(self, report: Reported) -> Arrival | None:
        """Returns the rung that a report gets to, and what a trial must surpass to go on from it at once."""
        rung = self._rungs.get(report.epoch)
        if rung is None or report.trial in rung.entries:
            return None
        schedule, num_before = self._rules.schedule, len(rung.entries)
        best = rung.best(math.floor((num_before + 1) / schedule.reduction_factor))
        is_decided = best and num_before >= schedule.rivals and not report.losses
        cutoff = -self._rules.sign * best[-1].loss if is_decided else None
        return Arrival(milestone=float(rung.epoch), num_before=num_before, cutoff=cutoff)

    def judge(self, report: Reported) -> Verdict:
        """Returns whether a trial waits; one that is among the best of the rung that it gets to goes on."""
        rung = self._entered(report)
        if rung is None:
            return GO_ON
        if any(entry.trial == report.trial for entry in self._going_on(rung)):
            return GO_ON
        rung.waiting.add(report.trial)
        self._waits_at[report.trial] = rung.epoch
        return Verdict(
            waits=True,
            reason=f"asha: waits at epoch {rung.epoch} until it is among the best {self._share} of those that got "
            "there",
        )

    def complete(self, report: Reported) -> None:
        """Takes the last report of a trial: it counts at its rung, and waits no more."""
        self._entered(report)

    def promotable(self) -> Promotion | None:
        """Returns the best trial that waits where it may go on, of the highest rung that has one."""
        for rung in reversed(self._rungs.values()):
            if not rung.waiting:
                continue
            going_on = self._going_on(rung)
            for place, entry in enumerate(going_on, start=1):
                if entry.trial in rung.waiting:
                    value = number(-self._rules.sign * entry.loss)
                    reason = (
                        f"asha: {self._rules.metric} {value} at epoch {rung.epoch} is number {place} of the "
                        f"{len(rung.entries)} trials that got there, of which the best {self._share} go on"
                    )
                    return Promotion(trial=entry.trial, epoch=rung.epoch, reason=reason)
        return None

    def promote(self, trial: str) -> None:
        """Takes a trial out of those that wait."""
        epoch = self._waits_at.pop(trial, None)
        if epoch is not None:
            self._rungs[epoch].waiting.discard(trial)

    def why_left(self, trial: str) -> str:
        """Returns why a trial that still waits ends, in words."""
        rung, least = self._rungs[self._waits_at[trial]], self._rules.schedule.rivals + 1
        waited, count = f"asha: it waited at epoch {rung.epoch}", len(rung.entries)
        if count < least:
            return f"{waited}, which {count} trials got to, and {least} have to before one goes on"
        return f"{waited} and never was among the best {self._share} of the {count} trials that got there"

    @property
    def _share(self) -> str:
        return f"1/{self._rules.schedule.reduction_factor:g}"

    def _entered(self, report: Reported) -> _WaitingRung | None:
        """Returns the rung that a report is the first of a trial at; None if there is none."""
        # What reports goes on, whether or not a promotion was passed before, and what has ended waits no more.
        self.promote(report.trial)
        rung = self._rungs.get(report.epoch)
        if rung is None or report.trial in rung.entries:
            return None
        rung.enter(report, sign=self._rules.sign)
        return rung

    def _going_on(self, rung: _WaitingRung) -> list[_Entry]:
        """Returns the trials of a rung that go on or did so, the best first."""
        count, schedule = len(rung.entries), self._rules.schedule
        return rung.best(math.floor(count / schedule.reduction_factor)) if count > schedule.rivals else []


def _by_fronts(entries: Iterable[_Entry]) -> list[_Entry]:
    """Returns the trials of a rung by their fronts, those of a front by their main values."""
    known = [entry for entry in entries if entry.losses]
    fronts = dict(zip((entry.trial for entry in known), front_ranks([entry.losses for entry in known]), strict=True))
    return sorted(entries, key=lambda entry: (fronts.get(entry.trial, _NO_FRONT), entry))
