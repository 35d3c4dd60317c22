"""The rungs of a study as they were judged: who stood there, what it took to go on, what became of each, and why."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.early_stopping.constrained import Constrained
from orchestrator.early_stopping.decider import (
    GO_ON,
    Arrival,
    Decider,
    Laddered,
    Reported,
    Rules,
    Verdict,
    rule_name,
)
from orchestrator.early_stopping.deciders import make_decider
from orchestrator.history.rung_entries import RungDecision, RungEntry, decisions_of, entry_of
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, index_of, is_stopped_by_hand
from orchestrator.results.ranking import broken_costs, losses_at
from orchestrator.study.sections import budget_of
from orchestrator.study.spec import Policy, StudySpec

NO_RUNGS = "the study stops no trial early, so it has no rungs"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRung:
    """A rung and the trials that stood there.

    Attributes:
        bracket: The number of its ladder, from 1.
        milestone: Its epoch: the rung judges the first report from this epoch on.
        entries: In the order in which the trials got there.
    """

    bracket: int
    milestone: float
    entries: tuple[RungEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RungBracket:
    """A ladder of rungs; only hyperband has several.

    Attributes:
        number: From 1.
        rungs: The lowest first, also those that no trial has come to.
    """

    number: int
    rungs: tuple[JudgedRung, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RungTable:
    """The rungs of a study, and what became of the trials that came to them.

    Attributes:
        rule: The rule of early stopping: `asha with promotion`.
        metric: The main objective's name.
        mode: max or min.
        reduction_factor: About one trial in so many goes on.
        min_rivals: No trial is judged before so many others have come as far.
        brackets: Empty where the rule has no rungs.
        others: Ends of trials that no rung decided: of budgets, of constraints, or of the user.
        note: Why there are no rungs, in words; empty where there are.
    """

    rule: str
    metric: str
    mode: str
    reduction_factor: float
    min_rivals: int
    brackets: tuple[RungBracket, ...] = ()
    others: tuple[RungDecision, ...] = ()
    note: str = ""

    @property
    def entries(self) -> list[RungEntry]:
        """All entries of all rungs, in the order in which the trials got there."""
        found = [entry for bracket in self.brackets for rung in bracket.rungs for entry in rung.entries]
        return sorted(found, key=lambda entry: entry.place)


def rung_table(state: StudyState, *, spec: StudySpec | Policy | None) -> RungTable | None:
    """Returns the rungs of a study as they were judged.

    The study's own rule of early stopping gets every report of the journal again, in the order of the journal; what
    became of the trials, when and why is what the journal says.

    Args:
        state: The study's.
        spec: Its study file, or those sections of it that say how the study spends; None: it cannot be read.

    Returns:
        The table, without brackets and with a note where the rule has no rungs; None without a study file.
    """
    if spec is None or state.opened is None:
        return None
    state, schedule = search_alone(state), spec.schedule
    table = RungTable(
        rule=rule_name(schedule),
        metric=state.header.metric,
        mode=state.header.mode,
        reduction_factor=float(schedule.reduction_factor),
        min_rivals=schedule.rivals,
    )
    if "auto" in (schedule.max_epochs, schedule.grace_epochs) and schedule.algorithm != "none":
        return replace(table, note="the study has not counted its images yet, from which its rungs follow")
    rules = _rules(state, spec)
    decider = make_decider(rules)
    ladder = decider.inner if isinstance(decider, Constrained) else decider
    if not isinstance(ladder, Laddered) or state.num_replaced:
        # Whatever the study file says by now, trials that went on from others lack epochs of their own.
        is_none = schedule.algorithm == "none" and not state.num_replaced
        note = NO_RUNGS if is_none else "the study compares trials without rungs"
        return replace(table, others=_others(state, known={}), note=note)
    entries = _entries(state, decider=decider, ladder=ladder, rules=rules)
    return replace(
        table, brackets=_brackets(entries, ladder.milestones), others=_others(state, known=_by_trial(entries))
    )


def _brackets(entries: Sequence[RungEntry], milestones: Sequence[Sequence[float]]) -> tuple[RungBracket, ...]:
    """Returns the ladders with their rungs, empty ones too, and who stood there."""
    rungs: dict[tuple[int, float], list[RungEntry]] = defaultdict(list)
    for entry in entries:
        rungs[entry.bracket, entry.milestone].append(entry)
    return tuple(
        RungBracket(
            number=number,
            rungs=tuple(
                JudgedRung(bracket=number, milestone=milestone, entries=tuple(rungs[number, milestone]))
                for milestone in ladder
            ),
        )
        for number, ladder in enumerate(milestones, start=1)
    )


def decisions_about(table: RungTable, trial: str) -> list[RungDecision]:
    """Returns what the scheduler decided about a trial, in the order of time, with its reasons in words.

    Args:
        table: The study's.
        trial: The trial's name.
    """
    found = [decision for entry in table.entries if entry.trial == trial for decision in entry.decisions]
    found += [decision for decision in table.others if decision.trial == trial]
    return sorted(dict.fromkeys(found), key=lambda decision: decision.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedReport:
    """A report that a decider has got again.

    Attributes:
        trial: Its trial.
        report: As the decider got it.
        at: When the journal got it.
        arrivals: The rungs that it got to, as they were before; without a cut-off where it was not judged.
        verdict: The decider's.
    """

    trial: Trial
    report: Reported
    at: float
    arrivals: tuple[Arrival, ...]
    verdict: Verdict


def replay_reports(state: StudyState, *, decider: Decider, ladder: Laddered) -> Iterator[ReplayedReport]:
    """Gives a decider the reports of a journal, as the scheduler of a resumed study does, and yields what it says.

    Args:
        state: Without replicates, which no rung holds.
        decider: Has no reports yet.
        ladder: The decider itself, or what it wraps.
    """
    metric = state.header.metric
    for name, epoch in list(state.report_order):
        trial = state.trials[name]
        place = index_of(trial, epoch)
        if place >= len(trial.reported_at):
            continue
        known = trial.reports[place]
        report = _reported(trial, epoch=epoch, value=known.metrics[metric], state=state)
        is_newest = epoch == trial.epoch
        ends_itself = known.is_last or (is_newest and _is_cut(trial))
        arrivals, verdict = [_arrival(ladder, report, is_judged=not ends_itself)], GO_ON
        if ends_itself:
            decider.complete(report)
        else:
            verdict = decider.judge(report)
            if verdict.reason and is_newest and trial.has_ended and not trial.steering.is_kept_at(epoch):
                # Ray Tune completes a stopped trial, too.
                arrivals.append(_arrival(ladder, report, is_judged=False))
                decider.complete(report)
        yield ReplayedReport(
            trial=trial,
            report=report,
            at=trial.reported_at[place],
            arrivals=tuple(arrival for arrival in arrivals if arrival is not None),
            verdict=verdict,
        )


def _is_cut(trial: Trial) -> bool:
    """Returns whether a trial ended with its last report for a budget or a person, which no rule was asked about."""
    return trial.stop is not None and (bool(budget_of(trial.stop.reason)) or is_stopped_by_hand(trial))


def _rules(state: StudyState, spec: StudySpec | Policy) -> Rules:
    """Returns what `rules_of` does of a study file, from the journal as far as the journal has it."""
    header = state.header
    return Rules(
        schedule=spec.schedule,
        metric=header.metric,
        mode=header.mode,
        seed=header.seed,
        objectives=tuple(goal.metric for goal in header.goals) if header.objectives else (),
        is_constrained=bool(header.constraints),
    )


def _arrival(ladder: Laddered, report: Reported, *, is_judged: bool) -> Arrival | None:
    # One that cannot win is in no rung.
    found = None if report.breaks else ladder.arrival(report)
    return found if found is None or is_judged else replace(found, cutoff=None)


def _reported(trial: Trial, *, epoch: int, value: float, state: StudyState) -> Reported:
    header = state.header
    losses = losses_at(trial, epoch=epoch, goals=header.goals) if len(header.goals) > 1 else None
    return Reported(
        trial=trial.name,
        number=trial.number if trial.parent else trial.place,
        epoch=epoch,
        value=value,
        losses=losses or (),
        breaks=broken_costs(trial, conditions=header.conditions),
    )


def _entries(state: StudyState, *, decider: Decider, ladder: Laddered, rules: Rules) -> list[RungEntry]:
    entries: list[RungEntry] = []
    #: By rung: the values of the trials there, the smaller the better, ascending.
    values: dict[tuple[int, float], list[float]] = defaultdict(list)
    for item in replay_reports(state, decider=decider, ladder=ladder):
        for arrival in item.arrivals:
            there = values[arrival.bracket, arrival.milestone]
            loss = -rules.sign * item.report.value
            rank = bisect_left(there, loss) + 1
            insort(there, loss)
            entries.append(
                entry_of(
                    item.trial,
                    arrival,
                    report=item.report,
                    at=item.at,
                    rank=rank,
                    place=len(entries),
                    rules=rules,
                    verdict=item.verdict,
                )
            )
    return entries


def _by_trial(entries: Sequence[RungEntry]) -> Mapping[str, set[RungDecision]]:
    found: dict[str, set[RungDecision]] = defaultdict(set)
    for entry in entries:
        found[entry.trial].update(entry.decisions)
    return found


def _others(state: StudyState, *, known: Mapping[str, set[RungDecision]]) -> tuple[RungDecision, ...]:
    """Returns the decisions of the journal that stand at no rung, in the order of time."""
    found = [
        decision
        for trial in list(state.trials.values())
        for decision in decisions_of(trial)
        if decision not in known.get(trial.name, ())
    ]
    return tuple(sorted(found, key=lambda decision: decision.at))
