"""Reads a run's journal record by record, also while it grows, and says what each record means to a tracker."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.errors import JournalError
from orchestrator.journal.file import Place, read_journal_from
from orchestrator.journal.records import ModelExported, Record, StudyOpened
from orchestrator.journal.study_state import StudyState, apply_read
from orchestrator.journal.trial import Trial, TrialState, index_of
from orchestrator.pareto.constraints import broken_by
from orchestrator.runs.paths import RunFolder
from orchestrator.trackers.events import (
    BestModel,
    Event,
    Scalars,
    StudyBegun,
    StudyStands,
    TrialAdded,
    TrialStands,
)
from search_spaces import Value
from trainables.patience import report_key
from trainables.reports import EpochReport

_FAILED = (TrialState.FAILED, TrialState.INFEASIBLE)
#: What is no metric stands behind a slash.
BEST, TIME, COST, TEST = "best/", "time/", "cost/", "test/"


class FollowedJournal:
    """A journal, and how far its reader is.

    Args:
        folder: The run folder.

    Attributes:
        state: What the records read so far give.
        place: Behind the last of them.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.state = StudyState()
        self.place = Place()
        self._folder = folder
        self._stands: dict[str, TrialStands] = {}
        self._study: StudyStands | None = None
        self._best: tuple[tuple[float, ...], str] | None = None

    def new(self) -> Iterator[tuple[Place, list[Event]]]:
        """Yields the place behind each record that came since the last call, and what the record means.

        Raises:
            JournalError: If the journal is damaged, or became shorter.
        """
        path = self._folder.journal
        if path.is_file() and path.stat().st_size < self.place.offset:
            raise JournalError(f"{path}: became shorter while it was read; call `convfleet track` again")
        for record, place in read_journal_from(path, after=self.place):
            num_changes, num_reports = len(self.state.changes), len(self.state.report_order)
            try:
                apply_read(self.state, record, number=place.number)
            except JournalError as exc:
                raise JournalError(f"{path}: {exc}") from exc
            self.place = place
            changed = dict.fromkeys(self.state.changes[num_changes:])
            yield place, list(self._events(record, changed=changed, num_reports=num_reports))

    def _events(self, record: Record, *, changed: Iterable[str], num_reports: int) -> Iterator[Event]:
        if isinstance(record, StudyOpened):
            yield StudyBegun(facts=_facts_of_study(record), at=record.at)
        changed = [name for name in changed if name in self._stands or _has_begun(self.state.trials[name])]
        for name in changed:
            if name not in self._stands:
                yield _added(self.state.trials[name])
        reports = self.state.report_order[num_reports:]
        for count, (name, epoch) in enumerate(reports, start=num_reports + 1):
            yield from self._reported(self.state.trials[name], epoch=epoch, count=count)
        for name in changed:
            yield from self._stand(self.state.trials[name], at=record.at)
        if isinstance(record, ModelExported):
            yield from _exported(record, root=self._folder.root)
        yield from self._study_stands(at=record.at)

    def _reported(self, trial: Trial, *, epoch: int, count: int) -> Iterator[Event]:
        """Yields the numbers of a report, and the study's best value where it is a better one."""
        header, place = self.state.header, index_of(trial, epoch)
        report, at = trial.reports[place], trial.reported_at[place]
        best = _best_of(trial, place, state=self.state)
        yield Scalars(trial=trial.name, step=epoch, values={**_numbers(report), **best}, at=at)
        known = {**trial.reports[0].cost, **report.metrics}
        if trial.replicate_of or header.metric not in known or broken_by(known, header.conditions):
            return
        key = report_key(report, **header.ranking)[:-1]
        if self._best is None or key > self._best[0]:
            self._best = (key, trial.name)
            values = {f"{BEST}{header.metric}": report.metrics[header.metric]}
            yield Scalars(trial="", step=count, values=values, at=at)

    def _stand(self, trial: Trial, *, at: float) -> Iterator[Event]:
        state = trial.state
        last = self._stands.get(trial.name)
        if last is not None and (last.state, last.reason) == (state.value, trial.reason):
            return
        stands = TrialStands(
            trial=trial.name,
            state=state.value,
            reason=trial.reason,
            has_ended=trial.has_ended,
            is_failed=state in _FAILED,
            values=_best_of(trial, len(trial.reports) - 1, state=self.state) if trial.reports else {},
            at=at if trial.ended_at is None else trial.ended_at,
        )
        self._stands[trial.name] = stands
        yield stands

    def _study_stands(self, *, at: float) -> Iterator[Event]:
        state, reason = "running", ""
        if self.state.finished is not None:
            state, reason = "finished", self.state.finished.reason
        elif self.state.paused is not None:
            state, reason = "paused", self.state.paused.reason
        best = "" if self._best is None else self._best[1]
        last = self._study
        if last is None or (last.state, last.reason, last.best_trial) != (state, reason, best):
            self._study = StudyStands(state=state, reason=reason, best_trial=best, at=at)
            yield self._study


def _facts_of_study(header: StudyOpened) -> dict[str, str | int]:
    return {
        "study": header.study,
        "study_id": header.study_id,
        "seed": header.seed,
        "objective": "; ".join(f"{goal.metric}, {goal.mode}" for goal in header.goals),
        **({"constraints": "; ".join(header.constraints)} if header.constraints else {}),
        "max_epochs": header.max_epochs,
        "trials": header.num_trials,
    }


def _has_begun(trial: Trial) -> bool:
    """Returns whether a tracker hears of a trial: a proposal may wait for long before a worker begins it."""
    return bool(trial.reports) or trial.state is not TrialState.WAITING


def _added(trial: Trial) -> TrialAdded:
    facts: dict[str, Value] = {
        "variant_id": trial.variant.variant_id,
        "replicate_of": trial.replicate_of,
        "fold": trial.fold,
        "parent": trial.parent,
        "from_epoch": trial.from_epoch,
        "reused_from": trial.reused_from,
    }
    return TrialAdded(
        trial=trial.name,
        family=trial.variant.family,
        params=dict(trial.variant.params),
        seed=trial.variant.seed,
        facts={name: value for name, value in facts.items() if value},
        at=min(trial.started_at, default=trial.proposed_at),
    )


def _numbers(report: EpochReport) -> dict[str, float]:
    """Returns the metrics of a report, its times, and what the variant costs where it says so."""
    return {
        **report.metrics,
        f"{TIME}train_seconds": report.train_seconds,
        f"{TIME}images_per_second": report.images_per_second,
        f"{TIME}overhead_seconds": sum(report.overhead_seconds.values()),
        **{f"{COST}{name}": value for name, value in report.cost.items()},
    }


def _best_of(trial: Trial, place: int, *, state: StudyState) -> dict[str, float]:
    """Returns the best value of each objective in a trial's reports up to a place."""
    found = {}
    for goal in state.header.goals:
        values = [item.metrics[goal.metric] for item in trial.reports[: place + 1] if goal.metric in item.metrics]
        if values:
            found[f"{BEST}{goal.metric}"] = max(values) if goal.mode == "max" else min(values)
    return found


def _exported(record: ModelExported, *, root: Path) -> Iterator[Event]:
    if record.test_metrics:
        values = {f"{TEST}{name}": value for name, value in record.test_metrics.items()}
        yield Scalars(trial=record.trial, step=record.epoch, values=values, at=record.at)
    if record.rank == 1:
        yield BestModel(trial=record.trial, folder=root / record.folder, at=record.at)
