"""What became of a trial at a rung: the scheduler's decisions about it, from the journal, and why it went on."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.early_stopping.decider import Arrival, Reported, Rules, Verdict
from orchestrator.journal.records import TrialPromoted
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.text import told_apart

WENT_ON, STOPPED, WAITS, PROMOTED = "went on", "stopped", "waits", "promoted"
COMPLETED, FAILED = "completed", "failed"
#: Why a trial went on that the rule would have ended, or let wait.
KEPT = "a person asked that early stopping lets it go on"
#: What may become of a trial at a rung.
OUTCOMES = (WENT_ON, STOPPED, WAITS, PROMOTED, COMPLETED, FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RungDecision:
    """One decision about a trial.

    Attributes:
        trial: Its name.
        epoch: After which epoch.
        at: When, seconds since 1970.
        outcome: One of `OUTCOMES`.
        reason: Why, in words; those of the journal where the scheduler stopped, held or promoted the trial.
    """

    trial: str
    epoch: int
    at: float
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEntry:
    """A trial that stood at a rung.

    Attributes:
        trial: Its name.
        bracket: The number of the rung's ladder, from 1.
        milestone: The rung's epoch.
        epoch: The epoch of the report that was judged, at least the rung's.
        value: The main objective's value in that report.
        at: When the report came, seconds since 1970.
        place: How many trials had come to a rung before, over all rungs.
        num_there: How many trials stood at the rung then, this one among them.
        rank: Its rank among them by the main objective, from 1; trials of one value have one rank.
        cutoff: The value that took a trial further at that moment; None where nobody was there before, where too few
            were for anyone to go on, at a trial's last epoch, which is not judged, and with several objectives. With
            promotion a trial had to surpass it to go on at once.
        outcome: What became of it so far, one of `OUTCOMES`.
        reason: Why, in words.
        decisions: All decisions about it at this rung, in order: one that waited may have been promoted later.
    """

    trial: str
    bracket: int
    milestone: float
    epoch: int
    value: float
    at: float
    place: int
    num_there: int
    rank: int
    cutoff: float | None
    outcome: str
    reason: str
    decisions: tuple[RungDecision, ...]


def entry_of(  # noqa: PLR0913 - what a replay knows of an arrival
    trial: Trial,
    arrival: Arrival,
    *,
    report: Reported,
    at: float,
    rank: int,
    place: int,
    rules: Rules,
    verdict: Verdict,
) -> RungEntry:
    """Returns the entry of a trial that got to a rung.

    Args:
        trial: As the journal has it now.
        arrival: The rung as it was before.
        report: What was judged.
        at: When it came.
        rank: Among those that are there.
        place: How many trials had come to a rung before.
        rules: The study's.
        verdict: What the decider said now, which explains why a trial went on.
    """
    found = [decision for decision in decisions_of(trial) if decision.epoch == report.epoch]
    has_gone_on = not found or (found[-1].outcome == WAITS and trial.epoch > report.epoch)
    if has_gone_on:
        # Where a trial that waited went on without a promotion, the study was extended.
        is_kept = bool(verdict.reason) and trial.steering.is_kept_at(report.epoch)
        reason = KEPT if is_kept else "" if verdict.reason else _why_on(arrival, report, rules=rules)
        found.append(RungDecision(trial=trial.name, epoch=report.epoch, at=at, outcome=WENT_ON, reason=reason))
    return RungEntry(
        trial=trial.name,
        bracket=arrival.bracket + 1,
        milestone=arrival.milestone,
        epoch=report.epoch,
        value=report.value,
        at=at,
        place=place,
        num_there=arrival.num_before + 1,
        rank=rank,
        cutoff=arrival.cutoff,
        outcome=found[-1].outcome,
        reason=found[-1].reason,
        decisions=tuple(found),
    )


def decisions_of(trial: Trial) -> Iterator[RungDecision]:
    """Yields what the journal says of where a trial waited, went on and ended, in its order."""
    for record in list(trial.waits):
        outcome = PROMOTED if isinstance(record, TrialPromoted) else WAITS
        yield RungDecision(trial=trial.name, epoch=record.epoch, at=record.at, outcome=outcome, reason=record.reason)
    ends = {TrialState.STOPPED: STOPPED, TrialState.COMPLETED: COMPLETED}
    outcome = ends.get(trial.state, FAILED)
    if trial.has_ended:
        # A stop that a study's later extension took back is none any more.
        at = trial.stop.at if outcome == STOPPED and trial.stop is not None else trial.ended_at
        yield RungDecision(trial=trial.name, epoch=trial.epoch, at=at or 0.0, outcome=outcome, reason=trial.reason)


def _why_on(arrival: Arrival, report: Reported, *, rules: Rules) -> str:
    """Returns why a trial went on at once, in words."""
    if arrival.num_before == 0:
        return "nobody was there before"
    if arrival.num_before < (least := rules.schedule.rivals):
        return f"only {arrival.num_before} of the {least} others that it takes to judge one were there before"
    if report.losses:
        return f"few enough of the {arrival.num_before} that were there before are on better fronts"
    if arrival.cutoff is None:
        return ""
    value, limit = told_apart(report.value, arrival.cutoff)
    if rules.sign * report.value < rules.sign * arrival.cutoff:
        return f"{rules.metric} {value} is worse than the best ({limit}), and the ladder got its next rung"
    verb = "surpasses" if rules.schedule.promotion else "reaches"
    return f"{rules.metric} {value} {verb} the cut-off ({limit})"
