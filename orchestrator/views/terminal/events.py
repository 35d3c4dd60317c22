"""Events of a study as lines of text, each event once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.journal.records import StudyOpened
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.results import words
from orchestrator.results.from_state import VaryingParameters, session_start
from orchestrator.text import number
from trainables.reports import FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of a trial.

    Attributes:
        at: When it happened, seconds since 1970.
        text: What happened, as a line for people.
        is_end: Whether the trial ended with it.
    """

    at: float
    text: str
    is_end: bool = False


@dataclass(slots=True, kw_only=True)
class _Shown:
    """How many events of a trial an earlier call has returned."""

    num_starts: int = 0
    num_reports: int = 0
    num_losses: int = 0
    held_epoch: int = 0
    has_ended: bool = False


class Events:
    """Returns each event of a study's latest session once.

    Another thread may add to the state meanwhile.
    """

    def __init__(self) -> None:
        self._shown: dict[str, _Shown] = {}
        self._num_changes = 0
        self._varying = VaryingParameters()

    def since_last(self, state: StudyState) -> list[Event]:
        """Returns the events since the last call, in the order in which they happened."""
        since, varying = session_start(state), self._varying.of(state)
        changes = state.changes[self._num_changes :]
        self._num_changes += len(changes)
        trials = sorted((state.trials[name] for name in set(changes)), key=lambda trial: trial.number)
        events = [
            event
            for trial in trials
            for event in self._events(trial, header=state.header, varying=varying)
            if event.at >= since
        ]
        return sorted(events, key=lambda event: event.at)

    def _events(self, trial: Trial, *, header: StudyOpened, varying: Sequence[str]) -> Iterator[Event]:
        shown = self._shown.setdefault(trial.name, _Shown())
        if shown.has_ended:
            return
        # Read first: what the loops below read is at least as new, so no report is missing before the end.
        ended_at = trial.ended_at
        for at in trial.started_at[shown.num_starts :]:
            shown.num_starts += 1
            yield Event(at=at, text=_start_text(trial, at=at, is_first=shown.num_starts == 1, varying=varying))
        # The fold adds a report's time after the report itself, so the times count whole reports.
        for at in trial.reported_at[shown.num_reports :]:
            shown.num_reports += 1
            yield Event(at=at, text=_report_text(trial, num_reports=shown.num_reports, header=header))
        for loss in trial.losses[shown.num_losses :]:
            shown.num_losses += 1
            what = "moves" if loss.kind == FailureKind.MOVED else "lost its worker"
            yield Event(at=loss.at, text=f"{trial.name} {what}: {loss.reason}")
        if (held := trial.held) is not None and held.epoch > shown.held_epoch:
            shown.held_epoch = held.epoch
            yield Event(at=held.at, text=f"{trial.name} waits after epoch {held.epoch}: {held.reason}")
        if ended_at is not None:
            shown.has_ended = True
            # A resumed session may stop a trial whose last report is of an earlier one: the decision is the event.
            stop = trial.stop if trial.state is TrialState.STOPPED else None
            yield Event(at=ended_at if stop is None else stop.at, text=_end_text(trial, header=header), is_end=True)


def _start_text(trial: Trial, *, at: float, is_first: bool, varying: Sequence[str]) -> str:
    if not is_first:
        num_epochs = trial.from_epoch + sum(reported < at for reported in trial.reported_at)
        promoted = trial.promoted
        why = f": {promoted.reason}" if promoted is not None and promoted.epoch == num_epochs else ""
        return f"{trial.name} goes on after epoch {num_epochs}{why}"
    params = words.parameters(trial.variant.params, names=varying)
    where = f"on fold {trial.fold}" if trial.fold else "with another seed"
    what = f", {trial.replicate_of} again {where}" if trial.replicate_of else ""
    what = f" from {trial.parent} at epoch {trial.from_epoch}" if trial.parent else what
    return f"{trial.name} started{what}: {trial.variant.family} {params}"


def _report_text(trial: Trial, *, num_reports: int, header: StudyOpened) -> str:
    values = [report.metrics.get(header.metric) for report in trial.reports[:num_reports]]
    known = [value for value in values if value is not None]
    progress = f"{trial.name} epoch {trial.reports[num_reports - 1].epoch}/{header.max_epochs}"
    if not known:
        return progress
    best = max(known) if header.mode == "max" else min(known)
    return f"{progress} {header.metric} {number(values[-1])} (best {number(best)})"


def _end_text(trial: Trial, *, header: StudyOpened) -> str:
    if trial.failure is not None:
        is_infeasible = trial.state is TrialState.INFEASIBLE
        how = "is infeasible" if is_infeasible else f"failed ({trial.failure.kind})"
        return f"{trial.name} {how}: {trial.failure.reason}"
    if trial.state is TrialState.STOPPED:
        return f"{trial.name} stopped after epoch {trial.epoch}: {trial.reason}"
    best = trial.best_report(**header.ranking)
    if best is None:
        return f"{trial.name} completed"
    value = number(best.metrics[header.metric])
    why = f" ({trial.reason})" if trial.reason else ""
    return f"{trial.name} completed: best {header.metric} {value} at epoch {best.epoch}{why}"
