"""Folds the records of a journal into the state of the study."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.errors import JournalError
from orchestrator.journal.record_checks import check_record
from orchestrator.journal.records import (
    JOURNAL_SCHEMA,
    EnsembleExported,
    EpochReported,
    ModelExported,
    Record,
    SessionStarted,
    StudyExtended,
    StudyFinished,
    StudyOpened,
    StudyPaused,
    TrialProposed,
    TrialReplaced,
    TrialReused,
    TrialStopped,
)
from orchestrator.journal.session_clock import SessionClock
from orchestrator.journal.steering import Steering
from orchestrator.journal.steering_records import SteeringRecord
from orchestrator.journal.trial import Trial, TrialRecord, add_report, apply_to_trial, index_of, is_stopped_by_hand
from search_spaces import Variant
from trainables.patience import reason_to_end
from trainables.reports import EpochReport


@dataclass(slots=True, kw_only=True)
class StudyState:
    """The whole study, as the journal has it.

    Attributes:
        num_records: How many records were applied.
        trials: By name, in the order they were proposed.
        extensions: The extensions of the study, in order; `header` has its present settings.
        report_order: (trial, epoch) of every report, in the order of the journal.
        open_trials: The trials that have not ended, by name, in the order they were proposed.
        ensembles: The last exported ensemble of each method.
        changes: Names of trials, one for every record that changed one: a reader that keeps an earlier length of this
            list finds the trials changed since without reading all of them.
        num_ended_before: How many trials of the search had ended when the session began, or were copied from another
            run since.
        replicates: The names of each trial's replicates, in the order they were proposed.
        num_replaced: How many trials of the population another trial took the place of.
        is_extended: Whether no session has begun since the last extension.
        is_active: Whether the last session ended neither paused nor finished (its driver may still have died).
        clock: How long drivers were at work on the study.
        closed_at: When sessions ended, paused or finished, seconds since 1970; ascending.
        longest_report_seconds: The time of the slowest report, since its trial began, continued or reported; None
            before the first report.
        steering: What people asked of the study from outside its driver, and wrote about it.
    """

    opened: StudyOpened | None = None
    trials: dict[str, Trial] = field(default_factory=dict)
    sessions: list[SessionStarted] = field(default_factory=list)
    extensions: list[StudyExtended] = field(default_factory=list)
    paused: StudyPaused | None = None
    finished: StudyFinished | None = None
    exports: list[ModelExported] = field(default_factory=list)
    ensembles: dict[str, EnsembleExported] = field(default_factory=dict)
    report_order: list[tuple[str, int]] = field(default_factory=list)
    open_trials: dict[str, Trial] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    num_ended_before: int = 0
    replicates: dict[str, list[str]] = field(default_factory=dict)
    num_replaced: int = 0
    is_extended: bool = False
    num_records: int = 0
    last_at: float = 0.0
    clock: SessionClock = field(default_factory=SessionClock)
    closed_at: list[float] = field(default_factory=list)
    longest_report_seconds: float | None = None
    steering: Steering = field(default_factory=Steering)

    @property
    def header(self) -> StudyOpened:
        """The study's first record, with the values of later extensions.

        Raises:
            JournalError: If the journal is empty.
        """
        if self.opened is None:
            raise JournalError("the journal is empty: the study was never opened; run it again in a new folder")
        return self.opened

    @property
    def is_active(self) -> bool:
        """Whether the last session is not known to have ended."""
        return bool(self.sessions) and self.paused is None and self.finished is None

    @property
    def unfinished(self) -> list[Trial]:
        """The trials that have not ended, in the order they were proposed."""
        return list(self.open_trials.values())

    @property
    def num_ended(self) -> int:
        """How many trials have ended."""
        return len(self.trials) - len(self.open_trials)

    def apply(self, record: Record) -> None:
        """Applies one record.

        Raises:
            JournalError: If the record contradicts the records before it.
        """
        check_record(record)
        if isinstance(record, StudyOpened) == (self.opened is not None):
            twice = "the study is opened twice" if self.opened else "the first record does not open the study"
            raise JournalError(twice)
        if not isinstance(record, EpochReported) and isinstance(record, SteeringRecord):
            _steer(self, record)
            return
        match record:
            case StudyOpened():
                _demand_schema(record)
                self.opened = record
            case SessionStarted():
                self._start_session(record)
            case StudyExtended():
                self._extend(record)
            case TrialProposed():
                self._propose(record)
            case TrialReused():
                self._reuse(record)
            case TrialReplaced():
                _replace(self, record)
            case StudyPaused():
                self.paused = record
                self.closed_at.append(record.at)
                self.clock.end(record.at)
                self._take_trials_from_workers()
            case StudyFinished():
                self.finished = record
                self.closed_at.append(record.at)
                self.clock.end(self.last_at)
            case ModelExported() | EnsembleExported():
                # The search ends with its last trial: exports do not count.
                self.clock.end(self.last_at)
                _add_export(self, record)
            case _:
                self._apply_to_its_trial(record)
        self.num_records += 1
        self.last_at = record.at

    def _apply_to_its_trial(self, record: TrialRecord) -> None:
        if record.trial not in self.trials:
            raise JournalError(f"a record names trial {record.trial!r}, which was never proposed")
        trial = self.trials[record.trial]
        if isinstance(record, EpochReported) and self.header.metric not in record.report.get("metrics", ()):
            raise JournalError(f"the metrics of trial {trial.name} lack the objective's, {self.header.metric}")
        since = trial.silent_since
        apply_to_trial(trial, record)
        self._changed(trial)
        if isinstance(record, EpochReported):
            self.report_order.append((trial.name, trial.epoch))
            if since is not None:
                self.longest_report_seconds = max(self.longest_report_seconds or 0.0, record.at - since)

    def _start_session(self, record: SessionStarted) -> None:
        self.sessions.append(record)
        # A driver that was killed leaves no end: its last record counts as such.
        self.clock.end(self.last_at)
        self.clock.begin(record.began_at or record.at)
        self.is_extended = False
        self.paused = self.finished = None
        self._take_trials_from_workers()
        for trial in self.trials.values():
            trial.num_losses_before = len(trial.losses)
        self.num_ended_before = sum(trial.has_ended and not trial.replicate_of for trial in self.trials.values())

    def _extend(self, record: StudyExtended) -> None:
        self.opened = replace(
            self.header,
            study_id=record.study_id,
            max_epochs=record.max_epochs,
            num_trials=record.num_trials,
            replicates=record.replicates,
            leaders=record.leaders,
            folds=record.folds,
        )
        self.extensions.append(record)
        self.clock.end(self.last_at)
        self.is_extended = True
        self.paused = self.finished = None
        self._take_trials_from_workers()
        for trial in self.trials.values():
            _let_go_on(trial, before=list(inherited_reports(self, trial)), header=self.header)
        self.open_trials.clear()  # the loop below adds the unfinished ones in their old order
        for trial in self.trials.values():
            self._changed(trial)

    def _reuse(self, record: TrialReused) -> None:
        self._propose(TrialProposed(trial=record.trial, number=record.number, variant=record.variant, at=record.at))
        trial = self.trials[record.trial]
        trial.reused_from = f"{record.source}:{record.source_trial}"
        trial.started_at = list(record.started_at)
        trial.worker = dict(record.worker)
        for mapping, at in zip(record.reports, record.reported_at, strict=True):
            add_report(trial, EpochReport.from_json(mapping), at=at, worker=record.worker)
            self.report_order.append((trial.name, trial.epoch))
        self._changed(trial)
        self.num_ended_before += trial.has_ended

    def _propose(self, record: TrialProposed, **lineage: Any) -> None:
        if record.trial in self.trials:
            raise JournalError(f"trial {record.trial} is proposed twice")
        if of := record.replicate_of:
            if of not in self.trials or self.trials[of].replicate_of:
                raise JournalError(f"trial {record.trial} replicates {of!r}, which is no trial of the search")
            self.replicates.setdefault(of, []).append(record.trial)
        if record.fold and (not of or record.fold not in self.header.folds[1:]):
            raise JournalError(f"trial {record.trial} validates on fold {record.fold}, which is none of the study's")
        num_others = sum(map(len, self.replicates.values())) - bool(of) + self.num_replaced
        trial = Trial(
            name=record.trial,
            number=record.number,
            variant=Variant.from_json(record.variant),
            proposed_at=record.at,
            replicate_of=record.replicate_of,
            num_others_before=num_others + record.number - len(self.trials),
            fold=record.fold,
            **lineage,
        )
        self.trials[record.trial] = trial
        if trial.is_of_search:
            self.steering.meet(trial)
        self._changed(trial)

    def _take_trials_from_workers(self) -> None:
        for trial in self.trials.values():
            trial.is_with_worker = False
        for trial in self.unfinished:
            self._changed(trial)

    def _changed(self, trial: Trial) -> None:
        """Notes that a record changed a trial."""
        if trial.has_ended:
            self.open_trials.pop(trial.name, None)
        else:
            self.open_trials[trial.name] = trial
        # Last: a reader on another thread that sees the name here also sees the whole change.
        self.changes.append(trial.name)


def search_alone(state: StudyState) -> StudyState:
    """Returns a study as it would be without its replicates; the study itself where it has none.

    What the replicates took of the time stays in its clock. Another thread may add to the state meanwhile.
    """
    if not state.replicates:
        return state
    trials = {trial.name: trial for trial in list(state.trials.values()) if not trial.replicate_of}
    return replace(
        state,
        trials=trials,
        replicates={},
        report_order=[entry for entry in list(state.report_order) if entry[0] in trials],
        open_trials={name: trial for name, trial in list(state.open_trials.items()) if name in trials},
        changes=[name for name in list(state.changes) if name in trials],
    )


def inherited_reports(state: StudyState, trial: Trial) -> Iterator[EpochReport]:
    """Yields the reports of a trial's forebears up to the checkpoint that it began from, the first epoch first."""
    if trial.parent:
        parent = state.trials[trial.parent]
        yield from inherited_reports(state, parent)
        yield from parent.reports[: index_of(parent, trial.from_epoch) + 1]


def _demand_schema(record: StudyOpened) -> None:
    if record.schema != JOURNAL_SCHEMA:
        raise JournalError(
            f"the journal has schema {record.schema!r}, expected {JOURNAL_SCHEMA}; use the version of convfleet that "
            "wrote it (see environment.json)"
        )


def _steer(state: StudyState, record: SteeringRecord) -> None:
    """Applies what a person asked for.

    No driver need be at work when a person writes a note, so the time of the record says nothing of the study's time.
    """
    if trial := state.steering.apply(record, state.trials):
        state._changed(trial)
    state.num_records += 1


def _add_export(state: StudyState, record: ModelExported | EnsembleExported) -> None:
    """Adds an export, in the place of an earlier one of its rank or method."""
    if isinstance(record, EnsembleExported):
        state.ensembles[record.method] = record
    else:
        state.exports = [*(item for item in state.exports if item.rank != record.rank), record]


def _replace(state: StudyState, record: TrialReplaced) -> None:
    """Ends a trial, and adds the one that goes on in its place."""
    parent, replaced = state.trials.get(record.parent), state.trials.get(record.replaces)
    if replaced is None or replaced.has_ended or replaced.epoch != record.epoch:
        raise JournalError(f"trial {record.trial} replaces {record.replaces!r}, which does not train at that epoch")
    if parent is None or parent is replaced or not parent.from_epoch < record.from_epoch <= parent.epoch:
        raise JournalError(f"trial {record.trial} goes on from an epoch that {record.parent!r} has not trained")
    state._propose(
        TrialProposed(trial=record.trial, number=record.number, variant=record.variant, at=record.at),
        parent=record.parent,
        from_epoch=record.from_epoch,
        replaces=record.replaces,
        inherited_cost=parent.reports[0].cost,
    )
    state.num_replaced += 1
    replaced.replaced_by = record.trial
    replaced.stop = TrialStopped(trial=replaced.name, epoch=record.epoch, reason=record.reason, at=record.at)
    state._changed(replaced)


def _let_go_on(trial: Trial, *, before: Sequence[EpochReport], header: StudyOpened) -> None:
    """Makes a trial unfinished that ended only because the study did before the extension.

    It waited at a rung until nothing else was left to train, or it reached the study's last epoch.
    """
    if trial.held is not None and not is_stopped_by_hand(trial):
        trial.stop = None
    if not trial.reports or not trial.reports[-1].is_last or trial.reports[-1].reason:
        return
    if trial.epoch < header.max_epochs:
        # The trial's patience was not checked after its last epoch, as the trial ended anyway.
        given, margin = trial.variant.params.get("patience"), trial.variant.params.get("min_delta")
        patience = given if isinstance(given, int) else 0
        min_delta = float(margin) if isinstance(margin, int | float) else 0.0
        reason = reason_to_end(
            [*before, *trial.reports],
            metric=header.metric,
            mode=header.mode,
            patience=patience,
            min_delta=min_delta,
        )
        trial.reports[-1] = replace(trial.reports[-1], is_last=bool(reason), reason=reason)


def take_report(state: StudyState, name: str, report: EpochReport, *, worker: Mapping[str, Any], at: float) -> None:
    """Applies a report that no file holds and nothing needs to check, as an `EpochReported` of it would be applied.

    Args:
        state: A simulation's.
        name: Of a trial that is at work.
        report: The trial's next one, with the objective.
        worker: Its worker's facts.
        at: When it comes.
    """
    trial = state.trials[name]
    since = trial.silent_since
    add_report(trial, report, at=at, worker=worker)
    trial.worker = dict(worker)
    state._changed(trial)
    state.report_order.append((name, report.epoch))
    if since is not None:
        state.longest_report_seconds = max(state.longest_report_seconds or 0.0, at - since)
    state.num_records += 1
    state.last_at = at


def fold(records: Iterable[Record]) -> StudyState:
    """Returns the state of the study that follows from the records.

    Raises:
        JournalError: If a record contradicts those before it or cannot be true; the message has its number.
    """
    state = StudyState()
    for number, record in enumerate(records, start=1):
        apply_read(state, record, number=number)
    return state


def apply_read(state: StudyState, record: Record, *, number: int) -> None:
    """Applies a record that a file holds.

    Args:
        state: What the records before it gave.
        record: The next one.
        number: Its number in the journal, from 1.

    Raises:
        JournalError: If it contradicts those before it or cannot be true; the message has its number.
    """
    try:
        state.apply(record)
    except (JournalError, TypeError, ValueError, AttributeError, KeyError, RecursionError) as exc:
        raise JournalError(
            f"record {number} cannot be true ({exc}); the journal was changed by something else; restore it from a "
            "backup, or run the study anew in a new folder"
        ) from exc
