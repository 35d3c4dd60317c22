"""The whole journal in words: one sentence a record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_args

from orchestrator.early_stopping.deciders import DECIDERS
from orchestrator.journal.records import (
    EnsembleExported,
    EpochReported,
    ModelExported,
    Record,
    SessionStarted,
    StudyExtended,
    StudyFinished,
    StudyOpened,
    StudyPaused,
    TrialFailed,
    TrialHeld,
    TrialNoted,
    TrialPromoted,
    TrialProposed,
    TrialReplaced,
    TrialReused,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from orchestrator.journal.steering_records import (
    AnnotationAdded,
    PauseAsked,
    StudyTagged,
    TrialKept,
    TrialStarred,
    TrialStopAsked,
    VariantAsked,
)
from orchestrator.results import words
from orchestrator.text import number, one_line, shown
from trainables.reports import FailureKind

#: What stops trials beside the rules of early stopping; reasons begin with either.
_RULES = frozenset((*DECIDERS, "constraints"))
#: Fields of a record that its sentence says in other ways.
_SAID = frozenset(("trial", "at"))
#: Fields that say a record in words, where its kind has no sentence of its own.
_SPEAKING = ("text", "reason", "change", "note")
_PLURALS = {
    "study_opened": "beginnings of the study",
    "study_extended": "extensions",
    "session_started": "sessions",
    "trial_proposed": "proposals",
    "trial_reused": "trials of other runs",
    "trial_replaced": "replacements",
    "trial_started": "starts",
    "epoch_reported": "reports",
    "trial_stopped": "stops",
    "trial_held": "waits",
    "trial_promoted": "promotions",
    "trial_failed": "failures",
    "worker_lost": "lost workers",
    "trial_noted": "notes",
    "study_paused": "pauses",
    "study_finished": "ends of the study",
    "model_exported": "exports",
    "ensemble_exported": "ensembles",
    "trial_stop_asked": "requests to stop",
    "trial_kept": "requests to go on",
    "trial_starred": "stars",
    "annotation_added": "annotations",
    "variant_asked": "asked variants",
    "pause_asked": "requests to pause",
    "study_tagged": "tags",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One record of a journal in words.

    Attributes:
        line: The line of the journal that has it, from 1.
        at: When it was written, seconds since 1970.
        kind: The record's type, as the journal names it: `trial_stopped`.
        trial: The trial that it is about; empty where it is about the study.
        text: What happened, on one line; names and reasons in it are as the run has them, so escape them for HTML.
    """

    line: int
    at: float
    kind: str
    trial: str
    text: str


@cache
def kind_of(kind: type[Any]) -> str:
    """Returns the name of a type of record as journals have it.

    >>> kind_of(TrialStopped)
    'trial_stopped'
    """
    letters = (f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
    return "".join(letters).removeprefix("_")


def _in_plain_words(kind: str) -> str:
    return kind.replace("_", " ")


#: Every kind of record, and what many of them are called.
DECISION_KINDS: Mapping[str, str] = {
    name: _PLURALS.get(name, _in_plain_words(name)) for name in map(kind_of, get_args(Record))
}


def decisions(records: Iterable[Record]) -> list[Decision]:
    """Returns each record of a journal in words.

    >>> [item.text for item in decisions([TrialStarted(trial="t0003", at=1.0), StudyFinished(at=2.0)])]
    ['t0003 started', 'the study finished']

    Args:
        records: From the journal's first on.
    """
    return Teller().add(records)


@dataclass(slots=True)
class Teller:
    """Puts records into words one after another, for a reader that follows a journal as it grows.

    Attributes:
        line: The line of the last record.
    """

    line: int = 0
    _metric: str = field(default="")
    #: By trial: the last epoch that it reported, or began from; only trials that a worker started.
    _epochs: dict[str, int] = field(default_factory=dict)

    def add(self, records: Iterable[Record]) -> list[Decision]:
        """Returns the next records of the journal in words."""
        return [self._decision(record) for record in records]

    def _decision(self, record: Record) -> Decision:
        self.line += 1
        kind: Any = type(record)
        say = _SENTENCES.get(kind)
        text = say(record) if say is not None else self._in_context(record) or _any_record(record)
        # Most texts are fine as they are, and a journal has many.
        text = text if text.isprintable() else one_line(text)
        return Decision(line=self.line, at=record.at, kind=kind_of(kind), trial=getattr(record, "trial", ""), text=text)

    def _in_context(self, record: Record) -> str:
        """Returns the sentence of a record that follows from those before it; empty for another one."""
        match record:
            case StudyOpened():
                self._metric = record.metric
                return _opened(record)
            case TrialStarted():
                return self._started(record)
            case EpochReported():
                return self._reported(record)
            case TrialReplaced():
                self._epochs[record.trial] = -record.from_epoch
                return _replaced(record)
            case TrialReused():
                self._epochs[record.trial] = len(record.reports)
                return _reused(record)
            case _:
                return ""

    def _started(self, record: TrialStarted) -> str:
        epoch = self._epochs.setdefault(record.trial, 0)
        if epoch < 0:
            # It takes another trial's place, and has that trial's checkpoint.
            self._epochs[record.trial] = -epoch
            return f"{record.trial} started after epoch {-epoch} of the trial that it goes on from"
        return f"{record.trial} goes on after epoch {epoch}" if epoch else f"{record.trial} started"

    def _reported(self, record: EpochReported) -> str:
        report = record.report
        epoch, metrics = report.get("epoch", 0), report.get("metrics", {})
        self._epochs[record.trial] = epoch
        value = metrics.get(self._metric) if self._metric else None
        said = f": {self._metric} {number(value)}" if value is not None else ""
        end = ""
        if report.get("is_last"):
            end = f"; {record.trial} is complete" + (f": {reason}" if (reason := report.get("reason")) else "")
        return f"{record.trial} reported epoch {epoch}{said}{end}"


def _opened(record: StudyOpened) -> str:
    size = f"{record.num_trials} trials of at most {record.max_epochs} epochs"
    return f"the study {record.study} began: it looks for the {words.wanted(record)} in {size}, seed {record.seed}"


def _extended(record: StudyExtended) -> str:
    return f"the study was extended: {record.change}" if record.change else "the study was extended"


def _session(record: SessionStarted) -> str:
    return f"a driver began to work, process {record.driver_pid}, for {record.slots} trials at the same time"


def _proposed(record: TrialProposed) -> str:
    where = f"on fold {record.fold}" if record.fold else "with another seed"
    again = f", {record.replicate_of} again {where}" if record.replicate_of else ""
    return f"{record.trial} was proposed{again}: {_variant(record.variant)}"


def _variant(variant: Mapping[str, Any]) -> str:
    params = variant.get("params", {})
    said = words.parameters(params) if isinstance(params, Mapping) else shown(params)
    return f"{variant.get('family', '')} {said}".strip()


def _reused(record: TrialReused) -> str:
    return (
        f"{record.trial} was copied with {len(record.reports)} epochs from {record.source_trial} of {record.source}: "
        f"{_variant(record.variant)}"
    )


def _replaced(record: TrialReplaced) -> str:
    return (
        f"{record.trial} takes the place of {record.replaces} after epoch {record.epoch} and goes on from "
        f"{record.parent} at epoch {record.from_epoch}: {record.reason}"
    )


def _stopped(record: TrialStopped) -> str:
    rule, _, rest = record.reason.partition(": ")
    if rest and rule.partition(",")[0] in _RULES:
        return f"{rule} stopped {record.trial} after epoch {record.epoch}: {rest}"
    return f"{record.trial} stopped after epoch {record.epoch}: {record.reason}"


def _held(record: TrialHeld) -> str:
    return f"{record.trial} waits after epoch {record.epoch}: {record.reason}"


def _promoted(record: TrialPromoted) -> str:
    return f"{record.trial} was promoted after epoch {record.epoch}: {record.reason}"


def _failed(record: TrialFailed) -> str:
    how = "is infeasible" if record.kind == FailureKind.INFEASIBLE else f"failed ({record.kind})"
    return f"{record.trial} {how}: {record.reason}"


def _lost(record: WorkerLost) -> str:
    if record.kind == FailureKind.MOVED:
        return f"{record.trial} moves: {record.reason}"
    how = "was silent for too long" if record.kind == FailureKind.TIMED_OUT else "was lost"
    return f"the worker of {record.trial} {how}: {record.reason}"


def _noted(record: TrialNoted) -> str:
    return f"note on {record.trial}: {record.text}"


def _paused(record: StudyPaused) -> str:
    return f"the study paused: {record.reason}" if record.reason else "the study paused"


def _finished(record: StudyFinished) -> str:
    return f"the study finished: {record.reason}" if record.reason else "the study finished"


def _exported(record: ModelExported) -> str:
    epoch = f" at epoch {record.epoch}" if record.epoch else ""
    return f"{record.trial}{epoch} was exported as number {record.rank} to {record.folder}{_tested(record)}"


def _ensemble(record: EnsembleExported) -> str:
    members = ", ".join(dict.fromkeys(str(member.get("trial")) for member in record.members))
    return f"a {record.method} ensemble of {members} was exported to {record.folder}{_tested(record)}"


def _tested(record: ModelExported | EnsembleExported) -> str:
    metrics = words.named_test_metrics(record.test_metrics)
    return f": {words.parameters(metrics)}" if metrics else ""


def _stop_asked(record: TrialStopAsked) -> str:
    return f"a person asked that {record.trial} ends"


def _kept(record: TrialKept) -> str:
    what = "lets it go on" if record.keep else "decides about it again"
    return f"a person asked for {record.trial} that early stopping {what}"


def _starred(record: TrialStarred) -> str:
    return f"a person gave {record.trial} a star" if record.starred else f"a person took the star of {record.trial}"


def _annotated(record: AnnotationAdded) -> str:
    return f"a person wrote about {record.trial or 'the study'}: {record.text}"


def _variant_asked(record: VariantAsked) -> str:
    return f"a person asked for a variant: {_variant(record.variant)}"


def _pause_asked(record: PauseAsked) -> str:
    del record
    return "a person asked that the study pauses"


def _tagged(record: StudyTagged) -> str:
    tags = ", ".join(record.tags)
    return f"a person tagged the study: {tags}" if record.tagged else f"a person took tags of the study away: {tags}"


def _any_record(record: Any) -> str:
    """Returns a sentence for a kind of record that this module does not know: its own words, or what it holds."""
    kind: Any = type(record)
    name = _in_plain_words(kind_of(kind))
    about = f"{name} ({trial})" if (trial := getattr(record, "trial", "")) else name
    held = {item.name: getattr(record, item.name) for item in fields(record) if item.name not in _SAID}
    spoken = next((held.pop(key) for key in _SPEAKING if isinstance(held.get(key), str) and held[key]), "")
    facts = ", ".join(f"{key} {shown(value)}" for key, value in held.items() if value not in ("", None, [], {}))
    said = f"{spoken} ({facts})" if spoken and facts else spoken or facts
    return f"{about}: {said}" if said else about


#: The sentences that need nothing but the record.
_SENTENCES: Mapping[type, Callable[[Any], str]] = {
    StudyExtended: _extended,
    SessionStarted: _session,
    TrialProposed: _proposed,
    TrialStopped: _stopped,
    TrialHeld: _held,
    TrialPromoted: _promoted,
    TrialFailed: _failed,
    WorkerLost: _lost,
    TrialNoted: _noted,
    StudyPaused: _paused,
    StudyFinished: _finished,
    ModelExported: _exported,
    EnsembleExported: _ensemble,
    TrialStopAsked: _stop_asked,
    TrialKept: _kept,
    TrialStarred: _starred,
    AnnotationAdded: _annotated,
    VariantAsked: _variant_asked,
    PauseAsked: _pause_asked,
    StudyTagged: _tagged,
}
